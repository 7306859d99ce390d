import { expect, it } from 'vitest';
import { inspectCheck } from '../../src/adapters/prometheus/inspect.ts';
import { istioViews } from '../../src/adapters/series/istio.ts';
import type { Check } from '../../src/domain/plan.ts';
import { shop } from '../support/prometheus-target.ts';

const check = (more: Partial<Check>): Check => ({
  name: 'one',
  kind: 'prometheus',
  provider: 'direct',
  threshold: { max: 1 },
  window: 5_000,
  minSamples: 0,
  failureLimit: 1,
  ...more,
});

it.each<readonly [string, Partial<Check>, RegExp | null]>([
  ['PromQL is refused', { query: 'vector(1)' }, /cannot run PromQL; ask this check of the provider prometheus/],
  ['a built-in check is not', { kind: 'error-rate' }, null],
  [
    'a latency that could never be broken is',
    { kind: 'latency', quantile: 0.9, threshold: { max: 3_600_000 } },
    /could never be broken/,
  ],
])('of the proxies themselves, before any traffic: %s', (_name, more, refusal) => {
  const said = inspectCheck(check(more), shop(), istioViews);
  if (refusal === null) expect(said).toBeNull();
  else expect(said).toMatch(refusal);
});
