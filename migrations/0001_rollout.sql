-- The aggregate. One row per rollout: Postgres is the truth, everything else (queue, mesh) is brought into line with it.

-- Orders the stamps on mesh objects: a later rollout always carries a higher epoch than an earlier one.
create sequence rollout_epoch as bigint;

-- The next epoch above `above`. An object may carry a stamp of another installation (or of this one before a restore
-- from backup) that is ahead of the sequence; the sequence then jumps, so that later rollouts stay ahead too. A value
-- taken by somebody else in the instant of the jump breaks the unique constraint, and the caller starts over.
create function next_rollout_epoch(above bigint) returns bigint language plpgsql as $$
declare
  epoch bigint := nextval('rollout_epoch');
begin
  if epoch > above then
    return epoch;
  end if;
  perform pg_advisory_xact_lock(hashtextextended('rollout_epoch', 0));
  epoch := nextval('rollout_epoch');
  if epoch <= above then
    epoch := setval('rollout_epoch', above + 1);
  end if;
  return epoch;
end
$$;

create table rollout (
  id text primary key,
  epoch bigint not null constraint rollout_epoch_key unique,
  target_key text not null,
  cluster text not null,
  namespace text not null,
  service text not null,
  mesh text not null,
  -- Canonical and immutable: a new version of the program finishes the plan that the old one started.
  plan jsonb not null,
  -- As it was sent. `json`, not `jsonb`: keeps the order of the keys.
  source json not null,
  created_at timestamptz not null,
  created_by text not null,
  -- Compare-and-swap token: every write of the row is `where version = $n`.
  version bigint not null default 1,
  -- Which attempt wrote this version. A worker that lost the connection during its commit learns here whether it landed.
  commit_id uuid not null,
  generation bigint not null default 0,
  -- Public status, derived from state.phase by the program and written with it.
  status text not null,
  -- Phase, tallies and what was last observed.
  state jsonb not null,
  -- The rollout that this one waits behind; null: it holds its target.
  behind text,
  next_tick_at timestamptz,
  -- Somebody was just told to look (the sweep); nobody else needs to before this. Beside next_tick_at and not instead of
  -- it: moving that one would hide from the lag metric how late the tick is.
  claimed_until timestamptz,
  ended_at timestamptz,
  constraint rollout_status_known check (
    status in ('pending', 'progressing', 'paused', 'rolling_back', 'succeeded', 'rolled_back', 'aborted', 'superseded', 'failed')
  ),
  constraint rollout_ends_once check ((ended_at is null) = (status in ('pending', 'progressing', 'paused', 'rolling_back'))),
  constraint rollout_waits_pending check (behind is null or status = 'pending')
) with (
  -- A row is rewritten at every tick. The room left on each page and the early vacuum keep the table from growing.
  fillfactor = 70,
  autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_vacuum_threshold = 500,
  toast_tuple_target = 1024
);
-- Plan and source never change: out of line, they are not copied by every rewrite of their row. The state always changes:
-- in line, a rewrite is one tuple and not two (measured: 8 % of the server's time per tick).
alter table rollout alter column plan set storage external;
alter table rollout alter column source set storage external;
alter table rollout alter column state set storage main;

-- One live rollout per target; those that wait behind another do not hold it yet.
create unique index rollout_live_target on rollout (target_key) where ended_at is null and behind is null;
-- What waits for a target, and who is before whom.
create index rollout_waiting on rollout (target_key, epoch) where ended_at is null;
-- The sweep, the gauges, and lists of live rollouts.
create index rollout_due on rollout (next_tick_at) where ended_at is null;
-- Lists, newest first.
create index rollout_list on rollout (created_at desc, id desc);
create index rollout_list_target on rollout (namespace, service, created_at desc, id desc);
-- Retention.
create index rollout_ended on rollout (ended_at) where ended_at is not null;
