-- Which of the service's own traces a row belongs to: that of its rollout's step. null: the step was not traced.
alter table fact add column trace_id text;
alter table mesh_write add column trace_id text;
