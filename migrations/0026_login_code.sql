-- Codes that a command line brings for its session: good once, for a minute. Only their SHA-256 is kept.
create table login_code (
  hash bytea primary key,
  -- Of PKCE: who brings the code must know what it was made of.
  challenge text not null,
  person jsonb not null,
  -- When the session ends.
  until timestamptz not null,
  expires_at timestamptz not null
);
