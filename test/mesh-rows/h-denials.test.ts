/** Row H: what the canary denies and the stable version takes; judged from counts, and in the whole mesh. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { judgeDenials } from '../../src/adapters/guards/denials.ts';
import type { GuardPostWorld } from '../support/guard-post-world.ts';
import { startGuardPost } from '../support/guard-post-world.ts';

const QUERIES = { canary: 'c', stable: 's' };
const of = (requests: number, errors: number) => ({ requests, errors, buckets: [] });

describe('denials', () => {
  it.each([
    ['none', of(100, 0), of(1000, 0), 'pass', 'within'],
    ['a tenth, where the stable denies nobody', of(100, 10), of(1000, 0), 'fail', 'denied'],
    [
      'a tenth, where the stable denies as many: the callers are not allowed',
      of(100, 10),
      of(1000, 100),
      'pass',
      'within',
    ],
    ['all of them', of(0, 100), of(1000, 0), 'fail', 'denied'],
    ['a few', of(100, 4), of(1000, 0), 'pass', 'within'],
    ['some by accident', of(20, 3), of(1000, 0), 'pass', 'within'],
    ['no requests', undefined, of(1000, 0), 'unknown', 'no_data'],
    ['few requests, and all of them', of(10, 10), of(1000, 0), 'fail', 'denied'],
    ['few requests, and no more than may be chance', of(19, 5), of(1000, 100), 'inconclusive', 'denied'],
    ['few requests, and a few', of(10, 4), of(1000, 0), 'unknown', 'too_few_samples'],
  ])('%s', (_, canary, stable, verdict, code) => {
    expect(judgeDenials(0.05, canary, stable, null, QUERIES)).toMatchObject({ verdict, code });
  });

  it.each([
    ['all, where the stable version denied nobody before the rollout', of(744, 744), undefined, 0, 'fail'],
    ['all, where it denied many before', of(744, 744), of(3, 0), 0.5, 'fail'],
    ['all, and nothing is known of the time before', of(744, 744), undefined, null, 'fail'],
    ['a tenth, as before the rollout', of(1000, 100), of(3, 0), 0.1, 'pass'],
    ['a tenth, and nothing is known of the time before', of(1000, 100), undefined, null, 'fail'],
    ['hardly any', of(1000, 30), undefined, null, 'pass'],
  ])('at 100 %%, where the stable version has no requests any more: %s', (_, canary, stable, before, verdict) => {
    expect(judgeDenials(0.05, canary, stable, before, QUERIES)).toMatchObject({ verdict });
  });

  it('are told with the time before, where that is what they are compared with', () => {
    expect(judgeDenials(0.05, of(744, 744), undefined, 0.01, QUERIES).reason).toBe(
      "the canary denied 100 % of its requests with 403 (744 of 744), the stable version has too few requests now (0) and denied 1 % before the rollout; limit 6 %. Look at the authorization policies that select the canary's pods",
    );
  });

  it('are told with both numbers and where to look', () => {
    expect(judgeDenials(0.05, of(100, 10), of(1000, 10), null, QUERIES).reason).toBe(
      "the canary denied 10 % of its requests with 403 (10 of 100), the stable version 1 % (10 of 1,000); limit 6 %. Look at the authorization policies that select the canary's pods",
    );
  });
});

describe.each(['istio', 'linkerd-smi'] as const)('a policy that only the canary has, in a mesh of %s', (mesh) => {
  let world: GuardPostWorld;
  beforeAll(async () => {
    world = await startGuardPost(mesh);
  }, 60_000);
  afterAll(() => world?.stop());

  it('is seen as denials of the canary, and not before it is there', { timeout: 60_000 }, async () => {
    await world.shift(50);
    await sleep(6_000);
    expect(await world.look('denials', { window: 5_000 })).toMatchObject({ verdict: 'pass' });
    await world.denyCanary();
    await sleep(6_000);
    const found = await world.look('denials', { window: 5_000 });
    expect(found, found?.reason).toMatchObject({ verdict: 'fail', code: 'denied' });
    expect(found?.reason).toMatch(/^the canary denied \d+.* % of its requests with 403 .*the stable version 0 %/);
  });
});
