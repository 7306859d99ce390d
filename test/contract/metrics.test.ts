/** The Prometheus provider against a fake server, and against a real one: the fake must not be kinder than the real. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { errorRatioQuery, type Latency, quantileQuery } from '../../src/adapters/prometheus/templates.ts';
import { loadProviders } from '../../src/adapters/registry.ts';
import { istioViews } from '../../src/adapters/series/istio.ts';
import { open, shop } from '../support/prometheus-target.ts';
import { fakeWorld, type MetricsWorld, realWorld } from '../support/prometheus-worlds.ts';
import { canned, metricsContract, traffic } from './metrics.cases.ts';

test('the registry finds the provider by its name', async () => {
  expect([...(await loadProviders()).keys()]).toContain('prometheus');
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
