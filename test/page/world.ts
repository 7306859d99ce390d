/** The real server with the page, over use cases in memory, on a free port. */

import { type AddressInfo, createServer as createNetServer } from 'node:net';
import { openIssuer } from '../../src/adapters/oidc/issuer.ts';
import { openSignOn } from '../../src/adapters/oidc/sign-on.ts';
import type { Principal, PrincipalRole } from '../../src/app/ports.ts';
import { type Person, principalOfPerson } from '../../src/app/trust/login.ts';
import { CALLBACK_PATH, type LoginCodes, type LoginGrant } from '../../src/app/trust/ports.ts';
import type { LoginTrust } from '../../src/app/trust/trust.ts';
import { cliLoginRouter } from '../../src/http/cli-login.ts';
import { listen } from '../../src/http/listen.ts';
import { pageRouter } from '../../src/http/page.ts';
import type { PageLinks } from '../../src/http/page-session.ts';
import { createServer } from '../../src/http/server.ts';
import { sessions as openSessions } from '../../src/http/session.ts';
import { sessionTokens } from '../../src/http/session-token.ts';
import { SIGN_ON_PATH, signOnRouter } from '../../src/http/sign-on.ts';
import { deliveriesKept } from '../support/deliveries-fake.ts';
import { type FakeFleets, fakeFleets } from '../support/fleets-fake.ts';
import { type FakeMigrations, fakeMigrations } from '../support/migrations-fake.ts';
import type { OidcIssuer } from '../support/oidc-issuer.ts';
import type { FakeUseCases } from '../support/usecases-fake.ts';
import { fakeUseCases, quietLog } from '../support/usecases-fake.ts';

/** Of the service, at the provider of the tests. */
export const CLIENT_ID = 'sluice';

export const TOKENS: Readonly<Record<PrincipalRole, string>> = {
  viewer: 'slc_viewer_0123456789abcdef',
  deployer: 'slc_deployer_0123456789abcdef',
  approver: 'slc_approver_0123456789abcdef',
  admin: 'slc_admin_0123456789abcdef',
};

const principals = new Map<string, Principal>(
  (Object.entries(TOKENS) as [PrincipalRole, string][]).map(([role, token]) => [
    token,
    { id: `tok_${role}`, name: `token ana-${role}`, role },
  ]),
);

export interface World {
  readonly url: string;
  readonly fake: FakeUseCases;
  readonly fleets: FakeFleets;
  readonly migrations: FakeMigrations;
  readonly deliveries: ReturnType<typeof deliveriesKept>;
  readonly revoked: Set<string>;
  readonly key: string;
  /** Stops the server; `start` brings it back on the same port. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

export interface WorldOptions {
  readonly fake?: FakeUseCases;
  readonly heartbeat?: number;
  /** The heartbeat that the page is promised, where the server does not keep it. */
  readonly promised?: number;
  readonly links?: PageLinks;
  readonly publicUrl?: string;
  readonly key?: string;
  /** People may also sign in here; the client is that issuer's audience and has this secret. */
  readonly signOn?: {
    readonly idp: OidcIssuer;
    readonly clientSecret: string | null;
    readonly trust?: Partial<LoginTrust>;
  };
  /** The clock of the sessions. */
  readonly now?: () => number;
}

export async function pageWorld(options: WorldOptions = {}): Promise<World> {
  const { fake = fakeUseCases(), heartbeat = 15_000, promised = heartbeat, now = Date.now } = options;
  const [fleets, migrations, deliveries] = [fakeFleets(fake), fakeMigrations(), deliveriesKept()];
  const key = options.key ?? 'a key for tests, long enough for all of them';
  const links = options.links ?? { prometheus: { default: 'http://127.0.0.1:9/prom' } };
  const revoked = new Set<string>();
  const authenticate = async (token: string): Promise<Principal | null> =>
    revoked.has(token) ? null : (principals.get(token) ?? null);
  // The provider is told the address to come back to before the server is there.
  const wanted = options.signOn === undefined ? 0 : await freePort();
  const publicUrl = options.publicUrl ?? (options.signOn === undefined ? undefined : `http://127.0.0.1:${wanted}`);
  const signOn = options.signOn === undefined ? null : provider(options.signOn, publicUrl ?? '', now);
  const recorder = { httpRequest() {}, expose: async () => ({ contentType: 'text/plain', body: '' }) };
  const open = (port: number) => {
    const sessions = openSessions({
      key,
      authenticate,
      publicUrl,
      now,
      ...(signOn === null ? {} : { people: signOn.people }),
    });
    const app = createServer({
      usecases: fake,
      audit: fake.audit,
      fleets,
      migrations,
      deliveries,
      tokens: { authenticate },
      recorder,
      log: quietLog,
      ready: async () => [],
      version: '0.1.0-test',
      limits: { heartbeat },
      sessions,
      extraRouters: [
        ...(signOn === null
          ? []
          : [
              signOnRouter({
                signOn: signOn.signOn,
                people: signOn.people,
                audit: fake.audit,
                sessions,
                key,
                publicUrl: publicUrl ?? '',
                now,
                log: quietLog,
              }),
              cliLoginRouter({
                sessions,
                people: signOn.people,
                codes: memoryCodes(),
                tokens: sessionTokens(key, signOn.people, now),
                audit: fake.audit,
                log: quietLog,
              }),
            ]),
        pageRouter({
          sessions,
          authenticate,
          audit: fake.audit,
          log: quietLog,
          recorder,
          version: '0.1.0-test',
          heartbeat: promised,
          links,
          signOn: signOn === null ? null : { label: signOn.signOn.label, href: SIGN_ON_PATH },
        }),
      ],
      ...(publicUrl === undefined ? {} : { publicUrl }),
    });
    return listen(app, { host: '127.0.0.1', port });
  };
  let server = await open(wanted);
  const { port } = server;
  return {
    url: `http://127.0.0.1:${port}`,
    fake,
    fleets,
    migrations,
    deliveries,
    revoked,
    key,
    stop: () => server.close(300),
    async start() {
      server = await open(port);
    },
  };
}

function provider(
  { idp, clientSecret, trust: over = {} }: NonNullable<WorldOptions['signOn']>,
  publicUrl: string,
  now: () => number,
) {
  const trust: LoginTrust = {
    issuer: idp.issuer,
    clientId: CLIENT_ID,
    label: 'Example',
    scopes: ['openid', 'profile', 'email'],
    groupsClaim: 'groups',
    persons: ['{email}'],
    trustUnverifiedEmail: false,
    session: 8 * 3_600_000,
    roles: [
      { group: 'platform', role: 'admin', scope: null },
      { group: 'sre', role: 'approver', scope: null },
    ],
    ...over,
  };
  const issuer = openIssuer({ issuer: idp.issuer, now });
  const redirectUri = `${publicUrl}${CALLBACK_PATH}`;
  return {
    signOn: openSignOn({ trust, issuer, clientSecret, redirectUri }),
    people: { principalOf: (person: Person) => principalOfPerson(trust, person), lasts: trust.session },
  };
}

function memoryCodes(): LoginCodes {
  const kept = new Map<string, LoginGrant>();
  return {
    keep: async (code, grant) => void kept.set(code, grant),
    async take(code) {
      const found = kept.get(code) ?? null;
      kept.delete(code);
      return found;
    },
  };
}

async function freePort(): Promise<number> {
  const server = createNetServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
