/** The commands of an operator that write to the database directly: tokens, and who is who in Slack. */
import { hostname, userInfo } from 'node:os';
import { openDatabase } from './adapters/postgres/db.ts';
import { postgresSlackPrincipals } from './adapters/postgres/slack-principals.ts';
import { postgresTokenStore } from './adapters/postgres/tokens.ts';
import { GROUP_NAME, PERSON_NAME } from './app/approval-schema.ts';
import type { Doer } from './app/audit/act.ts';
import { type Administering, type Identity, PRINCIPAL_ROLES, type PrincipalRole } from './app/ports.ts';
import { SCOPED_NAME } from './app/trust/schema.ts';
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
  readonly group?: readonly string[] | undefined;
  readonly person?: readonly string[] | undefined;
  readonly namespace?: readonly string[] | undefined;
  readonly service?: readonly string[] | undefined;
}

/** The flags that stand for one value. */
type Single = Exclude<keyof Flags, 'group' | 'person' | 'namespace' | 'service'>;

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
  const wanted = (name: Single): string => {
    const value = flags[name];
    if (value === undefined || value.trim() === '') throw new Usage(`${what} ${verb}: wanted --${name}`);
    return value;
  };
  const by: Administering = { doer: operator(), reason: flags.reason ?? null };
  try {
    return what === 'token'
      ? await tokens(postgresTokenStore(db), verb, flags, by, wanted, Usage)
      : await slack(postgresSlackPrincipals(db), verb, flags, by, wanted, Usage);
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
type Wanted = (name: Single) => string;

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
      const { token } = await store.create(
        wanted('name'),
        role,
        expiry(flags.expires, Usage),
        by,
        identityOf(flags, Usage),
      );
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
          t.persons.join(', '),
          t.groups.join(', '),
          limitWords(t.namespaces),
          limitWords(t.services),
        ].join('\t');
      const head = 'id\trole\tstate\tname\tpersons\tgroups\tnamespaces\tservices';
      return `${[head, ...all.map(line)].join('\n')}\n`;
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
  flags: Flags,
  by: Administering,
  wanted: Wanted,
  Usage: Wrong,
): Promise<string> {
  switch (verb) {
    case 'map': {
      const {
        name,
        role,
        groups = [],
        scope,
      } = await principals.map(
        wanted('team'),
        wanted('user'),
        wanted('name'),
        roleOf(wanted('role'), Usage),
        by,
        identityOf(flags, Usage),
      );
      const limits =
        scope === undefined
          ? []
          : [`namespaces: ${limitWords(scope.namespaces)}`, `services: ${limitWords(scope.services)}`];
      return `mapped: ${[name, role, ...groups, ...limits].join(', ')}\n`;
    }
    case 'unmap':
      if (!(await principals.unmap(wanted('team'), wanted('user'), by)))
        throw new Usage('slack unmap: this person is not mapped');
      return 'unmapped\n';
    default:
      throw new Usage(`unknown command "slack ${verb}"; known: map, unmap, doctor`);
  }
}

function roleOf(text: string, Usage: Wrong): PrincipalRole {
  const role = PRINCIPAL_ROLES.find((known) => known === text);
  if (role === undefined) throw new Usage(`wanted --role ${PRINCIPAL_ROLES.join('|')}; found ${JSON.stringify(text)}`);
  return role;
}

const limitWords = (limit: readonly string[] | null): string => (limit === null ? 'all' : limit.join(', '));

/** Which person, by every name they have, and of which groups; where they may change something. */
function identityOf(flags: Flags, Usage: Wrong): Identity {
  const { person = [], group = [] } = flags;
  const persons = person.map((name) => name.trim());
  const groups = group.map((name) => name.trim());
  const unfit = [
    ...persons.filter((name) => !PERSON_NAME.test(name)),
    ...groups.filter((name) => !GROUP_NAME.test(name)),
  ];
  if (unfit.length > 0)
    throw new Usage(`wanted names of letters, digits and . _ @ : + - within; found ${JSON.stringify(unfit[0])}`);
  return { persons: [...new Set(persons)], groups: [...new Set(groups)], ...scopeOf(flags, Usage) };
}

/** Without a flag: everywhere. */
function scopeOf({ namespace, service }: Flags, Usage: Wrong): Pick<Identity, 'scope'> {
  const limit = (flag: string, names: readonly string[] | undefined): readonly string[] | null => {
    const unfit = names?.find((name) => !SCOPED_NAME.test(name));
    if (unfit !== undefined)
      throw new Usage(`wanted --${flag} with a name as Kubernetes has it; found ${JSON.stringify(unfit)}`);
    return names === undefined ? null : [...new Set(names)];
  };
  const [namespaces, services] = [limit('namespace', namespace), limit('service', service)];
  return namespaces === null && services === null ? {} : { scope: { namespaces, services } };
}

function expiry(text: string | undefined, Usage: Wrong): number | null {
  if (text === undefined) return null;
  const ms = parseDuration(text);
  if (ms === null || ms === 0)
    throw new Usage(`wanted --expires with a duration like 90d; found ${JSON.stringify(text)}`);
  return Date.now() + ms;
}
