/**
 * Generated from the OpenAPI document of the composed service: every call that asks for an act leaves exactly one row,
 * whatever becomes of it. A new route that leaves none, or that nobody has said how to call, fails here.
 */
import type { Express } from 'express';
import request from 'supertest';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AuditRow } from '../../src/app/audit/chain.ts';
import { BEFORE_ALL, follow, isBroken } from '../../src/app/audit/chain.ts';
import type { PrincipalRole } from '../../src/app/ports.ts';
import type { Service } from '../../src/compose.ts';
import { lifecycle } from '../../src/http/lifecycle.ts';
import type { ServerOptions } from '../../src/http/server.ts';
import { apiRoutes, createServer } from '../../src/http/server.ts';
import { type Composed, composed, fleet, plan } from '../support/composed.ts';
import { deafRecorder, quietLog } from '../support/quiet.ts';

interface Operation {
  readonly operationId: string;
  readonly method: 'get' | 'post';
  readonly path: string;
  readonly act: string | null;
  readonly hasBody: boolean;
}

let world: Composed;
let service: Service;
let app: Express;

const options = (): ServerOptions => ({
  usecases: service.useCases,
  migrations: service.migrations,
  fleets: service.fleets,
  tokens: service.tokens,
  audit: service.audit,
  recorder: deafRecorder,
  log: quietLog,
  ready: () => service.ready(),
  version: '0',
  trustedProxies: ['127.0.0.0/8', '::1'],
});

beforeAll(async () => {
  world = await composed((path, body) => post(path, body));
  service = world.service;
});
afterAll(() => world?.close());
beforeEach(async () => {
  // A new server: budgets of its own.
  app = createServer(options());
  await world.reset();
});

const rows = async (): Promise<readonly AuditRow[]> => {
  const { items } = await service.audit.list({}, 'oldest', 1000, null);
  return items;
};
/** The rows that `what` leaves. */
async function leaves<T>(what: () => Promise<T>): Promise<{ readonly answer: T; readonly left: readonly AuditRow[] }> {
  const before = (await rows()).length;
  const answer = await what();
  return { answer, left: (await rows()).slice(before) };
}

const post = (
  path: string,
  body?: unknown,
  as: PrincipalRole | null = 'admin',
  headers: Record<string, string> = {},
) => {
  const sent = request(app).post(path).set(headers);
  if (as !== null) sent.set('Authorization', `Bearer ${world.tokens[as]}`);
  return body === undefined ? sent : sent.send(body as object);
};

// ── the document ────────────────────────────────────────────────────────────────────────────────────────────────────

/** Read once, so that it can name the tests. */
const OPERATIONS: readonly Operation[] = await (async () => {
  const unasked = new Proxy({}, { get: () => undefined }) as never;
  const routes = apiRoutes(
    {
      usecases: { planSchema: {}, capabilities: [] } as never,
      migrations: unasked,
      fleets: unasked,
      tokens: unasked,
      audit: unasked,
      recorder: unasked,
      log: quietLog,
      ready: async () => [],
      version: '0',
    },
    lifecycle(),
  );
  return routes.map(({ operationId, method, path, audit, body }) => ({
    operationId,
    method,
    path,
    act: audit,
    hasBody: body !== null,
  }));
})();
const MUTATING = OPERATIONS.filter(({ act }) => act !== null);

describe('every call of the document', () => {
  it('that may change something names its act, and says here how it is asked', () => {
    const silentPosts = OPERATIONS.filter(({ method, act }) => method !== 'get' && act === null);
    expect(silentPosts.map(({ operationId }) => operationId)).toEqual(['backTestPlan']);
    expect(MUTATING.map(({ operationId }) => operationId).toSorted()).toEqual(Object.keys(world.asked).toSorted());
    expect(OPERATIONS.filter(({ method, act }) => method === 'get' && act !== null)).toEqual([]);
  });

  it('is in the document with its act', async () => {
    const { body } = await request(app).get('/openapi.json');
    const named = Object.values(body.paths as Record<string, Record<string, Record<string, unknown>>>)
      .flatMap((methods) => Object.values(methods))
      .filter((operation) => operation['x-audit-action'] !== undefined)
      .map((operation) => [operation['operationId'], operation['x-audit-action']]);
    expect(Object.fromEntries(named)).toEqual(
      Object.fromEntries(MUTATING.map(({ operationId, act }) => [operationId, act])),
    );
  });
});

describe.each(MUTATING)('$method $path', ({ operationId, path, act, hasBody }) => {
  const at = (id = 'ro_404'): string => path.replace('{id}', id);
  const kind = act?.split('.')[0];

  it('done: leaves one row, of whoever asked, with why and from where', async () => {
    const { id, body } = (await world.asked[operationId]?.()) ?? {};
    const { answer, left } = await leaves(() =>
      post(at(id), body, 'admin', {
        'User-Agent': 'sluice-cli/0.1.0 (ci gha)',
        'X-Request-Id': `req-${operationId}`,
        'X-Forwarded-For': '203.0.113.7',
      }),
    );
    expect(answer.status, answer.text).toBe(202);
    expect(left).toHaveLength(1);
    expect(left[0]).toMatchObject({
      action: act,
      outcome: 'done',
      actor: 'token ci-admin',
      via: 'ci',
      address: '203.0.113.7',
      userAgent: 'sluice-cli/0.1.0 (ci gha)',
      requestId: `req-${operationId}`,
      objectKind: kind,
      objectId: id ?? answer.body.id,
      made: id === undefined || answer.body.id === id ? null : answer.body.id,
      reason: id === undefined ? null : 'why',
    });
  });

  it.each<[string, PrincipalRole | null, string]>([
    ['nobody', null, 'unauthenticated'],
    ['a viewer', 'viewer', 'forbidden'],
  ])('refused to %s: leaves one row with what was tried', async (_, as, code) => {
    const { answer, left } = await leaves(() => post(at(), {}, as));
    expect(answer.body.code).toBe(code);
    expect(left).toHaveLength(1);
    expect(left[0]).toMatchObject({
      action: act,
      outcome: 'refused',
      code,
      actor: as === null ? 'anonymous' : 'token ci-viewer',
      objectId: path.includes('{id}') ? 'ro_404' : null,
    });
  });

  it.runIf(hasBody)('refused for its body: leaves one row', async () => {
    const { answer, left } = await leaves(() => post(at(), { 'no such field': 1 }));
    expect(answer.status).toBe(422);
    expect(left.map(({ action, outcome, code }) => [action, outcome, code])).toEqual([
      [act, 'refused', answer.body.code],
    ]);
  });

  it.runIf(path.includes('{id}'))('refused because nothing has the id: leaves one row', async () => {
    const { answer, left } = await leaves(() => post(at(), {}));
    expect([answer.status, left.map(({ code }) => code)]).toEqual([404, [answer.body.code]]);
  });
});

describe('what leaves another row, or none', () => {
  it('a dry run and a back-test leave none, also where they are refused', async () => {
    const { left } = await leaves(async () => {
      for (const as of ['admin', 'viewer', null] as const) {
        await post('/rollouts?dryRun=true', plan, as);
        await post('/fleet-rollouts?dryRun=true', fleet, as);
        await post('/analysis/backtest', plan, as);
      }
    });
    expect(left).toEqual([]);
  });

  it('a repeat of a start leaves a row that says so, and a command that is fulfilled already, too', async () => {
    const once = () => post('/rollouts', plan, 'admin', { 'Idempotency-Key': 'k1' });
    const { left } = await leaves(async () => {
      const { body } = await once();
      await once();
      await post(`/rollouts/${body.id}/resume`, {});
      const joined = await post('/rollouts', { ...plan, onConflict: 'join' });
      expect(joined.status).toBe(200);
      expect((await post('/rollouts', plan)).status).toBe(409);
    });
    expect(left.map(({ action, outcome, code }) => [action, outcome, code])).toEqual([
      ['rollout.start', 'done', null],
      ['rollout.start', 'done', 'replayed'],
      ['rollout.resume', 'done', 'unchanged'],
      ['rollout.start', 'done', 'joined'],
      ['rollout.start', 'refused', 'rollout_in_progress'],
    ]);
  });

  it('a retry of an ended rollout is one act, on the old one, that made the new one', async () => {
    const id = await world.started();
    await post(`/rollouts/${id}/abort`, {});
    const { answer, left } = await leaves(() => post(`/rollouts/${id}/retry`, { reason: 'again' }));
    expect(left).toHaveLength(1);
    expect(left[0]).toMatchObject({ action: 'rollout.retry', objectId: id, made: answer.body.id, reason: 'again' });
  });

  it('giving up is an act of its own, where it is refused, too', async () => {
    const id = await world.progressing();
    const { left } = await leaves(async () => {
      await post(`/rollouts/${id}/abort`, { giveUp: true, reason: 'by hand' });
      await post(`/rollouts/${id}/abort`, { giveUp: true }, 'deployer');
      await post(`/rollouts/${id}/abort`, { reason: 'gone' });
      await post(`/rollouts/${id}/abort`, { giveUp: true, reason: 'by hand' });
    });
    expect(left.map(({ action, outcome, code, reason }) => [action, outcome, code, reason])).toEqual([
      ['rollout.give_up', 'refused', 'not_rolling_back', 'by hand'],
      ['rollout.give_up', 'refused', 'forbidden', null],
      ['rollout.abort', 'done', null, 'gone'],
      ['rollout.give_up', 'done', null, 'by hand'],
    ]);
  });

  it('a token in any place of a request is in no row, and the chain is whole after all of this', async () => {
    const secret = world.tokens.admin;
    await post(`/rollouts/${secret}/pause`, { reason: `with ${secret}` }, 'admin', { 'User-Agent': secret });
    await post(`/rollouts/ro_1/pause`, {}, null, { Authorization: `Bearer ${secret}x`, 'X-Request-Id': secret });
    const all = await rows();
    expect(JSON.stringify(all)).not.toContain(secret.slice(0, 20));
    let head = BEFORE_ALL;
    for (const row of all) {
      const next = follow(head, row);
      if (isBroken(next)) throw new Error(next.message);
      head = next;
    }
    expect(head.seq).toBe(all.length);
  });
});
