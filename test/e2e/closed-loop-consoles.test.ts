/** As the demo runs it: what Jaeger and Kiali know of a release that went back is kept with it. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Stack, startStack } from '../../src/sandbox/demo/stack.ts';
import { rollOut } from './closed-loop.ts';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({ mesh: 'istio', redis: false, rps: 150 });
}, 120_000);
afterAll(() => stack?.stop());

interface Kept {
  readonly state: string;
  readonly items: readonly { readonly traceId: string; readonly summary: string; readonly link: string }[];
  readonly health: { readonly state: string; readonly message: string; readonly link: string };
}

it('a bad release has the trace ids of requests that failed, the health of then, and links that lead to both', {
  timeout: 120_000,
}, async () => {
  const { sandbox, service, consoles } = stack;
  const { rollout } = await rollOut(sandbox, service, 'myapp:bad', () => sandbox.setCanary({ errorRate: 0.5 }));
  expect(rollout.status, rollout.outcome?.message).toBe('rolled_back');
  const kept = async (): Promise<Kept> => {
    const response = await fetch(`${service.url}/rollouts/${rollout.id}/traces`, {
      headers: { authorization: `Bearer ${service.token}` },
    });
    return (await response.json()) as Kept;
  };
  await expect.poll(async () => (await kept()).items.length, { timeout: 60_000 }).toBeGreaterThan(0);
  const { items, health } = await kept();
  const known = new Set(sandbox.spans().map(({ traceId }) => traceId));
  for (const { traceId, summary } of items) {
    expect(known).toContain(traceId);
    expect(summary).toContain('HTTP 500');
  }
  expect(health).toMatchObject({ state: 'taken', message: expect.stringContaining('workload myapp-v2') });
  expect(items[0]?.link).toContain(`${consoles.jaeger.url}/trace/`);
  expect(await (await fetch(items[0]?.link ?? '')).text()).toContain('a stub of Jaeger');
  expect(await (await fetch(health.link)).text()).toContain('a stub of Kiali');
});
