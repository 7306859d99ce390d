/** A promotion is taken back by the real service, while its users send requests all the time. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { DEPLOYMENTS } from '../../src/sandbox/app.ts';
import { openApi } from '../../src/sandbox/data-plane/api.ts';
import type { RolloutView, Service } from '../../src/sandbox/demo/service.ts';
import { TERMINAL } from '../../src/sandbox/demo/service.ts';
import { NAMESPACE, SEEDS } from '../../src/sandbox/seeds.ts';
import { since } from '../../src/sandbox/traffic.ts';
import type { Loop } from '../e2e/closed-loop.ts';
import { rollOut, startLoop } from '../e2e/closed-loop.ts';

let loop: Loop;
let service: Service;
beforeAll(async () => {
  loop = await startLoop('istio', SEEDS.istio);
  service = await loop.service('postgres');
}, 120_000);
afterAll(() => loop?.stop());

interface Answer {
  readonly status: number;
  readonly body: RolloutView & { readonly code: string; readonly detail: string; readonly reverts: string | null };
}

async function rollback(id: string, body: object = {}): Promise<Answer> {
  const response = await fetch(`${service.url}/rollouts/${id}/rollback`, {
    method: 'POST',
    headers: { authorization: `Bearer ${service.token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Answer['body'] };
}

/** As a pipeline, or an autoscaler, does after a promotion; resolves when so many pods are ready. */
async function scaleStable(replicas: number): Promise<void> {
  const api = openApi(loop.sandbox.kubeApiUrl, NAMESPACE, 'pipeline');
  await api.merge(DEPLOYMENTS, 'myapp-v1', { spec: { replicas } });
  for (const until = Date.now() + 10_000; Date.now() < until; await sleep(50)) {
    const { status } = await api.get(DEPLOYMENTS, 'myapp-v1');
    const { readyReplicas = 0, replicas: seen = 0 } = status as { readyReplicas?: number; replicas?: number };
    if (readyReplicas === replicas && seen === replicas) return;
  }
  throw new Error(`myapp-v1 was not at ${replicas} ready pods in 10 s`);
}

it('puts the old version back in one write while it still runs, and refuses while it does not', {
  timeout: 90_000,
}, async () => {
  const { sandbox } = loop;
  const { rollout: first } = await rollOut(sandbox, service, 'myapp:2.0');
  expect(first.status, first.outcome?.message).toBe('succeeded');
  expect(await sandbox.weight()).toBe(100);

  await scaleStable(0);
  const gone = await rollback(first.id, { force: true });
  expect([gone.status, gone.body.code]).toEqual([409, 'stable_unavailable']);
  expect(gone.body.detail).toContain(`kubectl --namespace ${NAMESPACE} scale deployment myapp-v1 --replicas=2`);
  await scaleStable(1);
  const short = await rollback(first.id);
  expect([short.status, short.body.code]).toEqual([409, 'stable_short']);
  expect(short.body.detail).toContain('1 of 2 pods ready');
  expect(await sandbox.weight()).toBe(100);

  await scaleStable(2);
  const users = sandbox.users();
  const changes = sandbox.weights.length;
  const asked = await rollback(first.id, { reason: 'carts are empty' });
  expect([asked.status, asked.body.reverts], JSON.stringify(asked.body)).toEqual([202, first.id]);
  let back: RolloutView = asked.body;
  while (!TERMINAL.has(back.status)) back = await service.next(back.id, back.version, 20);
  expect(back).toMatchObject({ status: 'rolled_back', outcome: { code: 'reverted' } });
  expect(back.outcome?.message).toMatch(
    /^Rolled back by token demo .* after promotion: all traffic from myapp-v2 back to myapp-v1, rollout \S+ is taken back: carts are empty$/,
  );
  await sleep(500);
  expect(sandbox.weights.slice(changes).map(({ weight }) => weight)).toEqual([0]);
  expect((await service.writes(back.id)).map(({ canaryWeight, result }) => [canaryWeight, result])).toEqual([
    [0, 'applied'],
  ]);
  expect((await service.events(back.id)).map(({ type }) => type)).toEqual(['created', 'rollback_started', 'ended']);
  expect(since(sandbox.users(), users).failed).toBe(0);
  const settled = sandbox.users();
  await sleep(700);
  const { by } = since(sandbox.users(), settled);
  expect([by['myapp-v2']?.requests, (by['myapp-v1']?.requests ?? 0) > 20]).toEqual([0, true]);
  expect((await service.get(first.id)).status).toBe('succeeded');
  expect((await rollback(first.id)).body.id).toBe(back.id);
});
