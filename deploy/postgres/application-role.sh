#!/bin/sh
# Once, when the database is new: the role that Sluice works as. The owner of the tables (POSTGRES_USER) is for migrations
# alone, so that the service can change neither its history nor its audit (docs/operations.md).
set -eu
psql --no-psqlrc --set ON_ERROR_STOP=1 --set password="$APPLICATION_PASSWORD" \
  --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
create role sluice_app login password :'password';
SQL
