-- What goes out to people (outbox) and what comes in from them (requests, inbound commands).

-- One row per message and channel, written in the transaction of the fact it tells about: delivered at least once.
create table outbox (
  channel text not null,
  -- '<rollout>:<fact seq>': the far side recognises a repeat by it.
  id text not null,
  position bigint generated always as identity,
  rollout_id text not null,
  fact_seq integer not null,
  -- Not before this: the lease of whoever is delivering it, or the delay after a failure.
  available_at timestamptz not null default now(),
  attempts integer not null default 0,
  delivered_at timestamptz,
  last_error text,
  primary key (channel, id)
);
create index outbox_undelivered on outbox (channel, position) where delivered_at is null;
create index outbox_of_rollout on outbox (rollout_id);

-- A request that made a rollout: a repeat gets the same answer.
create table idempotency_key (
  principal text not null,
  key text not null,
  -- Of the request body: the same key with another body is a mistake of the client.
  hash text not null,
  -- Checked at the end of the transaction: the key is taken before the rollout is written, so that of two equal requests
  -- the second waits for the first.
  rollout_id text not null references rollout (id) on delete cascade deferrable initially deferred,
  created_at timestamptz not null default now(),
  primary key (principal, key)
);
create index idempotency_key_of_rollout on idempotency_key (rollout_id);

-- Commands that must be answered before they are carried out (Slack allows three seconds).
create table inbound_command (
  -- The sender's own id of the request: a repeat is dropped.
  id text primary key,
  kind text not null,
  payload jsonb not null,
  received_at timestamptz not null default now(),
  available_at timestamptz not null default now(),
  attempts integer not null default 0,
  done_at timestamptz,
  last_error text
);
create index inbound_command_waiting on inbound_command (received_at) where done_at is null;
create index inbound_command_done on inbound_command (done_at) where done_at is not null;

