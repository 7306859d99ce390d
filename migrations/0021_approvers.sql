-- Who is behind a token or a person of Slack, and of which groups: approvals may ask for both.

alter table api_token
  -- Every name of its person (e-mail address, login at the pipeline's host). Empty: it is not known who uses it.
  add column persons text[] not null default '{}',
  add column groups text[] not null default '{}';

alter table slack_principal
  -- Empty: the name that they are mapped to.
  add column persons text[] not null default '{}',
  add column groups text[] not null default '{}';
