/** Which person of Slack is which principal. */
import { done } from '../../app/audit/act.ts';
import type { Administering, Identity, Principal, PrincipalRole, SlackPrincipals } from '../../app/ports.ts';
import { append } from './audit.ts';
import type { Database } from './db.ts';
import { storable } from './text.ts';

const principal = (teamId: string, userId: string, { name, role, persons, groups }: Row): Principal => ({
  id: `slack:${teamId}:${userId}`,
  name: `slack ${userId} (${name})`,
  role,
  // Somebody of Slack is a person, if only Slack's. What they are called by here says nothing of any login elsewhere.
  persons: [...persons, `slack:${userId}`],
  groups,
});

interface Row {
  readonly name: string;
  readonly role: PrincipalRole;
  readonly persons: readonly string[];
  readonly groups: readonly string[];
}

/** Nobody said who they are: written down all the same. */
const BY_ITSELF: Administering = { doer: { id: 'sluice', name: 'sluice' }, reason: null };

export const postgresSlackPrincipals = (db: Database): SlackPrincipals => ({
  async find(teamId, userId) {
    const [row] = await db.read<Row>({
      text: 'select name, role, persons, groups from slack_principal where team_id = $1 and user_id = $2',
      values: [teamId, userId],
    });
    return row === undefined ? null : principal(teamId, userId, row);
  },
  async map(teamId, userId, name, role, { doer, reason } = BY_ITSELF, { persons = [], groups = [] }: Identity = {}) {
    await db.transaction(async (tx) => {
      await tx.rows({
        text: `insert into slack_principal (team_id, user_id, name, role, persons, groups) values ($1, $2, $3, $4, $5, $6)
          on conflict (team_id, user_id) do update set name = excluded.name, role = excluded.role,
            persons = excluded.persons, groups = excluded.groups`,
        values: [teamId, userId, storable(name), role, persons.map(storable), groups.map(storable)],
      });
      await append(tx, done(doer, { action: 'slack.map', id: `${teamId}:${userId}`, reason }));
    });
    return principal(teamId, userId, { name, role, persons, groups });
  },
  unmap: (teamId, userId, { doer, reason } = BY_ITSELF) =>
    db.transaction(async (tx) => {
      const rows = await tx.rows({
        text: 'delete from slack_principal where team_id = $1 and user_id = $2 returning 1 as deleted',
        values: [teamId, userId],
      });
      if (rows.length === 0) return false;
      await append(tx, done(doer, { action: 'slack.unmap', id: `${teamId}:${userId}`, reason }));
      return true;
    }),
});
