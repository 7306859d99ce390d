-- Failing traces of a canary that was rolled back: Jaeger forgets them within days, the history does not.

create table trace (
  rollout_id text not null,
  -- The fact that told of the rollback.
  fact_seq integer not null,
  -- Hexadecimal.
  trace_id text not null,
  -- When the canary's first failed span began, by the clock of its proxy.
  at timestamptz not null,
  service text not null,
  operation text not null,
  -- "HTTP 503", "gRPC 14", "error".
  status text not null,
  duration_ms double precision not null,
  -- What told that the span is the canary's.
  known_by text not null,
  summary text not null,
  link text not null,
  kept_at timestamptz not null default now(),
  -- A worker that died while it looked is followed by another: what is there already is not kept twice.
  primary key (rollout_id, fact_seq, trace_id)
);

-- How the search ended: one row per rollback, also where nothing was found or nobody could be asked.
create table trace_search (
  rollout_id text not null,
  fact_seq integer not null,
  at timestamptz not null,
  -- found, none_sampled, could_not_ask
  result text not null,
  message text not null,
  -- The time that was searched.
  searched_from timestamptz not null,
  searched_to timestamptz not null,
  link text not null,
  primary key (rollout_id, fact_seq)
);

create trigger trace_is_append_only before update or delete or truncate on trace
  for each statement execute function history_is_append_only();
create trigger trace_search_is_append_only before update or delete or truncate on trace_search
  for each statement execute function history_is_append_only();
