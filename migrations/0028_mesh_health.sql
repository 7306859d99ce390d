-- How Kiali saw the service and the canary at a rollback: it tells of now only, the history keeps it. One row per rollback,
-- also where nobody could be asked.

create table mesh_health (
  rollout_id text not null,
  -- The fact that told of the rollback.
  fact_seq integer not null,
  at timestamptz not null,
  -- taken, unknown, could_not_ask
  result text not null,
  message text not null,
  -- {name, requests, failed, pods, status, message}; null: Kiali knew nothing of it.
  service jsonb,
  canary jsonb,
  link text not null,
  primary key (rollout_id, fact_seq)
);

create trigger mesh_health_is_append_only before update or delete or truncate on mesh_health
  for each statement execute function history_is_append_only();
