/**
 * A server on a free port with the use cases in memory. Every answer of every test is held against the route's own
 * declaration: status, content type, body without undocumented fields, and the headers that all answers carry.
 */
import type { Response } from 'supertest';
import request from 'supertest';
import { afterEach, expect } from 'vitest';
import type { Logger, Principal, PrincipalRole } from '../../src/app/ports.ts';
import { lifecycle } from '../../src/http/lifecycle.ts';
import type { Listening, ListenOptions } from '../../src/http/listen.ts';
import { listen } from '../../src/http/listen.ts';
import type { ProblemCode } from '../../src/http/problem.ts';
import { PROBLEM_CODES, PROBLEMS } from '../../src/http/problem.ts';
import type { NotReady } from '../../src/http/readiness.ts';
import type { Route } from '../../src/http/route.ts';
import { problemSchema } from '../../src/http/schemas.ts';
import type { ServerOptions } from '../../src/http/server.ts';
import { apiRoutes, createServer } from '../../src/http/server.ts';
import type { FakeFleets } from '../support/fleets-fake.ts';
import { fakeFleets } from '../support/fleets-fake.ts';
import type { FakeMigrations } from '../support/migrations-fake.ts';
import { fakeMigrations } from '../support/migrations-fake.ts';
import type { FakeUseCases } from '../support/usecases-fake.ts';
import { fakeUseCases } from '../support/usecases-fake.ts';

export const TOKENS: Readonly<Record<PrincipalRole, string>> = {
  viewer: 'slc_viewer_0123456789abcdef',
  deployer: 'slc_deployer_0123456789abcdef',
  approver: 'slc_approver_0123456789abcdef',
  admin: 'slc_admin_0123456789abcdef',
};

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly fields: object;
  readonly message: string;
}

export interface CallOptions {
  /** Default: admin. null: none. */
  readonly as?: PrincipalRole | null;
  readonly headers?: Readonly<Record<string, string>>;
  /** An object is sent as JSON, anything else as it is. */
  readonly body?: unknown;
  readonly type?: string;
}

export interface Harness {
  readonly fake: FakeUseCases;
  readonly fleets: FakeFleets;
  readonly migrations: FakeMigrations;
  readonly routes: readonly Route[];
  readonly base: string;
  readonly server: Listening;
  readonly log: LogLine[];
  readonly recorded: {
    readonly route: string;
    readonly method: string;
    readonly status: number;
    readonly took: number;
  }[];
  readonly revoked: Set<string>;
  missing: readonly NotReady[];
  call(
    method: 'get' | 'post' | 'put' | 'delete' | 'head' | 'options' | 'patch',
    path: string,
    options?: CallOptions,
  ): Promise<Response>;
  /** Starts a rollout of the documentation's plan and answers its id. */
  started(plan?: Record<string, unknown>): Promise<string>;
}

const open: Harness[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((h) => h.server.close(1_000)));
});

const principals = new Map<string, Principal>(
  Object.entries(TOKENS).map(([role, token]) => [
    token,
    { id: `tok_${role}`, name: `token ci-${role}`, role: role as PrincipalRole },
  ]),
);

export async function harness(
  over: Partial<ServerOptions> = {},
  listening: Partial<ListenOptions> = {},
): Promise<Harness> {
  const fake = fakeUseCases();
  const [fleets, migrations] = [fakeFleets(fake), fakeMigrations()];
  const log: LogLine[] = [];
  const recorded: Harness['recorded'] = [];
  const revoked = new Set<string>();
  const self = { missing: [] as readonly NotReady[] };
  const options: ServerOptions = {
    usecases: fake,
    audit: fake.audit,
    fleets,
    migrations,
    tokens: { authenticate: async (token) => (revoked.has(token) ? null : (principals.get(token) ?? null)) },
    recorder: {
      httpRequest: (route, method, status, took) => void recorded.push({ route, method, status, took }),
      expose: async () => ({
        contentType: 'text/plain; version=0.0.4; charset=utf-8',
        body: '# HELP sluice_up Up.\nsluice_up 1\n',
      }),
    },
    log: keeping(log),
    ready: async () => self.missing,
    version: '0.1.0-test',
    ...over,
  };
  const routes = apiRoutes(options, lifecycle());
  const server = await listen(createServer(options), { host: '127.0.0.1', port: 0, ...listening });
  const base = `http://127.0.0.1:${server.port}`;

  const h: Harness = Object.assign(self, {
    fake,
    fleets,
    migrations,
    routes,
    base,
    server,
    log,
    recorded,
    revoked,
    async call(
      method: Parameters<Harness['call']>[0],
      path: string,
      { as = 'admin', headers = {}, body, type }: CallOptions = {},
    ) {
      let sent = request(base)[method](path).redirects(0);
      if (as !== null) sent = sent.set('Authorization', `Bearer ${TOKENS[as]}`);
      for (const [name, value] of Object.entries(headers)) sent = sent.set(name, value);
      if (type !== undefined) sent = sent.set('Content-Type', type);
      const response = await (body === undefined ? sent : sent.send(body as string | object));
      conforms(routes, method, path, response);
      return response;
    },
    async started(plan?: Record<string, unknown>) {
      const { planDocument } = await import('../support/usecases-fake.ts');
      const response = await h.call('post', '/rollouts', { body: plan ?? planDocument() });
      expect(response.status, response.text).toBe(202);
      return String(response.body.id);
    },
  });
  open.push(h);
  return h;
}

function keeping(lines: LogLine[], bound: object = {}): Logger {
  const keep =
    (level: LogLine['level']) =>
    (fields: object, message: string): void =>
      void lines.push({ level, fields: { ...bound, ...fields }, message });
  return {
    debug: keep('debug'),
    info: keep('info'),
    warn: keep('warn'),
    error: keep('error'),
    child: (fields) => keeping(lines, { ...bound, ...fields }),
  };
}

export const routeOf = (routes: readonly Route[], method: string, path: string): Route | undefined => {
  const bare = path.split('?')[0] ?? '';
  const matches = (template: string): boolean =>
    new RegExp(`^${template.replaceAll(/\{\w+\}/g, '[^/]+')}/?$`).test(bare);
  return routes.find((r) => (r.method === method || (method === 'head' && r.method === 'get')) && matches(r.path));
};

/** Holds an answer against what its route declares. Answers to unknown paths and methods must be problems too. */
export function conforms(routes: readonly Route[], method: string, path: string, response: Response): void {
  carriesTheHeaders(response);
  const route = routeOf(routes, method, path);
  const { status } = response;
  const spec = route?.responses[status];
  if (route !== undefined && spec !== undefined) {
    if (spec.body === undefined || method === 'head') return;
    const type = response.type;
    if (spec.stream !== undefined && type === spec.stream) return;
    expect(type, `${method} ${path}`).toBe(spec.type ?? 'application/json');
    const body: unknown = spec.type === 'text/plain' ? response.text : JSON.parse(response.text);
    const parsed = spec.body.safeParse(body);
    expect(
      parsed.success ? [] : parsed.error.issues,
      `${method} ${path} answered a body that it does not declare`,
    ).toEqual([]);
    // Undocumented fields are cut off by the schema, so that the comparison finds them.
    expect(parsed.data, `${method} ${path} answered fields that it does not declare`).toEqual(body);
    return;
  }
  if (method === 'head') return;
  isProblem(response);
  if (route === undefined) return;
  const code = response.body.code as ProblemCode;
  expect(route.problems, `${route.operationId} answered ${code}, which it does not declare`).toContain(code);
}

export function isProblem(response: Response): void {
  expect(response.headers['content-type'], response.text).toBe('application/problem+json');
  const body: unknown = JSON.parse(response.text);
  const parsed = problemSchema.safeParse(body);
  expect(parsed.success ? [] : parsed.error.issues, response.text).toEqual([]);
  expect(parsed.data).toEqual(body);
  const problem = body as { code: ProblemCode; status: number; type: string; title: string; requestId: string };
  expect(PROBLEM_CODES).toContain(problem.code);
  expect(problem.status).toBe(response.status);
  expect(problem.status).toBe(PROBLEMS[problem.code].status);
  expect(problem.type).toBe(`/problems/${problem.code}`);
  expect(problem.title).toBe(PROBLEMS[problem.code].title);
  expect(problem.requestId).toBe(response.headers['x-request-id']);
  expect(response.headers['cache-control']).toBe('no-store');
}

function carriesTheHeaders({ headers }: Response): void {
  expect(headers['x-request-id']).toMatch(/^[A-Za-z0-9._:-]{1,128}$/);
  expect(headers['content-security-policy']).toContain("default-src 'self'");
  expect(headers['content-security-policy']).toContain("frame-ancestors 'none'");
  expect(headers['x-content-type-options']).toBe('nosniff');
  expect(headers['x-frame-options']).toBe('DENY');
  expect(headers['referrer-policy']).toBe('no-referrer');
  expect(headers['cache-control'] ?? 'no-store').not.toBe('');
  expect(headers['x-powered-by']).toBeUndefined();
}
