/** "Traffic mirroring", closed loop: copies reach the canary, nobody's answer changes, and no order is placed twice. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import { openApi } from '../../src/sandbox/data-plane/api.ts';
import { HTTP_ROUTES } from '../../src/sandbox/data-plane/cluster-view.ts';
import { type Service, TERMINAL } from '../../src/sandbox/demo/service.ts';
import type { RunningCaller } from '../../src/sandbox/sandbox.ts';
import { NAMESPACE, SEEDS } from '../../src/sandbox/seeds.ts';
import type { Loop } from '../e2e/closed-loop.ts';
import { plan, startLoop } from '../e2e/closed-loop.ts';
import type { Steps } from '../e2e/steps.ts';
import { stepsOf } from '../e2e/steps.ts';

const SEED = SEEDS.istio;
/** Workload of the callers that place orders. */
const ORDERS = 'orders';

interface Rule {
  readonly name?: string;
  readonly match?: readonly object[];
  readonly route: readonly { readonly destination: { readonly subset: string }; readonly weight?: number }[];
  readonly mirror?: object;
  readonly mirrorPercentage?: object;
}

let loop: Loop;
let service: Service;
let steps: Steps;
let orders: RunningCaller;
beforeAll(async () => {
  loop = await startLoop('istio');
  service = await loop.service('postgres');
  steps = stepsOf(loop, service);
  orders = await loop.sandbox.call({ workload: ORDERS, method: 'POST', rps: 30 });
}, 90_000);
afterAll(async () => {
  await orders?.stop();
  await service?.stop();
  await loop?.stop();
});

const api = () => openApi(loop.sandbox.kubeApiUrl, NAMESPACE, 'test');
const route = (): Promise<KubeObject> => api().get(SEED.route.kind, SEED.route.name);
const rulesOf = ({ spec }: KubeObject): readonly Rule[] => (spec as { http: readonly Rule[] }).http;
const ownOf = (object: KubeObject): readonly Rule[] =>
  rulesOf(object).filter(({ name }) => name?.startsWith('sluice-') === true);

/** Requests that the version's own proxies have counted so far. */
async function arrived(workload: string, more: string): Promise<number> {
  const query = `sum(istio_requests_total{reporter="destination",destination_workload="${workload}",${more}})`;
  const url = `${loop.sandbox.prometheusUrl}/api/v1/query?query=${encodeURIComponent(query)}`;
  const { data } = (await (await fetch(url)).json()) as { data: { result: { value: [number, string] }[] } };
  return Number(data.result[0]?.value[1] ?? 0);
}

const fromOrders = `source_workload="${ORDERS}"`;
const fromUsers = `source_workload!="${ORDERS}"`;

describe('a mirror step', () => {
  it('copies the wanted part of safe requests at weight 0/100, unseen by users, and is gone with the first weight', {
    timeout: 90_000,
  }, async () => {
    const { sandbox } = loop;
    // Every second copy fails: were an answer of the canary's ever a user's, it would be seen.
    await sandbox.release('myapp:mirror', { errorRate: 0.5 });
    const users = sandbox.users();
    const ordered = orders.traffic.users();
    const served = await arrived('myapp-v1', fromOrders);
    const { id } = await service.start({
      ...plan(sandbox),
      steps: [
        { mirror: { percent: '40%' }, hold: '1h' },
        { weight: 20, hold: '1h' },
      ],
      analysis: { interval: '1s', evidence: { mode: 'off' }, checks: [] },
    });
    await steps.reached(id, 0);
    const mirroring = await route();
    expect(ownOf(mirroring)).toMatchObject([
      {
        name: `sluice-${id}-mirror-0`,
        match: [{ uri: { prefix: '/api' }, method: { regex: 'GET|HEAD|OPTIONS' } }],
        route: [{ destination: { subset: 'v1' } }],
        mirror: { subset: 'v2' },
        mirrorPercentage: { value: 40 },
      },
    ]);
    expect(SEED.canaryWeight(mirroring)).toBe(0);
    while ((await arrived('myapp-v2', `${fromUsers},response_code="500"`)) < 20) await sleep(200);
    while ((await arrived('myapp-v1', fromOrders)) < served + 30) await sleep(200);
    expect(await arrived('myapp-v2', fromOrders)).toBe(0);
    expect(sandbox.users().failed).toBe(users.failed);
    expect(orders.traffic.users().failed).toBe(ordered.failed);
    expect(sandbox.users().by['myapp-v2']?.requests ?? 0).toBe(users.by['myapp-v2']?.requests ?? 0);

    await service.promote(id);
    await steps.until(id, ({ step }) => step === 1);
    await steps.reached(id, 1);
    const weighted = await route();
    expect(SEED.canaryWeight(weighted)).toBe(20);
    expect(ownOf(weighted)).toEqual([]);
    expect(rulesOf(weighted).filter(({ mirror }) => mirror !== undefined)).toEqual([]);
    await service.abort(id);
    expect(TERMINAL.has((await steps.ended(id)).status)).toBe(true);
  });

  it('copies orders too where the plan says that all are safe to repeat', { timeout: 90_000 }, async () => {
    await loop.sandbox.release('myapp:mirror-all');
    const { id } = await steps.started([
      { mirror: { percent: '100%', allowUnsafeMethods: true }, hold: '1h' },
      { weight: 50, hold: '1h' },
    ]);
    await steps.reached(id, 0);
    expect(ownOf(await route())).toMatchObject([{ match: [{ uri: { prefix: '/api' } }] }]);
    while ((await arrived('myapp-v2', fromOrders)) < 20) await sleep(200);
    await service.abort(id);
    await steps.ended(id);
    expect(ownOf(await route())).toEqual([]);
  });
});

describe('a mirror step is refused with 422, and nothing is written,', () => {
  const start = (target: object, mirror: object = {}) =>
    service.start({
      ...plan(loop.sandbox),
      target,
      steps: [
        { mirror, hold: '1s' },
        { weight: 50, hold: '1s' },
      ],
    });

  it.each(['linkerd-smi', 'gateway-api'] as const)('on Linkerd (%s), which names the capability', async (mesh) => {
    const before = (await route()).metadata.resourceVersion;
    const refused = start(SEEDS[mesh].target);
    await expect(refused).rejects.toMatchObject({ status: 422 });
    await expect(refused).rejects.toThrow('needs the capability \\"mirror\\"');
    await expect(refused).rejects.toThrow('/steps/0/mirror');
    expect((await route()).metadata.resourceVersion).toBe(before);
  });

  it('where an HTTPRoute’s rule takes every method, naming it, the field and both ways out', async () => {
    const seed = SEEDS['gateway-api'].objects.find(({ kind }) => kind === 'HTTPRoute');
    const { metadata: _, ...rest } = seed as unknown as KubeObject;
    await api().create(HTTP_ROUTES, { ...rest, metadata: { name: 'myapp', namespace: NAMESPACE } });
    const read = (): Promise<KubeObject> => api().get(HTTP_ROUTES, 'myapp');
    const before = (await read()).metadata.resourceVersion;
    const target = { ...SEEDS['gateway-api'].target, proxy: 'istio' };
    const refused = start(target);
    await expect(refused).rejects.toMatchObject({ status: 422 });
    await expect(refused).rejects.toThrow('HTTPRoute production/myapp: rule');
    await expect(refused).rejects.toThrow(/spec\.rules\[\d\]\.matches/);
    await expect(refused).rejects.toThrow('Divide it into a rule for GET, HEAD and OPTIONS');
    await expect(refused).rejects.toThrow('set mirror.allowUnsafeMethods: true');
    expect((await read()).metadata.resourceVersion).toBe(before);
  });
});
