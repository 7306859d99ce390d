-- What stands in Slack, so that a repeated delivery changes a message instead of posting it again.

create table slack_message (
  -- The rollout's id: its root message. '<rollout>:<fact seq>': the reply about that fact.
  key text primary key,
  rollout_id text not null references rollout (id) on delete cascade,
  channel text not null,
  -- Slack's name of the message within the channel. null: being posted, or posted without an answer.
  ts text,
  -- Shows buttons that must go away when the question is settled.
  asks boolean not null default false,
  -- Where to look for a message whose posting was never answered.
  begun_at timestamptz not null default now(),
  -- Whoever is posting it has this long.
  leased_until timestamptz not null
);
create index slack_message_of_rollout on slack_message (rollout_id);
