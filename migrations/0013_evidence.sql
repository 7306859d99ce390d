-- The comparison of canary and stable: what it stands on now, and every block that it judged.

-- One row per rollout that is compared; written in the transaction of the decision. `json`, not `jsonb`: it is only ever
-- read whole, and text is what it costs least to write at every block.
create table evidence (
  rollout_id text primary key,
  -- Version of the rollout that wrote it: who has read that one has read this.
  version bigint not null,
  ledger json not null
) with (
  -- Rewritten at every block, as its rollout is.
  fillfactor = 70,
  autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_vacuum_threshold = 500
);

create table evidence_block (
  rollout_id text not null,
  -- From 0, without gaps.
  index integer not null,
  at timestamptz not null,
  -- Canary share in percent at which it was counted.
  weight double precision not null,
  -- The counts: all that the judge has seen. With the ledger's setup every verdict can be computed again from them.
  block json not null,
  finding json not null,
  primary key (rollout_id, index)
);

create trigger evidence_block_is_append_only before update or delete or truncate on evidence_block
  for each statement execute function history_is_append_only();
