-- One live rollout per mesh object, whatever the plans call their services: the object carries one decision, and two
-- rollouts that write it would each find the other's fence in their way.
alter table rollout add column object_key text;
update rollout set object_key = id;
alter table rollout alter column object_key set not null;
create unique index rollout_live_object on rollout (object_key) where ended_at is null and behind is null;

-- It waits only until those before it have gone back: they look for it at every tick, so the index holds nothing else.
alter table rollout add column takes_over boolean not null default false;
create index rollout_taking_over on rollout (epoch) where takes_over and behind is not null and ended_at is null;
