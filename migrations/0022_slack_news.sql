-- What stands in Slack about fleet rollouts and migrations: as slack_message, which belongs to rollouts.
create table slack_news (
  -- '<fleet rollout or migration>:<fact seq>'.
  key text primary key,
  about text not null,
  channel text not null,
  ts text,
  asks boolean not null default false,
  begun_at timestamptz not null default now(),
  leased_until timestamptz not null
);
create index slack_news_of on slack_news (about);
