-- What channels outside were told, attempt by attempt. A message that could not be delivered for days is given up, and a
-- person can have it sent again.

alter table outbox add column created_at timestamptz not null default now();
-- When it is given up. Sending it again gives it as long anew.
alter table outbox add column give_up_at timestamptz not null default now() + interval '3 days';
-- Given up; null: it is delivered, or will be tried again.
alter table outbox add column dead_at timestamptz;
create index outbox_dead on outbox (dead_at) where dead_at is not null;
-- The log of deliveries, newest first.
create index outbox_position on outbox (position desc);

create table delivery_attempt (
  channel text not null,
  -- That of the outbox.
  id text not null,
  -- Counts from 1, over resends too.
  attempt integer not null,
  rollout_id text not null,
  at timestamptz not null default now(),
  took_ms double precision not null,
  -- HTTP; null: no answer.
  status integer,
  delivered boolean not null,
  message text not null,
  -- The beginning of the answer's body.
  excerpt text not null,
  primary key (channel, id, attempt)
);
create index delivery_attempt_of_rollout on delivery_attempt (rollout_id);

create trigger delivery_attempt_is_append_only before update or delete or truncate on delivery_attempt
  for each statement execute function history_is_append_only();
