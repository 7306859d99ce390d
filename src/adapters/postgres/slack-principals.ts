/** Which person of Slack is which principal. */
import { done } from '../../app/audit/act.ts';
import type { Administering, Identity, Principal, PrincipalRole, Scope, SlackPrincipals } from '../../app/ports.ts';
import { append } from './audit.ts';
import type { Database } from './db.ts';
import { NO_SCOPE, scopeOf } from './scopes.ts';
import { storable } from './text.ts';

const principal = (teamId: string, userId: string, row: Row): Principal => ({
  id: `slack:${teamId}:${userId}`,
  name: `slack ${userId} (${row.name})`,
  role: row.role,
  // Somebody of Slack is a person, if only Slack's. What they are called by here says nothing of any login elsewhere.
  persons: [...row.persons, `slack:${userId}`],
  groups: row.groups,
  ...scopeOf(row),
});

interface Row extends Scope {
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
      text: 'select name, role, persons, groups, namespaces, services from slack_principal where team_id = $1 and user_id = $2',
      values: [teamId, userId],
    });
    return row === undefined ? null : principal(teamId, userId, row);
  },
  async map(teamId, userId, name, role, { doer, reason } = BY_ITSELF, identity: Identity = {}) {
    const { persons = [], groups = [], scope: { namespaces, services } = NO_SCOPE } = identity;
    await db.transaction(async (tx) => {
      await tx.rows({
        text: `insert into slack_principal (team_id, user_id, name, role, persons, groups, namespaces, services)
          values ($1, $2, $3, $4, $5, $6, $7, $8)
          on conflict (team_id, user_id) do update set name = excluded.name, role = excluded.role,
            persons = excluded.persons, groups = excluded.groups,
            namespaces = excluded.namespaces, services = excluded.services`,
        values: [
          teamId,
          userId,
          storable(name),
          role,
          persons.map(storable),
          groups.map(storable),
          namespaces,
          services,
        ],
      });
      await append(tx, done(doer, { action: 'slack.map', id: `${teamId}:${userId}`, reason }));
    });
    return principal(teamId, userId, { name, role, persons, groups, namespaces, services });
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
