/** The commands of an operator that write to the database directly: tokens, and who is who in Slack. */
import { hostname, userInfo } from 'node:os';
import { openDatabase } from './adapters/postgres/db.ts';
import { postgresSlackPrincipals } from './adapters/postgres/slack-principals.ts';
import { postgresTokenStore } from './adapters/postgres/tokens.ts';
import type { Doer } from './app/audit/act.ts';
import { type Administering, PRINCIPAL_ROLES, type PrincipalRole } from './app/ports.ts';
import { parseDuration } from './app/units.ts';
import { openLog } from './telemetry/log.ts';

interface Flags {
  readonly name?: string | undefined;
  readonly role?: string | undefined;
  readonly expires?: string | undefined;
  readonly id?: string | undefined;
  readonly team?: string | undefined;
  readonly user?: string | undefined;
  readonly reason?: string | undefined;
}

type Wrong = new (message: string) => Error;

/** Returns what to print. */
export async function administer(
  databaseUrl: string,
  what: 'token' | 'slack',
  verb: string,
  flags: Flags,
  Usage: Wrong,
): Promise<string> {
  const db = openDatabase({ url: databaseUrl, log: openLog({ level: 'error', secrets: [] }), maxConnections: 2 });
  const wanted = (name: keyof Flags): string => {
    const value = flags[name];
    if (value === undefined || value.trim() === '') throw new Usage(`${what} ${verb}: wanted --${name}`);
    return value;
  };
  const by: Administering = { doer: operator(), reason: flags.reason ?? null };
  try {
    return what === 'token'
      ? await tokens(postgresTokenStore(db), verb, flags, by, wanted, Usage)
      : await slack(postgresSlackPrincipals(db), verb, by, wanted, Usage);
  } finally {
    await db.close();
  }
}

/** Whoever has the database's password and a shell: all that is known of them is where they are. */
function operator(): Doer {
  const name = `${userName()}@${hostname()}`;
  const origin = { via: 'cli', address: null, userAgent: null, requestId: null } as const;
  return { id: `operator:${name}`, name: `operator ${name}`, origin };
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? 'unknown'}`; // containers: a user without an entry in passwd
  }
}

type Tokens = ReturnType<typeof postgresTokenStore>;
type Wanted = (name: keyof Flags) => string;

async function tokens(
  store: Tokens,
  verb: string,
  flags: Flags,
  by: Administering,
  wanted: Wanted,
  Usage: Wrong,
): Promise<string> {
  switch (verb) {
    case 'create': {
      const role = roleOf(wanted('role'), Usage);
      const { token } = await store.create(wanted('name'), role, expiry(flags.expires, Usage), by);
      return `${token}\n`;
    }
    case 'list': {
      const all = await store.list();
      const line = (t: (typeof all)[number]) =>
        [
          t.id,
          t.role,
          t.revokedAt !== null ? 'revoked' : t.expiresAt !== null && t.expiresAt < Date.now() ? 'expired' : 'valid',
          t.name,
        ].join('\t');
      return `${['id\trole\tstate\tname', ...all.map(line)].join('\n')}\n`;
    }
    case 'revoke':
      if (!(await store.revoke(wanted('id'), by)))
        throw new Usage(
          `token revoke: no valid token has the id ${JSON.stringify(flags.id)}; sluice token list shows them`,
        );
      return 'revoked\n';
    default:
      throw new Usage(`unknown command "token ${verb}"; known: create, list, revoke`);
  }
}

async function slack(
  principals: ReturnType<typeof postgresSlackPrincipals>,
  verb: string,
  by: Administering,
  wanted: Wanted,
  Usage: Wrong,
): Promise<string> {
  switch (verb) {
    case 'map': {
      const { name, role } = await principals.map(
        wanted('team'),
        wanted('user'),
        wanted('name'),
        roleOf(wanted('role'), Usage),
        by,
      );
      return `mapped: ${name}, ${role}\n`;
    }
    case 'unmap':
      if (!(await principals.unmap(wanted('team'), wanted('user'), by)))
        throw new Usage('slack unmap: this person is not mapped');
      return 'unmapped\n';
    default:
      throw new Usage(`unknown command "slack ${verb}"; known: map, unmap`);
  }
}

function roleOf(text: string, Usage: Wrong): PrincipalRole {
  const role = PRINCIPAL_ROLES.find((known) => known === text);
  if (role === undefined) throw new Usage(`wanted --role ${PRINCIPAL_ROLES.join('|')}; found ${JSON.stringify(text)}`);
  return role;
}

function expiry(text: string | undefined, Usage: Wrong): number | null {
  if (text === undefined) return null;
  const ms = parseDuration(text);
  if (ms === null || ms === 0)
    throw new Usage(`wanted --expires with a duration like 90d; found ${JSON.stringify(text)}`);
  return Date.now() + ms;
}
