/** The real server with the page, over use cases in memory, on a free port. */
import type { Principal, PrincipalRole } from '../../src/app/ports.ts';
import { listen } from '../../src/http/listen.ts';
import { pageRouter } from '../../src/http/page.ts';
import type { PageLinks } from '../../src/http/page-session.ts';
import { createServer } from '../../src/http/server.ts';
import { sessions as openSessions } from '../../src/http/session.ts';
import { type FakeFleets, fakeFleets } from '../support/fleets-fake.ts';
import { type FakeMigrations, fakeMigrations } from '../support/migrations-fake.ts';
import type { FakeUseCases } from '../support/usecases-fake.ts';
import { fakeUseCases, quietLog } from '../support/usecases-fake.ts';

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
  /** The clock of the sessions. */
  readonly now?: () => number;
}

export async function pageWorld(options: WorldOptions = {}): Promise<World> {
  const { fake = fakeUseCases(), heartbeat = 15_000, promised = heartbeat, publicUrl, now = Date.now } = options;
  const [fleets, migrations] = [fakeFleets(fake), fakeMigrations()];
  const key = options.key ?? 'a key for tests, long enough for all of them';
  const links = options.links ?? { prometheus: { default: 'http://127.0.0.1:9/prom' }, tools: [] };
  const revoked = new Set<string>();
  const authenticate = async (token: string): Promise<Principal | null> =>
    revoked.has(token) ? null : (principals.get(token) ?? null);
  const recorder = { httpRequest() {}, expose: async () => ({ contentType: 'text/plain', body: '' }) };
  const open = (port: number) => {
    const sessions = openSessions({ key, authenticate, publicUrl, now });
    const app = createServer({
      usecases: fake,
      audit: fake.audit,
      fleets,
      migrations,
      tokens: { authenticate },
      recorder,
      log: quietLog,
      ready: async () => [],
      version: '0.1.0-test',
      limits: { heartbeat },
      sessions,
      extraRouters: [
        pageRouter({
          sessions,
          authenticate,
          audit: fake.audit,
          log: quietLog,
          recorder,
          version: '0.1.0-test',
          heartbeat: promised,
          links,
        }),
      ],
      ...(publicUrl === undefined ? {} : { publicUrl }),
    });
    return listen(app, { host: '127.0.0.1', port });
  };
  let server = await open(0);
  const { port } = server;
  return {
    url: `http://127.0.0.1:${port}`,
    fake,
    fleets,
    migrations,
    revoked,
    key,
    stop: () => server.close(300),
    async start() {
      server = await open(port);
    },
  };
}
