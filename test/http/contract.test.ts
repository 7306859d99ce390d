/** Tests generated from the OpenAPI document: what it says of every operation is tried. */
import type { Express } from 'express';
import { beforeEach, describe, expect, it } from 'vitest';
import { PRINCIPAL_ROLES, StoreUnavailable } from '../../src/app/ports.ts';
import type { Act } from '../../src/app/usecases.ts';
import { may } from '../../src/app/usecases.ts';
import { isLive } from '../../src/domain/rollout.ts';
import { PROBLEM_CODES, PROBLEMS } from '../../src/http/problem.ts';
import type { Limits } from '../../src/http/server.ts';
import { createServer } from '../../src/http/server.ts';
import { memoryAudit } from '../support/audit.ts';
import { aPast, aSurvey } from '../support/evidence.ts';
import { fakeFleets, fleetDocument } from '../support/fleets-fake.ts';
import { fakeMigrations, migrationDocument } from '../support/migrations-fake.ts';
import { evaluation, fakeUseCases, planDocument, quietLog } from '../support/usecases-fake.ts';
import type { Harness } from './harness.ts';
import { harness } from './harness.ts';

interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly security?: readonly unknown[];
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required: boolean;
    readonly description: string;
    readonly schema: object;
  }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: object }>> };
  readonly responses: Readonly<
    Record<string, { readonly description: string; readonly content?: Readonly<Record<string, unknown>> }>
  >;
}
interface Document {
  readonly openapi: string;
  readonly info: { readonly version: string };
  readonly servers: readonly { readonly url: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, unknown>>; readonly securitySchemes: object };
}

type Method = 'get' | 'post';
/** The document of one server serves to name the tests; each test asks its own. */
const named = await (async () => {
  const app = createServer({
    usecases: fakeUseCases(),
    audit: memoryAudit(),
    fleets: fakeFleets(fakeUseCases()),
    migrations: fakeMigrations(),
    tokens: { authenticate: async () => null },
    recorder: { httpRequest() {}, expose: async () => ({ contentType: 'text/plain', body: '' }) },
    log: quietLog,
    ready: async () => [],
    version: '0',
  });
  return { app };
})();

/** Want a token, and nothing of the store beside it. */
const STORELESS: ReadonlySet<string> = new Set(['getMetrics', 'whoAmI']);

const ACTS: Readonly<Record<string, Act>> = {
  whoAmI: 'read',
  listAudit: 'audit',
  startRollout: 'start',
  listRollouts: 'read',
  getRollout: 'read',
  getPlan: 'read',
  getEvents: 'read',
  getMeasurements: 'read',
  getWrites: 'read',
  getEvidence: 'read',
  getTraces: 'read',
  promoteRollout: 'promote',
  pauseRollout: 'pause',
  resumeRollout: 'pause',
  abortRollout: 'abort',
  retryRollout: 'start',
  rollbackRollout: 'abort',
  getMetrics: 'read',
  backTestPlan: 'read',
  getMesh: 'read',
  getMetricsProviders: 'read',
  startFleetRollout: 'start',
  listFleetRollouts: 'read',
  getFleetRollout: 'read',
  promoteFleetRollout: 'promote',
  abortFleetRollout: 'abort',
  startMeshMigration: 'start',
  listMeshMigrations: 'read',
  getMeshMigration: 'read',
  abortMeshMigration: 'abort',
};
const OPEN = [
  'getHealth',
  'getReadiness',
  'getOpenApi',
  'getPlanSchema',
  'getProblem',
  'getMeshCapabilities',
  'getInstallPlan',
];

const documentOf = async (h: Harness): Promise<Document> =>
  (await h.call('get', '/openapi.json', { as: null })).body as Document;
const operationsOf = (document: Document): { method: Method; path: string; operation: Operation }[] =>
  Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ method: method as Method, path, operation })),
  );

const BODIES: Readonly<Record<string, unknown>> = {
  startRollout: planDocument(),
  backTestPlan: planDocument(),
  startFleetRollout: fleetDocument(),
  startMeshMigration: migrationDocument(),
};
const concrete = (path: string, id: string): string => path.replace('{id}', id).replace('{code}', 'not_found');

function breaks(h: Harness, error: Error): void {
  for (const fake of [h.fake, h.fleets, h.migrations]) fake.breakWith(error);
}

describe('every operation', () => {
  let h: Harness;
  let document: Document;
  beforeEach(async () => {
    h = await harness({ limits: { maxWait: 10 } satisfies Partial<Limits> });
    document = await documentOf(h);
  });

  it('has a name of its own, a summary, and its rights decided here', () => {
    const ids = operationsOf(document).map(({ operation }) => operation.operationId);
    expect(ids.toSorted()).toEqual([...Object.keys(ACTS), ...OPEN].toSorted());
    expect(new Set(ids).size).toBe(ids.length);
    for (const { operation } of operationsOf(document)) expect(operation.summary.length).toBeGreaterThan(5);
  });

  it('without a token: 401 with WWW-Authenticate, the open ones aside', async () => {
    for (const { method, path, operation } of operationsOf(document)) {
      const response = await h.call(method, concrete(path, 'ro_1'), { as: null });
      const isOpen = operation.security?.length === 0;
      expect(isOpen, operation.operationId).toBe(OPEN.includes(operation.operationId));
      expect(response.status === 401, operation.operationId).toBe(!isOpen);
      if (!isOpen) expect(response.headers['www-authenticate']).toBe('Bearer realm="sluice"');
    }
  });

  it.each([
    ['a token that nobody has', 'Bearer slc_nobody_0123456789'],
    ['a token of another maker', 'Bearer ghp_0123456789abcdef'],
    ['another scheme', 'Basic c2xjOnNsYw=='],
    ['a scheme alone', 'Bearer'],
    ['two tokens', 'Bearer slc_admin_0123456789abcdef, Bearer slc_admin_0123456789abcdef'],
    ['a token with a line break', 'Bearer slc_admin_0123456789abcdef\tx'],
  ])('with %s: 401', async (_, authorization) => {
    for (const { method, path, operation } of operationsOf(document)) {
      if (OPEN.includes(operation.operationId)) continue;
      const response = await h.call(method, concrete(path, 'ro_1'), {
        as: null,
        headers: { Authorization: authorization },
      });
      expect(response.status, operation.operationId).toBe(401);
      expect(response.headers['www-authenticate']).toMatch(/^Bearer realm="sluice"/);
      expect(response.text).not.toContain('0123456789');
    }
  });

  it.each(PRINCIPAL_ROLES)('as %s: 403 that names the roles that may, or no 403', async (role) => {
    for (const { method, path, operation } of operationsOf(document)) {
      const act = ACTS[operation.operationId];
      if (act === undefined) continue;
      const allowed = may({ id: '', name: '', role }, act);
      const body = BODIES[operation.operationId];
      const response = await h.call(method, concrete(path, 'ro_1'), {
        as: role,
        ...(body === undefined ? {} : { body }),
      });
      expect(response.status === 403, `${operation.operationId} as ${role}`).toBe(!allowed);
      if (allowed) continue;
      const able = PRINCIPAL_ROLES.filter((r) => may({ id: '', name: '', role: r }, act));
      for (const name of able) expect(response.body.detail).toContain(name);
      expect(response.headers['www-authenticate']).toContain('insufficient_scope');
    }
  });

  it('refuses a query parameter that it does not document, by name', async () => {
    const id = await h.started();
    for (const { method, path, operation } of operationsOf(document)) {
      const response = await h.call(method, `${concrete(path, id)}?surprise=1`, {
        body: BODIES[operation.operationId],
      });
      expect(response.status, operation.operationId).toBe(400);
      expect(response.body.errors).toEqual([
        expect.objectContaining({ parameter: 'surprise', code: 'unknown_parameter' }),
      ]);
    }
  });

  it('answers 503 with Retry-After while the database is away, where it needs it, and no word of the inside', async () => {
    const cause = Object.assign(new Error('connect ECONNREFUSED 10.0.0.7:5432'), { code: 'ECONNREFUSED' });
    const id = await h.started();
    breaks(h, new StoreUnavailable(`Postgres cannot be used now: ${cause.message}`, { cause }));
    for (const { method, path, operation } of operationsOf(document)) {
      const needsStore = ACTS[operation.operationId] !== undefined && !STORELESS.has(operation.operationId);
      const response = await h.call(method, concrete(path, id), { body: BODIES[operation.operationId] });
      if (!needsStore) {
        expect(response.status, operation.operationId).toBe(200);
        continue;
      }
      expect(response.status, operation.operationId).toBe(503);
      expect(response.body.code).toBe('store_unavailable');
      expect(response.headers['retry-after']).toBe('2');
      expect(response.text).not.toMatch(/10\.0\.0\.7|ECONN|Postgres/);
    }
    expect(h.log.filter((line) => line.level === 'error')).toEqual([]);
  });

  it('answers 500 to a bug without a word of the inside, and logs it with the request id', async () => {
    const id = await h.started();
    breaks(h, new TypeError("Cannot read properties of undefined (reading 'secret')"));
    for (const { method, path, operation } of operationsOf(document)) {
      if (ACTS[operation.operationId] === undefined || STORELESS.has(operation.operationId)) continue;
      h.log.length = 0;
      const response = await h.call(method, concrete(path, id), { body: BODIES[operation.operationId] });
      expect(response.status, operation.operationId).toBe(500);
      expect(response.body.code).toBe('internal');
      expect(response.text).not.toContain('secret');
      expect(response.text).not.toContain('undefined');
      const error = h.log.find((line) => line.level === 'error');
      expect(error?.fields).toMatchObject({ requestId: response.body.requestId, err: expect.any(TypeError) });
    }
  });

  it('405 with Allow for every other method', async () => {
    const id = await h.started();
    for (const [path, item] of Object.entries(document.paths)) {
      for (const method of ['get', 'post', 'put', 'delete', 'patch', 'options'] as const) {
        if (method in item) continue;
        const response = await h.call(method, concrete(path, id));
        expect(response.status, `${method} ${path}`).toBe(405);
        expect(response.body.code).toBe('method_not_allowed');
        const allowed = String(response.headers['allow']).split(', ');
        expect(allowed.filter((m) => m !== 'HEAD').map((m) => m.toLowerCase())).toEqual(Object.keys(item));
      }
    }
  });
});

/** What must have been done before, so that an operation has something to answer about: the id, and what is sent. */
type Arranged = { readonly id: string; readonly body?: unknown };
const id = async (answer: Promise<{ readonly body: { readonly id: string } }>): Promise<string> =>
  (await answer).body.id;
const aFleet = (h: Harness) => id(h.call('post', '/fleet-rollouts', { body: fleetDocument() }));
const aMigration = (h: Harness) => id(h.call('post', '/mesh-migrations', { body: migrationDocument() }));
const standing = async (h: Harness): Promise<string> => {
  const rollout = await h.started();
  await h.fake.toFirstStep(rollout);
  return rollout;
};
async function promoted(h: Harness, rollout: string): Promise<void> {
  let seen = await h.fake.toFirstStep(rollout);
  while (isLive(seen)) seen = await h.fake.tick(rollout, { measurements: [evaluation(seen, 'pass')] });
}
const arrange: Readonly<Record<string, (h: Harness) => Promise<Arranged>>> = {
  startRollout: async () => ({ id: '', body: planDocument() }),
  backTestPlan: async (h) => {
    h.fake.surveyWith(aSurvey({ history: aPast({ hours: 1, pods: 6 }), bounds: [] }));
    const checks = [{ name: 'errors', kind: 'error-rate', max: '30%', minSamples: 5 }];
    return { id: '', body: planDocument({ steps: [{ weight: 25, hold: '2m' }], analysis: { checks } }) };
  },
  promoteRollout: async (h) => ({ id: await standing(h), body: { expectedStep: 0 } }),
  pauseRollout: async (h) => ({ id: await standing(h), body: { reason: 'lunch' } }),
  resumeRollout: async (h) => {
    const rollout = await standing(h);
    await h.call('post', `/rollouts/${rollout}/pause`);
    return { id: rollout };
  },
  abortRollout: async (h) => ({ id: await standing(h) }),
  retryRollout: async (h) => {
    const rollout = await h.started();
    await h.call('post', `/rollouts/${rollout}/abort`);
    return { id: rollout };
  },
  rollbackRollout: async (h) => {
    const rollout = await h.started(planDocument({ steps: [{ weight: 50, hold: '0s' }] }));
    await promoted(h, rollout);
    h.fake.cluster(100);
    return { id: rollout };
  },
  getMesh: async () => ({ id: 'default' }),
  getMetricsProviders: async () => ({ id: '' }),
  startFleetRollout: async () => ({ id: '', body: fleetDocument() }),
  getFleetRollout: async (h) => ({ id: await aFleet(h) }),
  promoteFleetRollout: async (h) => {
    const fleet = await aFleet(h);
    await h.fleets.look(fleet, { east: { status: 'succeeded' } });
    await h.fleets.look(fleet);
    return { id: fleet, body: { expectedWave: 0, expectedAwaiting: 'approval' } };
  },
  abortFleetRollout: async (h) => ({ id: await aFleet(h), body: { expectedAwaiting: null, reason: 'wrong image' } }),
  startMeshMigration: async () => ({ id: '', body: migrationDocument() }),
  getMeshMigration: async (h) => ({ id: await aMigration(h) }),
  abortMeshMigration: async (h) => ({ id: await aMigration(h), body: { expectedStatus: 'pending' } }),
};

describe('an operation that goes well', () => {
  it('answers each with a body that it declares', { timeout: 120_000 }, async () => {
    const names = operationsOf(await documentOf(await harness())).map(({ operation }) => operation.operationId);
    for (const name of names) {
      const h = await harness({ limits: { maxWait: 10 } satisfies Partial<Limits> });
      const { method, path } =
        operationsOf(await documentOf(h)).find((one) => one.operation.operationId === name) ?? {};
      const { id: about, body } = (await arrange[name]?.(h)) ?? { id: await h.started() };
      // The harness holds every answer against the route's declaration.
      const response = await h.call(method ?? 'get', concrete(path ?? '', about), { body });
      expect(response.status, `${name}: ${response.text}`).toBeLessThan(300);
    }
  });
});

describe('the document', () => {
  it('is OpenAPI 3.1 with this version and the public URL', async () => {
    const h = await harness({ publicUrl: 'https://deploy.example.com/sluice' });
    const document = await documentOf(h);
    expect(document.openapi).toBe('3.1.0');
    expect(document.info.version).toBe('0.1.0-test');
    expect(document.servers).toEqual([{ url: 'https://deploy.example.com/sluice' }]);
  });

  it('lists exactly the paths and methods that Express serves', async () => {
    const h = await harness();
    const document = await documentOf(h);
    const served = servedBy(named.app);
    const documented = operationsOf(document).map(({ method, path }) => `${method} ${path}`);
    expect(served.toSorted()).toEqual(documented.toSorted());
    for (const path of [
      '/rollouts',
      '/rollouts/{id}',
      '/rollouts/{id}/events',
      '/rollouts/{id}/measurements',
      '/openapi.json',
      '/healthz',
      '/readyz',
      '/metrics',
    ])
      expect(Object.keys(document.paths)).toContain(path);
  });

  it('refers only to what is there, shares what is used twice, and has nothing left over', async () => {
    const h = await harness();
    const document = await documentOf(h);
    const refs = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map((m) => m[1] ?? '');
    const names = Object.keys(document.components.schemas);
    for (const ref of refs) expect(names.map((name) => `#/components/schemas/${name}`)).toContain(ref);
    for (const name of names)
      expect(refs, `component ${name} is used nowhere`).toContain(`#/components/schemas/${name}`);
    for (const shared of ['Rollout', 'Status', 'Outcome', 'Fact', 'Problem', 'Plan', 'Finding'])
      expect(names).toContain(shared);
    expect(refs.filter((ref) => ref === '#/components/schemas/Rollout').length).toBeGreaterThan(5);
  });

  it('describes every path parameter and every parameter', async () => {
    const h = await harness();
    for (const { path, operation } of operationsOf(await documentOf(h))) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map((m) => m[1]);
      const parameters = operation.parameters ?? [];
      expect(parameters.filter((p) => p.in === 'path').map((p) => p.name)).toEqual(inPath);
      for (const p of parameters) {
        expect(p.description.length, `${operation.operationId} ${p.name}`).toBeGreaterThan(5);
        expect(p.required).toBe(p.in === 'path');
        expect(p.schema).toHaveProperty('type');
      }
    }
  });

  it('has for every operation an answer that is no problem, and problems as problem+json', async () => {
    const h = await harness();
    for (const { operation } of operationsOf(await documentOf(h))) {
      const statuses = Object.keys(operation.responses).map(Number);
      expect(statuses.some((status) => status < 300)).toBe(true);
      for (const [status, response] of Object.entries(operation.responses)) {
        expect(response.description.length).toBeGreaterThan(3);
        if (Number(status) >= 400) expect(Object.keys(response.content ?? {})).toEqual(['application/problem+json']);
      }
      if (!OPEN.includes(operation.operationId)) expect(statuses).toEqual(expect.arrayContaining([401, 403, 429, 503]));
    }
  });

  it('describes the body of a start by the schema of a plan, in JSON and YAML', async () => {
    const h = await harness();
    const document = await documentOf(h);
    const body = document.paths['/rollouts']?.['post']?.requestBody?.content ?? {};
    expect(Object.keys(body)).toEqual(['application/json', 'application/yaml', 'application/x-yaml', 'text/yaml']);
    const plan = { $ref: '#/components/schemas/Plan' };
    const foreign = { $ref: '#/components/schemas/ForeignDocuments' };
    for (const { schema } of Object.values(body)) expect(schema).toEqual({ anyOf: [plan, foreign] });
    expect(document.components.schemas['Plan']).toMatchObject({
      type: 'object',
      required: expect.arrayContaining(['target', 'steps']),
    });
  });
});

describe('the table of problems', () => {
  it('is served: every type is a path that describes its code', async () => {
    const h = await harness();
    for (const code of PROBLEM_CODES) {
      const response = await h.call('get', `/problems/${code}`, { as: null });
      expect(response.body).toMatchObject({ code, status: PROBLEMS[code].status, title: PROBLEMS[code].title });
    }
    for (const code of ['nope', '__proto__', 'constructor'])
      expect((await h.call('get', `/problems/${code}`, { as: null })).status).toBe(404);
  });

  it('is the table of docs/api.md', async () => {
    const { readFile } = await import('node:fs/promises');
    const text = await readFile(new URL('../../docs/api.md', import.meta.url), 'utf8');
    const rows = [...text.matchAll(/^\| `(\w+)` \| (\d{3}) \| (.+?) \| (.+?) \|$/gm)].map((m) => [
      m[1],
      Number(m[2]),
      m[3],
      m[4],
    ]);
    expect(rows).toEqual(
      PROBLEM_CODES.map((code) => [code, PROBLEMS[code].status, PROBLEMS[code].title, PROBLEMS[code].suggestion]),
    );
  });

  it('has every path and every status of a rollout in docs/api.md', async () => {
    const { readFile } = await import('node:fs/promises');
    const text = await readFile(new URL('../../docs/api.md', import.meta.url), 'utf8');
    const h = await harness();
    for (const { method, path } of operationsOf(await documentOf(h)))
      expect(text, `${method} ${path}`).toContain(`${method.toUpperCase()} ${path}`);
    for (const status of [
      'pending',
      'progressing',
      'paused',
      'rolling_back',
      'succeeded',
      'rolled_back',
      'aborted',
      'superseded',
      'failed',
    ])
      expect(text).toContain(`\`${status}\``);
  });
});

/** Method and path of every handler in Express, those that only refuse aside. */
function servedBy(app: Express): string[] {
  const { stack } = app.router as unknown as {
    stack: { route?: { path: string; methods: Record<string, boolean> } }[];
  };
  return stack.flatMap(({ route }) => {
    if (route === undefined) return [];
    const methods = Object.keys(route.methods).filter((method) => route.methods[method]);
    // `all` registers every method there is: those are the answers with 405.
    if (methods.length > 2) return [];
    return methods.map((method) => `${method} ${route.path.replaceAll(/:(\w+)/g, '{$1}')}`);
  });
}
