-- Who may do what.

create table api_token (
  -- Public part of `slc_<id>_<secret>`.
  id text primary key,
  name text not null,
  role text not null,
  -- SHA-256 of the secret. The secret is 32 random bytes, so a slow hash would add nothing.
  hash bytea not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  revoked_at timestamptz,
  -- To the minute.
  last_used_at timestamptz,
  constraint api_token_role_known check (role in ('viewer', 'deployer', 'approver', 'admin')),
  constraint api_token_hash_is_sha256 check (octet_length(hash) = 32)
);

create table slack_principal (
  team_id text not null,
  user_id text not null,
  name text not null,
  role text not null,
  created_at timestamptz not null default now(),
  primary key (team_id, user_id),
  constraint slack_principal_role_known check (role in ('viewer', 'deployer', 'approver', 'admin'))
);
