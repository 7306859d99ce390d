-- Every act: who, how, from where, why, and what became of it. Append-only, each row chained to the one before.

create table audit (
  -- From 1, without gaps, given by the trigger below: what was taken away leaves a hole.
  seq bigint primary key,
  -- The database's clock, to the millisecond: whole milliseconds are what every reader of the row can compute with.
  at timestamptz not null,
  -- Id and name of the principal, as they were then.
  actor_id text not null,
  actor text not null,
  -- As the request says of itself: recorded, never trusted.
  via text not null,
  address text,
  user_agent text,
  -- "rollout.promote"
  action text not null,
  object_kind text not null,
  object_id text,
  -- Id of what the act brought into being, where that is another object.
  made text,
  reason text,
  request_id text,
  outcome text not null,
  -- Why it was refused, or that it was fulfilled already.
  code text,
  -- Refusals of this process that were left out before this row: who is refused hundreds of times could fill the disk.
  omitted integer not null default 0,
  hash bytea not null,
  constraint audit_via_known check (via in ('api', 'cli', 'page', 'slack', 'ci', 'system')),
  constraint audit_outcome_known check (outcome in ('done', 'refused')),
  constraint audit_refusal_has_code check (outcome = 'done' or code is not null),
  constraint audit_action_is_one_word check (action ~ '^[a-z_]+\.[a-z_]+$'),
  constraint audit_row_is_small check (
    greatest(
      length(actor_id), length(actor), length(address), length(user_agent), length(object_id), length(made),
      length(reason), length(request_id)
    ) <= 500
  ),
  constraint audit_hash_is_sha256 check (octet_length(hash) = 32)
);
create index audit_of_actor on audit (actor_id, seq);
create index audit_of_action on audit (action, seq);
create index audit_of_object on audit (object_id, seq);
create index audit_of_made on audit (made, seq) where made is not null;
create index audit_at on audit (at);

-- One field of the bytes that are hashed: its length in bytes before it, so that no two rows have the same bytes.
create function audit_field(value text) returns bytea language sql immutable parallel safe as $$
  select case when value is null then '-,'::bytea
    else convert_to(octet_length(convert_to(value, 'UTF8')) || ':' || value || ',', 'UTF8') end
$$;

-- Canonical bytes of a row. The same in src/app/audit/chain.ts, by which anybody computes the chain again.
create function audit_bytes(entry audit) returns bytea language sql immutable parallel safe as $$
  select convert_to('sluice audit 1,', 'UTF8')
    || audit_field(entry.seq::text)
    || audit_field(to_char(entry.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
    || audit_field(entry.actor_id) || audit_field(entry.actor)
    || audit_field(entry.via) || audit_field(entry.address) || audit_field(entry.user_agent)
    || audit_field(entry.action) || audit_field(entry.object_kind) || audit_field(entry.object_id)
    || audit_field(entry.made) || audit_field(entry.reason) || audit_field(entry.request_id)
    || audit_field(entry.outcome) || audit_field(entry.code) || audit_field(entry.omitted::text)
$$;

-- Number, time and hash are given here, whatever the insert says: who may insert can add a row at the end, and nowhere
-- else. The lock is kept until the end of the transaction, so the next row finds this one or finds it gone; every
-- transaction takes it last. The query sees rows that were committed while it waited: a volatile function's queries do.
create function audit_is_chained() returns trigger language plpgsql
-- Not what the caller has made of it: a temporary table named audit would be found first, and its head be believed.
set search_path = pg_catalog, public, pg_temp as $$
declare
  head public.audit;
begin
  perform pg_advisory_xact_lock(hashtextextended('sluice audit', 0));
  select * into head from public.audit order by seq desc limit 1;
  new.seq := coalesce(head.seq, 0) + 1;
  new.at := date_trunc('milliseconds', clock_timestamp());
  new.hash := sha256(coalesce(head.hash, decode(repeat('00', 32), 'hex')) || audit_bytes(new));
  return new;
end
$$;

create trigger audit_is_chained before insert on audit for each row execute function audit_is_chained();

-- Unlike the history of rollouts it knows no retention. `always`: also where session_replication_role is replica.
create function audit_is_append_only() returns trigger language plpgsql as $$
begin
  raise exception 'audit is append-only: % is refused', tg_op
    using errcode = 'integrity_constraint_violation',
          hint = 'What was done stays written down; docs/audit.md says how to keep a copy elsewhere.';
end
$$;

create trigger audit_is_append_only before update or delete or truncate on audit
  for each statement execute function audit_is_append_only();
alter table audit enable always trigger audit_is_append_only;

-- What the application's own role may do, where it is not the owner: everything that it needs, and with the audit only
-- to read and to append. Called by `migrate` after the files, so that later tables are granted too.
create function grant_to_application(application name) returns void language plpgsql as $$
begin
  execute format('grant usage on schema public to %I', application);
  execute format('grant select, insert, update, delete on all tables in schema public to %I', application);
  execute format('grant usage, select, update on all sequences in schema public to %I', application);
  execute format('revoke all on public.audit, public.schema_migration from %I', application);
  execute format('grant select, insert on public.audit to %I', application);
  execute format('grant select on public.schema_migration to %I', application);
end
$$;
