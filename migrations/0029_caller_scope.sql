-- Where a token or a person of Slack may change something. null: everywhere.

alter table api_token
  add column namespaces text[],
  add column services text[],
  add constraint api_token_scope_named check (
    coalesce(cardinality(namespaces), 1) > 0 and coalesce(cardinality(services), 1) > 0
  );

alter table slack_principal
  add column namespaces text[],
  add column services text[],
  add constraint slack_principal_scope_named check (
    coalesce(cardinality(namespaces), 1) > 0 and coalesce(cardinality(services), 1) > 0
  );
