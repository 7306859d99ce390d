-- Migrations of mTLS from PERMISSIVE to STRICT: one row each, as a rollout has, and a history that is only appended to.

create table mesh_migration (
  id text primary key,
  -- Of the rollouts' sequence: all decisions on mesh objects are ordered by one count.
  epoch bigint not null unique,
  scope_key text not null,
  cluster text not null,
  namespace text not null,
  plan jsonb not null,
  source json not null,
  created_at timestamptz not null,
  created_by text not null,
  -- Compare-and-swap token: every write of the row is `where version = $n`.
  version bigint not null default 1,
  status text not null,
  state jsonb not null,
  next_look_at timestamptz,
  -- A worker looks at it now; nobody else needs to before this.
  claimed_until timestamptz,
  ended_at timestamptz,
  constraint mesh_migration_status_known check (
    status in ('pending', 'guarding', 'paused', 'strict', 'rolling_back', 'succeeded', 'rolled_back', 'aborted', 'failed')
  ),
  constraint mesh_migration_ends_once check (
    (ended_at is null) = (status in ('pending', 'guarding', 'paused', 'strict', 'rolling_back'))
  )
);

create unique index mesh_migration_live on mesh_migration (scope_key) where ended_at is null;
create index mesh_migration_due on mesh_migration (next_look_at) where ended_at is null;
create index mesh_migration_list on mesh_migration (created_at desc, id desc);
create index mesh_migration_ended on mesh_migration (ended_at) where ended_at is not null;

create table mesh_migration_fact (
  migration_id text not null,
  -- From 1, without gaps.
  seq integer not null,
  at timestamptz not null,
  type text not null,
  actor text not null,
  message text not null,
  data jsonb not null,
  primary key (migration_id, seq)
);

create trigger mesh_migration_fact_is_append_only before update or delete or truncate on mesh_migration_fact
  for each statement execute function history_is_append_only();

create table mesh_migration_key (
  principal text not null,
  key text not null,
  hash text not null,
  -- Checked at the end of the transaction: of two equal requests the second waits for the first.
  migration_id text not null references mesh_migration (id) on delete cascade deferrable initially deferred,
  primary key (principal, key)
);
