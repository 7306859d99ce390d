/** Which person of Slack is which principal. */
import type { Principal, PrincipalRole, SlackPrincipals } from '../../app/ports.ts';
import type { Database } from './db.ts';
import { storable } from './text.ts';

const principal = (teamId: string, userId: string, name: string, role: PrincipalRole): Principal => ({
  id: `slack:${teamId}:${userId}`,
  name: `slack ${userId} (${name})`,
  role,
});

export const postgresSlackPrincipals = (db: Database): SlackPrincipals => ({
  async find(teamId, userId) {
    const [row] = await db.read<{ name: string; role: PrincipalRole }>({
      text: 'select name, role from slack_principal where team_id = $1 and user_id = $2',
      values: [teamId, userId],
    });
    return row === undefined ? null : principal(teamId, userId, row.name, row.role);
  },
  async map(teamId, userId, name, role) {
    await db.rows({
      text: `insert into slack_principal (team_id, user_id, name, role) values ($1, $2, $3, $4)
        on conflict (team_id, user_id) do update set name = excluded.name, role = excluded.role`,
      values: [teamId, userId, storable(name), role],
    });
    return principal(teamId, userId, name, role);
  },
  async unmap(teamId, userId) {
    const rows = await db.rows({
      text: 'delete from slack_principal where team_id = $1 and user_id = $2 returning 1 as deleted',
      values: [teamId, userId],
    });
    return rows.length > 0;
  },
});
