-- A rollout that takes an earlier one back after its promotion.
alter table rollout add column reverts text;
create index rollout_reverts on rollout (reverts) where reverts is not null;
-- What was promoted on an object since.
create index rollout_promoted on rollout (object_key, epoch) where status = 'succeeded';

-- One plan, cluster after cluster in waves. Postgres is the truth here as well: a loop of its own looks at rows that are due.
create table fleet_rollout (
  id text primary key,
  version bigint not null default 1,
  -- Public status and present wave, derived from state.phase by the program and written with it: a child may only be
  -- started while they say so.
  status text not null,
  wave integer not null,
  spec json not null,
  -- Phase, and what was last seen of each cluster.
  state jsonb not null,
  created_at timestamptz not null default now(),
  created_by text not null,
  -- When the next look is due; a worker that looks moves it ahead, so that others leave the row alone.
  look_at timestamptz,
  ended_at timestamptz,
  -- A repeat of the request that made it gets the same answer.
  key_principal text,
  key text,
  key_hash text,
  constraint fleet_rollout_key unique (key_principal, key),
  constraint fleet_rollout_status_known check (
    status in ('running', 'baking', 'paused', 'rolling_back', 'succeeded', 'rolled_back', 'aborted', 'failed')
  ),
  constraint fleet_rollout_ends_once check ((ended_at is null) = (status in ('running', 'baking', 'paused', 'rolling_back')))
);
create index fleet_rollout_due on fleet_rollout (look_at) where ended_at is null;
create index fleet_rollout_list on fleet_rollout (created_at desc, id desc);

create table fleet_fact (
  fleet_id text not null,
  seq integer not null,
  at timestamptz not null,
  type text not null,
  actor text not null,
  wave integer,
  cluster text,
  message text not null,
  primary key (fleet_id, seq)
);
create trigger fleet_fact_is_append_only before update or delete or truncate on fleet_fact
  for each statement execute function history_is_append_only();

-- The rollout of one cluster of one wave: there is one at most.
alter table rollout add column fleet text, add column fleet_wave integer;
create unique index rollout_of_fleet on rollout (fleet, fleet_wave, cluster) where fleet is not null;
