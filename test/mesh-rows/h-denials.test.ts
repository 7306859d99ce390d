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
    ['a tenth, and no stable to compare with', of(100, 10), undefined, 'unknown', 'too_few_samples'],
    ['no requests', undefined, of(1000, 0), 'unknown', 'no_data'],
    ['few requests', of(10, 10), of(1000, 0), 'unknown', 'too_few_samples'],
  ])('%s', (_, canary, stable, verdict, code) => {
    expect(judgeDenials(0.05, canary, stable, QUERIES)).toMatchObject({ verdict, code });
  });

  it('are told with both numbers and where to look', () => {
    expect(judgeDenials(0.05, of(100, 10), of(1000, 10), QUERIES).reason).toBe(
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
