-- A rollout that takes an earlier one back after its promotion.
alter table rollout add column reverts text;
create index rollout_reverts on rollout (reverts) where reverts is not null;
-- What was promoted on an object since.
create index rollout_promoted on rollout (object_key, epoch) where status = 'succeeded';
