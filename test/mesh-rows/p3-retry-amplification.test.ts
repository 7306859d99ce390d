/** Practice 3: attempts per request of the canary, against the stable version's. */
import { describe, expect, it } from 'vitest';
import { judgeRetries, type Sides } from '../../src/adapters/guards/retries.ts';

const QUERIES = { canary: 'c', stable: 's' };
const sides = (requests: number | null, attempts: number | null): Sides => ({
  callers: requests === null ? undefined : { requests, errors: 0, buckets: [] },
  pods: attempts === null ? undefined : { requests: attempts, errors: 0, buckets: [] },
});
const STEADY = sides(1000, 1000);

describe('retry amplification', () => {
  it.each([
    ['one attempt each', sides(100, 100), STEADY, 'pass', 'within', 1],
    ['a ratio of 2.9', sides(100, 290), STEADY, 'fail', 'amplified', 2.9],
    ['just at the limit', sides(100, 200), STEADY, 'pass', 'within', 2],
    [
      '2.9 where the stable has as many: trouble behind both',
      sides(100, 290),
      sides(1000, 2900),
      'pass',
      'within',
      2.9,
    ],
    ['2.9 where the stable has half as many again', sides(100, 310), sides(1000, 1500), 'fail', 'amplified', 3.1],
    ['2.9 and no stable to compare with', sides(100, 290), sides(null, null), 'fail', 'amplified', 2.9],
    ['callers without a proxy, of both versions', sides(100, 180), sides(1000, 1800), 'pass', 'within', 1.8],
    ['fewer attempts than requests: connections were refused', sides(100, 60), STEADY, 'pass', 'within', 0.6],
  ])('%s', (_, canary, stable, verdict, code, value) => {
    const found = judgeRetries(2, canary, stable, null, QUERIES);
    expect(found).toMatchObject({ verdict, code, canary: { ok: true, value } });
    if (verdict === 'fail')
      expect(found.reason).toMatch(/attempts per request .* above the limit of \d.*: callers retry what it answers/);
  });

  it.each([
    ['as many before the rollout: trouble behind both', 2.9, 'pass'],
    ['half of it before the rollout', 1.2, 'fail'],
    ['nothing known of the time before', null, 'fail'],
  ])('of 2.9 at 100 %%, where no stable version is left to compare with: %s', (_, before, verdict) => {
    const found = judgeRetries(2, sides(100, 290), sides(null, null), before, QUERIES);
    expect(found).toMatchObject({ verdict });
    if (before !== null) expect(found.reason).toContain(`${before} before the rollout`);
  });

  it.each([
    ['no requests', sides(null, null), 'no_data'],
    ['few requests', sides(20, 100), 'too_few_samples'],
    ['requests, and no pod that counts', sides(100, null), 'too_few_samples'],
  ])('is not known of %s, which is no failure and keeps nobody waiting', (_, canary, code) => {
    expect(judgeRetries(2, canary, STEADY, null, QUERIES)).toMatchObject({ verdict: 'unknown', code });
  });
});
