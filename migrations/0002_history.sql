-- The history: what happened, what was measured, what was written to the mesh. Append-only.
--
-- No foreign keys to rollout: these tables take thousands of rows per second, each key would lock and look up the rollout
-- row that the same statement has just written, and rows come only from statements that found that row. Retention deletes
-- both sides in one transaction.

create table fact (
  rollout_id text not null,
  -- From 1, without gaps: the event id of the live stream.
  seq integer not null,
  at timestamptz not null,
  type text not null,
  actor text not null,
  step integer,
  message text not null,
  data jsonb not null,
  primary key (rollout_id, seq)
);

create table measurement (
  id bigint generated always as identity primary key,
  rollout_id text not null,
  at timestamptz not null,
  step integer not null,
  check_name text not null,
  verdict text not null,
  code text not null,
  reason text not null,
  -- Ratio 0..1 for error rates, milliseconds for latencies, what the query gives for custom ones. null: no value.
  value double precision,
  samples double precision,
  stable_value double precision,
  stable_samples double precision,
  threshold double precision,
  window_ms bigint not null,
  query text not null,
  stable_query text
);
create index measurement_of_rollout on measurement (rollout_id, id);

create table mesh_write (
  id bigint generated always as identity primary key,
  -- Made by the writer: after a lost connection the record is sent again, and kept once.
  attempt uuid not null constraint mesh_write_attempt unique,
  rollout_id text not null,
  at timestamptz not null,
  object text not null,
  generation bigint not null,
  canary_weight double precision not null,
  weight_before double precision,
  result text not null,
  message text not null,
  took_ms double precision not null
);
create index mesh_write_of_rollout on mesh_write (rollout_id, id);

-- Per statement, so that inserts cost nothing. Retention says so within its own transaction:
-- `set local sluice.pruning = 'on'`. This stops mistakes and bugs; a superuser can always drop a trigger.
create function history_is_append_only() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' and current_setting('sluice.pruning', true) = 'on' then
    return null;
  end if;
  raise exception '% is append-only: % is refused', tg_table_name, tg_op
    using errcode = 'integrity_constraint_violation',
          hint = 'History is only ever deleted by the retention of ended rollouts.';
end
$$;

create trigger fact_is_append_only before update or delete or truncate on fact
  for each statement execute function history_is_append_only();
create trigger measurement_is_append_only before update or delete or truncate on measurement
  for each statement execute function history_is_append_only();
create trigger mesh_write_is_append_only before update or delete or truncate on mesh_write
  for each statement execute function history_is_append_only();
