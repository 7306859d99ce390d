/**
 * Generated from the OpenAPI document of the whole application over real Postgres: every path and method, asked by nobody,
 * with tokens that are none, by roles that may not, from other namespaces, and by the page's cookie from elsewhere. Who may
 * ask what is read from the table of docs/api.md. A new call that is open, or that nobody has said how to ask, fails here.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import request, { type Response } from 'supertest';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { PrincipalRole, Scope } from '../../src/app/ports.ts';
import { PRINCIPAL_ROLES } from '../../src/app/ports.ts';
import { readTrust } from '../../src/app/trust/schema.ts';
import { type ApplicationConfig, application } from '../../src/application.ts';
import { sign } from '../../src/http/slack/signature.ts';
import { type Composed, composed, fleet, migration, NAMESPACE, plan } from '../support/composed.ts';
import { type OidcIssuer, oidcIssuer } from '../support/oidc-issuer.ts';
import { quietLog } from '../support/quiet.ts';
import { isProblem } from './harness.ts';

const AUDIENCE = 'sluice';
const PUBLIC_URL = 'http://sluice.test';
const SIGNING_SECRET = 'a signing secret of Slack';
const CONFIG: ApplicationConfig = {
  slack: { signingSecrets: [SIGNING_SECRET] },
  trustedProxies: [],
  metricsOpen: false,
  publicUrl: PUBLIC_URL,
  sessionKey: 'a key for tests, long enough for all of them',
  clusters: [],
};
/** A project of GitHub for each role, within another namespace, and one within that of the release. */
const PROJECTS: Readonly<Record<PrincipalRole, string>> = { viewer: '1', deployer: '2', approver: '3', admin: '4' };
const NEIGHBOUR = '5';

let world: Composed;
let idp: OidcIssuer;
let app: ReturnType<typeof application>;
/** One for all: the application behind it is a new one for each test. */
const server = createServer((req, res) => app(req, res));

const trustBy = (issuer: string) => {
  const rule = (name: string, id: string, role: PrincipalRole, namespace: string) => ({
    name,
    issuer: 'github',
    match: { repository_id: id, ref: 'refs/heads/main' },
    role,
    namespaces: [namespace],
  });
  const read = readTrust({
    login: { issuer, clientId: AUDIENCE, roles: [{ group: 'sre', role: 'approver' }] },
    ci: {
      audience: AUDIENCE,
      roles: PRINCIPAL_ROLES,
      issuers: { github: { kind: 'github', issuer } },
      rules: [
        ...PRINCIPAL_ROLES.map((role) => rule(`elsewhere ${role}`, PROJECTS[role], role, 'elsewhere')),
        rule('here', NEIGHBOUR, 'admin', NAMESPACE),
      ],
    },
  });
  if (!read.ok) throw new Error(read.problems.join('; '));
  return { ...read.trust, clientSecret: null };
};

const idToken = (repository: string, over: object = {}): Promise<string> =>
  idp.sign({
    repository: 'octo-org/shop',
    repository_id: repository,
    ref: 'refs/heads/main',
    run_id: '9',
    run_attempt: '1',
    ...over,
  });

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  idp = await oidcIssuer({ audience: AUDIENCE });
  world = await composed((path, body) => ask('post', path, { as: bearer(world.tokens.admin), body }), {
    publicUrl: PUBLIC_URL,
    trust: trustBy(idp.issuer),
    channels: [{ name: 'ops', kind: 'webhook', usual: true, settings: WEBHOOK }],
  });
  await world.reset();
  await seed();
});
afterAll(async () => {
  await new Promise((resolve) => server.close(resolve));
  await world?.close();
  await idp?.close();
});
beforeEach(() => {
  // Budgets of its own.
  app = opened();
});
const opened = () => application('all', CONFIG, world.service, quietLog);
const WEBHOOK = {
  url: 'https://hooks.example.com/sluice',
  secrets: [`whsec_${Buffer.alloc(32, 7).toString('base64')}`],
};

// ── what is asked ───────────────────────────────────────────────────────────────────────────────────────────────────

/** A stack, or where the code lies. */
const INSIDE = /(\n|\\n)\s+at |node_modules|\.[tj]s:\d+/;

type Headers = Readonly<Record<string, string>>;
const bearer = (token: string): Headers => ({ Authorization: `Bearer ${token}` });

interface Wishes {
  readonly as?: Headers;
  readonly body?: object | undefined;
}

async function ask(method: string, path: string, { as = {}, body }: Wishes = {}): Promise<Response> {
  app ??= opened();
  const sent = request(server)[method as 'get' | 'post'](path).redirects(0).set(as);
  const response = await (body === undefined ? sent : sent.send(body));
  expect(response.text ?? '', `${method} ${path}`).not.toMatch(INSIDE);
  return response;
}

interface Operation {
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly security: readonly object[] | undefined;
  readonly statuses: readonly string[];
  /** The act that it asks for; undefined: it changes nothing. */
  readonly act: string | undefined;
}
interface Document {
  readonly security: readonly object[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, unknown>>>>>>;
  readonly components: { readonly securitySchemes: Readonly<Record<string, Readonly<Record<string, unknown>>>> };
}

const documentOf = async (): Promise<Document> => (await ask('get', '/openapi.json')).body as Document;
const operations = async (): Promise<readonly Operation[]> =>
  Object.entries((await documentOf()).paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      name: String(operation['operationId']),
      method,
      path,
      security: operation['security'] as Operation['security'],
      statuses: Object.keys(operation['responses'] as object),
      act: operation['x-audit-action'] as string | undefined,
    })),
  );

/** Open to everybody, and why that tells nobody anything. */
const OPEN: Readonly<Record<string, string>> = {
  getHealth: 'asked by the kubelet, which has no token; says only that the process answers',
  getReadiness: 'as health; names parts, never addresses',
  getOpenApi: 'as in the repository',
  getPlanSchema: 'as in the repository; editors fetch it',
  getProblem: 'as in docs/api.md',
  getMeshCapabilities: 'what the code can do, nothing of this installation',
  getInstallPlan: 'commands made of the question alone; nothing is run',
};

const isOpen = ({ security }: Operation): boolean => security?.length === 0;
const closed = async (): Promise<readonly Operation[]> => (await operations()).filter((one) => !isOpen(one));
const changing = async (): Promise<readonly Operation[]> => (await closed()).filter(({ act }) => act !== undefined);

/** What is there, for the ids of paths: by the beginning of the path. */
const IDS: Record<string, string> = { '/clusters/': 'default', '/problems/': 'not_found' };

async function seed(): Promise<void> {
  IDS['/fleet-rollouts/'] = String((await world.asked['abortFleetRollout']?.())?.id);
  IDS['/mesh-migrations/'] = String((await world.asked['abortMeshMigration']?.())?.id);
  const ended = await world.started();
  await ask('post', `/rollouts/${ended}/abort`, { as: bearer(world.tokens.admin), body: {} });
  const deliveries = await ask('get', '/deliveries', { as: bearer(world.tokens.admin) });
  IDS['/deliveries/'] = deliveries.body.items[0].id;
  IDS['/rollouts/'] = await world.progressing();
}

function at(path: string, id?: string): string {
  if (!path.includes('{')) return path;
  const found = id ?? Object.entries(IDS).find(([beginning]) => path.startsWith(beginning))?.[1];
  if (found === undefined) throw new Error(`say in IDS what is there at ${path}`);
  return path.replaceAll(/\{\w+\}/g, found);
}

/** Bodies that are read well, so that nothing but the caller can be what is wrong. */
const BODIES: Readonly<Record<string, object>> = {
  startRollout: plan,
  startFleetRollout: fleet,
  startMeshMigration: migration,
  backTestPlan: plan,
};
const bodyOf = ({ name, method }: Operation): object | undefined =>
  method === 'get' ? undefined : (BODIES[name] ?? {});

/** Every row of every table, as a sum each; but that of the audit, which is told of refusals, and when a token was used. */
async function rows(): Promise<Readonly<Record<string, string>>> {
  const { rows: tables } = await world.sql.query<{ name: string }>(
    `select quote_ident(schemaname) || '.' || quote_ident(tablename) as name from pg_tables
     where schemaname not in ('pg_catalog', 'information_schema') and tablename <> 'audit'`,
  );
  const sums: Record<string, string> = {};
  for (const { name } of tables) {
    const { rows: found } = await world.sql.query<{ sum: string }>(
      `select count(*) || ' ' || md5(coalesce(string_agg(one, '|' order by one), '')) as sum
       from (select (to_jsonb(t) - 'last_used_at')::text as one from ${name} t) as all_of_it`,
    );
    sums[name] = found[0]?.sum ?? '';
  }
  return { ...sums, cluster: String(world.kube.journal.length) };
}

/** Does `what`, and nothing is different afterwards: no row, and nothing in the cluster. */
async function changesNothing(what: () => Promise<void>): Promise<void> {
  const before = await rows();
  await what();
  expect(await rows()).toEqual(before);
}

function refused(response: Response, status: number, code: string, about: string): void {
  expect([about, response.status, response.body.code]).toEqual([about, status, code]);
  isProblem(response);
}

// ── the document ────────────────────────────────────────────────────────────────────────────────────────────────────

/** Beside the document: what browsers and Slack are led to. Each is tried below. */
const DOORS = [
  'get /',
  'get /ui',
  'get /ui/*path',
  'get /ui/assets/*path',
  'get /ui/session',
  'post /ui/session',
  'delete /ui/session',
  'get /login/oidc',
  'get /login/oidc/callback',
  'get /login/cli',
  'post /login/cli',
  'post /login/cli/token',
  'post /slack/commands',
  'post /slack/interactions',
];

interface Layer {
  readonly route?: { readonly path: string | string[]; readonly methods: Readonly<Record<string, boolean>> };
  readonly handle?: { readonly stack?: readonly Layer[] };
}
const served = (stack: readonly Layer[]): readonly string[] =>
  stack.flatMap(({ route, handle }) => {
    if (route === undefined) return served(handle?.stack ?? []);
    const methods = Object.keys(route.methods).filter((method) => route.methods[method]);
    // `all` registers every method there is: those answer 405.
    if (methods.length > 3) return [];
    return [route.path].flat().flatMap((path) => methods.map((method) => `${method} ${path}`));
  });

describe('the document', () => {
  it('has every route that Express serves, the doors of browsers and of Slack aside', async () => {
    const documented = (await operations()).map(
      ({ method, path }) => `${method} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`,
    );
    expect(served((app.router as unknown as { stack: readonly Layer[] }).stack).toSorted()).toEqual(
      [...documented, ...DOORS].toSorted(),
    );
  });

  it('opens nothing but what this test gives a reason for', async () => {
    const open = (await operations()).filter(isOpen).map(({ name }) => name);
    expect(open.toSorted()).toEqual(Object.keys(OPEN).toSorted());
  });

  it('says how the others are asked: by each way that is accepted, with 401 and 403 among the answers', async () => {
    const { security, components } = await documentOf();
    expect(security).toEqual([{ token: [] }, { idToken: [] }, { session: [] }]);
    expect(components.securitySchemes).toMatchObject({
      token: { type: 'http', scheme: 'bearer' },
      idToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
      session: { type: 'apiKey', in: 'cookie', name: 'sluice' },
    });
    for (const { name, security: own, statuses } of await closed()) {
      // The whole document's.
      expect([name, own]).toEqual([name, undefined]);
      expect(statuses, name).toEqual(expect.arrayContaining(['401', '403']));
    }
  });

  it('has an act for every call that is no GET, but for the one that only computes', async () => {
    const silent = (await operations()).filter(({ method, act }) => method !== 'get' && act === undefined);
    expect(silent.map(({ name }) => name)).toEqual(['backTestPlan']);
    expect((await operations()).filter(({ method, act }) => method === 'get' && act !== undefined)).toEqual([]);
  });
});

// ── who asks ────────────────────────────────────────────────────────────────────────────────────────────────────────

describe('without a token', () => {
  it('every call is 401 with WWW-Authenticate and changes nothing; what is open answers', async () => {
    const all = await operations();
    await changesNothing(async () => {
      for (const one of all) {
        const response = await ask(one.method, at(one.path), { body: bodyOf(one) });
        if (isOpen(one)) {
          expect([one.name, response.status]).toEqual([one.name, 200]);
          continue;
        }
        refused(response, 401, 'unauthenticated', one.name);
        expect(response.headers['www-authenticate']).toBe('Bearer realm="sluice"');
      }
    });
  });

  it('nothing tells whether an id is there', async () => {
    const said = async (one: Operation, id?: string) => {
      const { status, body } = await ask(one.method, at(one.path, id), { body: bodyOf(one) });
      return { status, ...body, requestId: null };
    };
    for (const one of (await closed()).filter(({ path }) => path.includes('{')))
      expect(await said(one), one.name).toEqual(await said(one, 'ro_404'));
  });
});

describe('with a token that is none', () => {
  const BAD: readonly (readonly [string, () => Promise<string>])[] = [
    ['nobody has', async () => `Bearer slc_${'0'.repeat(16)}_${'A'.repeat(43)}`],
    [
      'has another secret',
      async () => `Bearer ${world.tokens.admin.slice(0, -2)}${world.tokens.admin.endsWith('AA') ? 'BB' : 'AA'}`,
    ],
    [
      'has expired',
      async () => `Bearer ${(await world.service.tokens.create('old', 'admin', Date.now() - 60_000)).token}`,
    ],
    [
      'was revoked',
      async () => {
        const { id, token } = await world.service.tokens.create('gone', 'admin', null);
        await world.service.tokens.revoke(id);
        return `Bearer ${token}`;
      },
    ],
    ['is cut off', async () => `Bearer ${world.tokens.admin.slice(0, 20)}`],
    ['has a quote in it', async () => "Bearer slc_' or true --"],
    ['is empty', async () => 'Bearer '],
    ['comes by another scheme', async () => `Basic ${Buffer.from(`admin:${world.tokens.admin}`).toString('base64')}`],
    ['comes twice', async () => `Bearer ${world.tokens.admin}, Bearer ${world.tokens.admin}`],
    ['is an id token that has expired', async () => `Bearer ${await idToken(NEIGHBOUR, { exp: 1_000 })}`],
    ['is an id token for somebody else', async () => `Bearer ${await idToken(NEIGHBOUR, { aud: 'another' })}`],
    [
      'is an id token of another issuer',
      async () => `Bearer ${await idToken(NEIGHBOUR, { iss: 'https://evil.example.com' })}`,
    ],
    [
      'is an id token without a signature',
      async () => {
        const [, payload] = (await idToken(NEIGHBOUR)).split('.');
        return `Bearer ${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.`;
      },
    ],
    [
      'is an id token with another signature',
      async () => {
        const [head, payload] = (await idToken(NEIGHBOUR)).split('.');
        return `Bearer ${head}.${payload}.${Buffer.alloc(256, 1).toString('base64url')}`;
      },
    ],
  ];

  it.each(BAD)('that %s: every call is 401, changes nothing, and repeats nothing of it', async (_, made) => {
    const authorization = await made();
    await changesNothing(async () => {
      for (const one of await closed()) {
        const response = await ask(one.method, at(one.path), {
          as: { Authorization: authorization },
          body: bodyOf(one),
        });
        refused(response, 401, 'unauthenticated', one.name);
        expect(response.headers['www-authenticate']).toMatch(/^Bearer realm="sluice"/);
        const secret = authorization.split('_').at(-1) ?? '';
        if (secret.length > 8) expect(response.text).not.toContain(secret.slice(0, 12));
      }
    });
  });

  it('a header that is wrong is not made good by a cookie that is right', async () => {
    const cookie = await signedIn();
    for (const one of await closed()) {
      const as = { ...OURS, Cookie: cookie, Authorization: 'Bearer slc_nobody_0123456789' };
      refused(await ask(one.method, at(one.path), { as, body: bodyOf(one) }), 401, 'unauthenticated', one.name);
    }
  });
});

/** Call -> the roles that docs/api.md promises it to, beside admin. */
const PROMISED: ReadonlyMap<string, ReadonlySet<PrincipalRole>> = (() => {
  const text = readFileSync(new URL('../../docs/api.md', import.meta.url), 'utf8');
  const promised = new Map<string, ReadonlySet<PrincipalRole>>();
  for (const [, calls = '', roles = ''] of text.matchAll(/^\| (`(?:GET|POST) .+?) \| (.+?) \| .+ \|$/gm)) {
    const named = [...calls.matchAll(/`(GET|POST) ([^`?]+)(\?[^`]*)?`/g)];
    // "deployer; viewer": one for each call, or one for all of them.
    const each = roles.split(';').map((part) => PRINCIPAL_ROLES.filter((role) => part.includes(role)));
    for (const [index, [, method = '', path = '', query]] of named.entries()) {
      if (query !== undefined) continue;
      const own = each[index] ?? each[0] ?? [];
      // To read is everybody's.
      const may = own.includes('viewer') ? PRINCIPAL_ROLES : [...own, 'admin' as const];
      promised.set(`${method.toLowerCase()} ${path}`, new Set(may));
    }
  }
  return promised;
})();

describe.each(PRINCIPAL_ROLES)('as %s', (role) => {
  it('every call that the docs promise to others is 403, names who may, and changes nothing', async () => {
    const others = (await closed()).filter(({ method, path }) => {
      const may = PROMISED.get(`${method} ${path}`);
      if (may === undefined) throw new Error(`docs/api.md does not say who may ${method} ${path}`);
      return !may.has(role);
    });
    expect(others.length > 0).toBe(role !== 'admin');
    await changesNothing(async () => {
      for (const one of others) {
        const response = await ask(one.method, at(one.path), { as: bearer(world.tokens[role]), body: bodyOf(one) });
        refused(response, 403, 'forbidden', one.name);
        expect(response.headers['www-authenticate']).toContain('insufficient_scope');
        for (const able of PROMISED.get(`${one.method} ${one.path}`) ?? [])
          expect(response.body.detail).toContain(able);
        const missing = await ask(one.method, at(one.path, 'ro_404'), {
          as: bearer(world.tokens[role]),
          body: bodyOf(one),
        });
        expect({ ...missing.body, requestId: null }).toEqual({ ...response.body, requestId: null });
      }
    });
  });

  it('reads what the docs promise', async () => {
    for (const one of (await closed()).filter(({ method, path }) => method === 'get' && path !== '/audit')) {
      const response = await ask(one.method, at(one.path), { as: bearer(world.tokens[role]) });
      expect([one.name, response.status]).toEqual([one.name, 200]);
    }
  });
});

describe('a role that only reads', () => {
  it('is refused everything that changes something', async () => {
    const acts = await changing();
    expect(acts.length).toBeGreaterThan(10);
    for (const one of acts)
      refused(
        await ask(one.method, at(one.path), { as: bearer(world.tokens.viewer), body: bodyOf(one) }),
        403,
        'forbidden',
        one.name,
      );
  });
});

// ── the page's cookie ───────────────────────────────────────────────────────────────────────────────────────────────

const OURS: Headers = { 'Sec-Fetch-Site': 'same-origin', 'X-Sluice-CSRF': '1' };

async function signedIn(): Promise<string> {
  const response = await ask('post', '/ui/session', { as: OURS, body: { token: world.tokens.admin } });
  expect(response.status).toBe(204);
  return String(response.headers['set-cookie']?.[0]).split(';')[0] ?? '';
}

describe('a session of the page', () => {
  it.each<[string, Headers]>([
    ['the cookie alone', {}],
    ['the header of the page, and nothing of the browser', { 'X-Sluice-CSRF': '1' }],
    ['a form of this origin', { 'Sec-Fetch-Site': 'same-origin' }],
    ['another site', { 'Sec-Fetch-Site': 'cross-site', 'X-Sluice-CSRF': '1' }],
    ['a neighbour', { 'Sec-Fetch-Site': 'same-site', 'X-Sluice-CSRF': '1' }],
    ['another origin, of a browser that says no more', { Origin: 'https://evil.example.com', 'X-Sluice-CSRF': '1' }],
    ['an origin that is none', { Origin: 'null', 'X-Sluice-CSRF': '1' }],
  ])('by %s changes nothing: 403 for every call that would', async (_, from) => {
    const cookie = await signedIn();
    await changesNothing(async () => {
      for (const one of (await closed()).filter(({ method }) => method !== 'get'))
        refused(
          await ask(one.method, at(one.path), { as: { ...from, Cookie: cookie }, body: bodyOf(one) }),
          403,
          'cross_site',
          one.name,
        );
    });
  });

  it('that was made up, changed or cut off is nobody', async () => {
    const cookie = await signedIn();
    const changed = `${cookie.slice(0, -3)}${cookie.endsWith('AAA') ? 'BBB' : 'AAA'}`;
    await changesNothing(async () => {
      for (const wrong of ['sluice=', 'sluice=e30', changed, cookie.slice(0, 40)])
        for (const one of await closed())
          refused(
            await ask(one.method, at(one.path), { as: { ...OURS, Cookie: wrong }, body: bodyOf(one) }),
            401,
            'unauthenticated',
            one.name,
          );
    });
  });

  it('by the page itself is heard', async () => {
    const as = { ...OURS, Cookie: await signedIn() };
    expect((await ask('get', '/rollouts', { as })).status).toBe(200);
    expect((await ask('post', `${at('/rollouts/{id}')}/pause`, { as, body: {} })).status).toBe(202);
    expect((await ask('post', `${at('/rollouts/{id}')}/resume`, { as, body: {} })).status).toBe(202);
  });
});

// ── other namespaces ────────────────────────────────────────────────────────────────────────────────────────────────

/** What no scope limits, as docs/ci.md says: it moves no traffic. */
const UNLIMITED = ['resendDelivery'];

const ELSEWHERE: Scope = { namespaces: ['elsewhere'], services: null };
const ANOTHER: Scope = { namespaces: null, services: ['another'] };
const apiToken = async (role: PrincipalRole, scope: Scope): Promise<string> =>
  (await world.service.tokens.create(`shop-${role}`, role, null, undefined, { scope })).token;

/** Whose token it is, and how refusals say where they may. */
const STRANGERS: readonly (readonly [string, (role: PrincipalRole) => Promise<string>, string])[] = [
  ['an id token of another namespace', (role) => idToken(PROJECTS[role]), 'the namespaces elsewhere'],
  ['an API token of another namespace', (role) => apiToken(role, ELSEWHERE), 'the namespaces elsewhere'],
  ['an API token of another service', (role) => apiToken(role, ANOTHER), 'the services another'],
];
const STRANGERS_BY_ROLE = PRINCIPAL_ROLES.flatMap((role) =>
  STRANGERS.map(([whose, token, limits]) => ({ role, whose, token: () => token(role), limits })),
);

describe.each(STRANGERS_BY_ROLE)('as $role by $whose', ({ role, token, limits }) => {
  it('every call that would change something is 403, says where they may, and changes nothing', async () => {
    const as = bearer(await token());
    await changesNothing(async () => {
      for (const one of (await changing()).filter(({ name }) => !UNLIMITED.includes(name))) {
        const response = await ask(one.method, at(one.path), { as, body: bodyOf(one) });
        refused(response, 403, 'forbidden', one.name);
        if (PROMISED.get(`${one.method} ${one.path}`)?.has(role) === true)
          expect(response.body.detail).toContain(`may act only in ${limits}`);
        if (['startRollout', 'startFleetRollout'].includes(one.name))
          refused(
            await ask(one.method, `${one.path}?dryRun=true`, { as, body: bodyOf(one) }),
            403,
            'forbidden',
            one.name,
          );
      }
    });
  });
});

describe('within its own namespace', () => {
  it.each<[string, () => Promise<string>]>([
    ['an id token', () => idToken(NEIGHBOUR)],
    ['an API token', () => apiToken('admin', { namespaces: [NAMESPACE], services: null })],
    ['an API token for the service', () => apiToken('admin', { namespaces: [NAMESPACE], services: ['myapp'] })],
  ])('%s is heard where another is refused', async (_, token) => {
    const as = bearer(await token());
    const one = at('/rollouts/{id}');
    expect((await ask('post', `${one}/pause`, { as, body: {} })).status).toBe(202);
    expect((await ask('post', `${one}/resume`, { as, body: {} })).status).toBe(202);
  });

  it('nobody changes who may call a whole mesh', async () => {
    const as = bearer(await idToken(NEIGHBOUR));
    await changesNothing(async () => {
      refused(await ask('post', '/mesh-migrations', { as, body: migration }), 403, 'forbidden', 'start');
      refused(await ask('post', `${at('/mesh-migrations/{id}')}/abort`, { as, body: {} }), 403, 'forbidden', 'abort');
    });
  });
});

// ── the doors beside the document ───────────────────────────────────────────────────────────────────────────────────

describe('Slack', () => {
  const body =
    'command=%2Fsluice&text=abort+ro_1&user_id=U1&team_id=T1&trigger_id=1.2.3&response_url=https%3A%2F%2Fhooks.slack.com%2Fx';
  const now = () => String(Math.floor(Date.now() / 1000));
  const said = (path: string, headers: Headers) =>
    request(server).post(path).type('application/x-www-form-urlencoded').set(headers).send(body);
  const signed = (secret: string, time: string, text = body): Headers => ({
    'X-Slack-Request-Timestamp': time,
    'X-Slack-Signature': sign(secret, time, text),
  });
  const FORGED: readonly (readonly [string, () => Headers])[] = [
    ['without a signature', () => ({})],
    ['with a signature and no time', () => ({ 'X-Slack-Signature': sign(SIGNING_SECRET, now(), body) })],
    ['signed by another', () => signed('another secret', now())],
    ['of another body', () => signed(SIGNING_SECRET, now(), `${body}x`)],
    ['of an hour ago', () => signed(SIGNING_SECRET, String(Math.floor(Date.now() / 1000) - 3_600))],
    ['with the token of an administrator', () => bearer(world.tokens.admin)],
  ];

  it.each(FORGED)('%s is refused, and nothing is taken down', async (_, headers) => {
    await changesNothing(async () => {
      for (const path of ['/slack/commands', '/slack/interactions']) {
        const response = await said(path, headers());
        expect([path, response.status]).toEqual([path, 401]);
        expect(response.text).not.toMatch(INSIDE);
      }
    });
  });

  it('with its signature is heard', async () => {
    expect((await said('/slack/commands', signed(SIGNING_SECRET, now()))).status).toBe(200);
  });
});

describe('the sign-in', () => {
  it.each([
    '/login/oidc/callback',
    '/login/oidc/callback?code=x&state=y',
    `/login/oidc/callback?code=x&state=${createHash('sha256').digest('base64url')}`,
    '/login/oidc/callback?error=access_denied',
  ])('%s by a browser that has begun nothing opens no session', async (path) => {
    const response = await ask('get', path);
    expect([response.status, response.headers['location']]).toEqual([303, '/ui/login?trouble=lost']);
    expect(String(response.headers['set-cookie'])).not.toMatch(/(^|,)(__Host-)?sluice=/);
    expect(idp.asked.get('/token')).toBeUndefined();
  });

  it('is begun by no other site', async () => {
    const response = await ask('get', '/login/oidc', { as: { 'Sec-Fetch-Site': 'cross-site' } });
    expect([response.status, response.headers['location'], response.headers['set-cookie']]).toEqual([
      303,
      '/ui/login?next=%2Fui%2F',
      undefined,
    ]);
  });

  it('of a command line wants the page, somebody whom the provider has signed in, and a code', async () => {
    const [digest, state] = ['a'.repeat(43), 'b'.repeat(43)];
    const body = { port: '45678', challenge: digest, state, allow: true };
    const tokens: Headers[] = [{}, bearer(world.tokens.admin), { Cookie: await signedIn() }];
    await changesNothing(async () => {
      for (const as of tokens) {
        refused(await ask('post', '/login/cli', { as, body }), 403, 'cross_site', 'consent');
        refused(await ask('post', '/login/cli', { as: { ...as, ...OURS }, body }), 401, 'unauthenticated', 'consent');
        const brought = { code: digest, verifier: digest };
        refused(await ask('post', '/login/cli/token', { as, body: brought }), 401, 'unauthenticated', 'code');
      }
      const elsewhere = `/login/cli?${new URLSearchParams({ port: '45678', host: 'evil.example.com', challenge: digest, state })}`;
      refused(await ask('get', elsewhere), 400, 'invalid_parameter', 'begin');
    });
  });

  it('by token wants the page, and a token', async () => {
    const body = { token: world.tokens.admin };
    refused(await ask('post', '/ui/session', { body }), 403, 'cross_site', 'in');
    refused(await ask('delete', '/ui/session'), 403, 'cross_site', 'out');
    const wrong = { token: 'slc_nobody_0123456789' };
    refused(await ask('post', '/ui/session', { as: OURS, body: wrong }), 401, 'unauthenticated', 'in');
  });

  it('tells nobody anything before it', async () => {
    const { body } = await ask('get', '/ui/session');
    expect(body).toMatchObject({ principal: null, version: null, links: { prometheus: {} } });
    for (const path of ['/', '/ui', '/ui/rollouts/ro_1', '/ui/assets/main.js']) {
      const shown = await ask('get', path);
      expect([200, 302]).toContain(shown.status);
      expect(shown.headers['set-cookie']).toBeUndefined();
    }
  });
});
