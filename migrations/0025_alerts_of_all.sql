-- Channels are told of fleet rollouts and of migrations as they are of rollouts.

-- What a program needs of the fact beside its sentence: how it ended, why it waits.
alter table fleet_fact add column data jsonb not null default '{}';

-- Whatever a row of the outbox may tell of. Its rollout_id is the id of any of the three.
create view told_fact as
  select 'rollout' as about, rollout_id as id, seq, at, type, actor, step, message, data from fact
  union all
  select 'fleet', fleet_id, seq, at, type, actor, null, message,
    data || jsonb_strip_nulls(jsonb_build_object('wave', wave, 'cluster', cluster)) from fleet_fact
  union all
  select 'migration', migration_id, seq, at, type, actor, null, message, data from mesh_migration_fact;
