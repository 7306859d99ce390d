/**
 * The Prometheus provider against a fake server, and against a real one: the fake must not be kinder than the real. The
 * direct provider against the pages of both meshes' proxies.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { errorRatioQuery, type Latency, quantileQuery } from '../../src/adapters/prometheus/templates.ts';
import { loadProviders } from '../../src/adapters/registry.ts';
import { istioViews } from '../../src/adapters/series/istio.ts';
import { type DirectWorld, directWorld } from '../support/direct-worlds.ts';
import { open, shop } from '../support/prometheus-target.ts';
import { fakeWorld, type MetricsWorld, realWorld } from '../support/prometheus-worlds.ts';
import { awkward, canned, metricsContract, named, traffic } from './metrics.cases.ts';

test('the registry finds the providers by their names', async () => {
  expect([...(await loadProviders()).keys()]).toEqual(['direct', 'prometheus']);
});

describe('against a fake Prometheus', () => {
  let world: MetricsWorld;
  beforeAll(async () => {
    world = await fakeWorld(traffic, canned);
  });
  afterAll(() => world.close());
  metricsContract(
    () => world,
    () => open(world.url),
  );
});

describe('against a real Prometheus', () => {
  let world: MetricsWorld;
  beforeAll(async () => {
    world = await realWorld(traffic);
  });
  afterAll(() => world.close());

  test('the query of a reading, pasted into Prometheus, gives the value', async () => {
    const asked = { target: shop(), role: 'canary', window: world.window } as const;
    for (const question of [
      { kind: 'error-rate', ...asked },
      { kind: 'latency', quantile: 0.75, ...asked },
    ] as const) {
      const reading = await open(world.url).measure(question);
      if (!reading.ok) throw new Error(reading.message);
      const pasted = { kind: 'prometheus', query: reading.query, ...asked } as const;
      expect(await open(world.url).measure(pasted)).toMatchObject({
        ok: true,
        value: expect.closeTo(reading.value, 6),
      });
    }
  });

  test('the query of a reading is about one version of one namespace', async () => {
    const asked = { target: shop(), role: 'canary', window: 5_000 } as const;
    const errors = await open(world.url).measure({ kind: 'error-rate', ...asked });
    const latency = await open(world.url).measure({ kind: 'latency', quantile: 0.5, ...asked });
    const one = ['production', 'shop-v2', 5_000] as const;
    expect(istioViews.map((view) => errorRatioQuery(view, ...one))).toContain(errors.query);
    const latencies = istioViews.map((view) => quantileQuery(view, view.latency as Latency, 0.5, ...one));
    expect(latencies).toContain(latency.query);
  });

  metricsContract(
    () => world,
    () => open(world.url),
  );
});

describe.each([
  ['istio', { custom: false, share: false, unreached: false }],
  ['linkerd', { custom: false, share: true, unreached: false }],
] as const)('the proxies of %s, read directly', (kind, sees) => {
  let world: DirectWorld;
  beforeAll(async () => {
    world = await directWorld(kind, traffic, [...['shop', 'cart', 'idle', 'mail'].map(named), awkward]);
  });
  afterAll(() => world.close());
  metricsContract(
    () => world,
    () => world.provider,
    sees,
  );
});
