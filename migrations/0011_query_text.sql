-- Query texts, once per rollout. A grouped query as people can paste it has some three thousand characters and is the
-- same from one evaluation to the next: stored with every measurement it was nine tenths of the history.
--
-- By rollout, although two rollouts may ask the same: so retention deletes it with its rollout and never has to find out
-- whether somebody else still refers to it.
create table query_text (
  rollout_id text not null,
  -- The first half of the SHA-256 of the text.
  id uuid not null,
  text text not null,
  primary key (rollout_id, id)
);

create trigger query_text_is_append_only before update or delete or truncate on query_text
  for each statement execute function history_is_append_only();

-- Rows from before hold the text itself; later ones point to it.
alter table measurement alter column query drop not null;
alter table measurement add column query_id uuid, add column stable_query_id uuid;
