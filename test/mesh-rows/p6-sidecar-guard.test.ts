/** Practice 6: the proxies of the canary, watched while it runs: what they use of their limits, and whether they end. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { judgeUsage } from '../../src/adapters/guards/proxy-resources.ts';
import { endsSince, judgeRestarts } from '../../src/adapters/guards/proxy-restarts.ts';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import type { GuardPostWorld } from '../support/guard-post-world.ts';
import { startGuardPost } from '../support/guard-post-world.ts';
import { pod } from '../support/inspection.ts';

const MEBIBYTE = 2 ** 20;
const row = (of: string, resource: string, value: number) => ({
  labels: { namespace: 'production', pod: of, resource },
  value,
});

describe('what proxies use', () => {
  const judged = (rows: readonly ReturnType<typeof row>[], resources?: Record<string, unknown>) =>
    judgeUsage(
      'istio',
      0.9,
      [pod('a', 'myapp-v2', resources === undefined ? {} : { resources }), pod('b', 'myapp-v2')],
      rows,
      'q',
    );

  it.each([
    ['little of both', [row('a', 'cpu', 0.1), row('a', 'memory', 40 * MEBIBYTE)], 'pass', 'within'],
    ['nearly all of the memory', [row('a', 'cpu', 0.1), row('b', 'memory', 250 * MEBIBYTE)], 'fail', 'above_limit'],
    ['nearly all of the CPU', [row('b', 'cpu', 0.49), row('a', 'memory', 40 * MEBIBYTE)], 'fail', 'above_limit'],
    ['more than is allowed', [row('a', 'cpu', 0.6)], 'fail', 'above_limit'],
    ['pods of others', [row('other', 'memory', 250 * MEBIBYTE)], 'unknown', 'no_data'],
    ['no metric at all', [], 'unknown', 'no_data'],
  ])('%s', (_, rows, verdict, code) => {
    expect(judged(rows)).toMatchObject({ verdict, code });
  });

  it('is told with the 95th percentile, the limit, and what to annotate', () => {
    expect(judged([row('a', 'memory', 250 * MEBIBYTE), row('a', 'cpu', 0.1)]).reason).toBe(
      'the proxy of pod a uses 100m of CPU (20 % of 500m); the proxy of pod a uses 250Mi of memory (97.66 % of 256Mi) (95th percentile), above 90 % of the limit: a proxy that is throttled or killed looks like a failing canary. Annotate the pod template: sidecar.istio.io/proxyMemoryLimit: 384Mi',
    );
  });

  it('is told, and not judged, where the proxies have no limits', () => {
    const found = judgeUsage('istio', 0.9, [pod('a', 'myapp-v2', { resources: {} })], [row('a', 'cpu', 4)], 'q');
    expect(found).toMatchObject({ verdict: 'unknown' });
    expect(found.reason).toMatch(/uses 4000m of CPU \(no limit\); the proxies have no limits/);
  });

  it('cannot be judged without cAdvisor, and the sentence says what to scrape', () => {
    expect(judged([]).reason).toMatch(/let it scrape the kubelets \(cAdvisor\)/);
  });
});

describe('proxies that end', () => {
  const SINCE = Date.parse('2026-01-01T12:00:00Z');
  interface Life {
    readonly restarts?: number;
    readonly finishedAt?: string;
    readonly reason?: string;
    readonly container?: string;
    readonly createdAt?: string;
    readonly init?: boolean;
  }
  const living = ({
    restarts = 0,
    finishedAt,
    reason = 'OOMKilled',
    container = 'istio-proxy',
    createdAt,
    init = false,
  }: Life): KubeObject => {
    const base = pod('a', 'myapp-v2');
    const status = {
      name: container,
      restartCount: restarts,
      ...(finishedAt === undefined ? {} : { lastState: { terminated: { exitCode: 137, reason, finishedAt } } }),
    };
    return {
      ...base,
      metadata: { ...base.metadata, ...(createdAt === undefined ? {} : { creationTimestamp: createdAt }) },
      status: { [init ? 'initContainerStatuses' : 'containerStatuses']: [status] },
    };
  };

  it.each([
    ['one that never did', {}, 0],
    ['one that did before the rollout', { restarts: 5, finishedAt: '2026-01-01T11:59:00Z' }, 0],
    ['one that did since', { restarts: 6, finishedAt: '2026-01-01T12:01:00Z' }, 1],
    [
      'one of a pod that is younger than the rollout',
      { restarts: 3, finishedAt: '2026-01-01T12:01:00Z', createdAt: '2026-01-01T12:00:30Z' },
      3,
    ],
    ['a native sidecar', { restarts: 1, finishedAt: '2026-01-01T12:01:00Z', init: true }, 1],
    ['the app, which is nobody’s proxy', { restarts: 1, finishedAt: '2026-01-01T12:01:00Z', container: 'app' }, 0],
  ])('are counted since the rollout began: %s', (_, life, times) => {
    expect(endsSince([living(life)], 'istio', SINCE).times).toBe(times);
  });

  const ended = { restarts: 1, finishedAt: '2026-01-01T12:01:00Z' };
  it.each([
    ['none', [{}], [{}], 0, 'pass'],
    ['one of the canary', [ended], [{}, {}], 0, 'fail'],
    ['one, and one is allowed', [ended], [{}], 1, 'pass'],
    ['as many of the stable: a node, or the mesh', [ended], [ended], 0, 'unknown'],
    ['fewer of the stable', [ended, ended], [ended, {}, {}], 0, 'fail'],
    ['no pods', [], [ended], 0, 'unknown'],
  ])('fail above the limit, unless the stable has as many: %s', (_, canary, stable, limit, verdict) => {
    const look = (lives: readonly Life[]) => endsSince(lives.map(living), 'istio', SINCE);
    expect(judgeRestarts(limit, look(canary), look(stable))).toMatchObject({ verdict });
  });
});

describe('in the whole mesh', () => {
  let world: GuardPostWorld;
  beforeAll(async () => {
    world = await startGuardPost('istio');
  }, 60_000);
  afterAll(() => world?.stop());

  it('a proxy over its limit, and one that was killed, are seen with their numbers', { timeout: 60_000 }, async () => {
    await sleep(3_000);
    expect(await world.look('proxy-restarts')).toMatchObject({ verdict: 'pass' });
    await world.sandbox.setProxies('canary', { memory: 250 * MEBIBYTE, restart: 'OOMKilled' });
    await sleep(4_000);
    const usage = await world.look('proxy-resources', { window: 3_000, now: 60_000 });
    expect(usage, usage?.reason).toMatchObject({ verdict: 'fail', code: 'above_limit' });
    expect(usage?.reason).toMatch(
      /250Mi of memory .* Annotate the pod template: sidecar\.istio\.io\/proxyMemoryLimit: 384Mi/,
    );
    const ends = await world.look('proxy-restarts', { now: 60_000 });
    expect(ends, ends?.reason).toMatchObject({ verdict: 'fail', code: 'proxy_ended' });
    expect(ends?.reason).toMatch(/pod myapp-v2-\S+: OOMKilled \(exit 137\), 1 restart in its life.*more memory/);
    // It looked a moment ago, and the pods have not changed since.
    expect(await world.look('proxy-restarts', { now: 61_000 })).toBeNull();
  });
});
