import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { judge } from '../../src/domain/judge.ts';
import type { NoValueCode, Reading } from '../../src/domain/observation.ts';
import { aCheck, aReading } from '../support/builders.ts';

const no = (code: NoValueCode): Reading => ({ ok: false, code, message: `no value: ${code}`, query: 'q' });
const relative = aCheck({ threshold: { relative: { maxRatio: 1.5, tolerance: 0.01 } } });

describe('judging one evaluation', () => {
  it.each<[string, Reading, Reading | null, string, string]>([
    ['within the limit', aReading(0.01), null, 'pass', 'within'],
    ['above the limit', aReading(0.0101), null, 'fail', 'above_max'],
    ['too few samples', aReading(0.5, 19), null, 'inconclusive', 'too_few_samples'],
    ['no data', no('no_data'), null, 'inconclusive', 'no_data'],
    ['not a number', no('not_a_number'), null, 'inconclusive', 'not_a_number'],
    ['a NaN that slipped through', aReading(Number.NaN), null, 'inconclusive', 'not_a_number'],
    ['infinite', no('infinite'), null, 'inconclusive', 'infinite'],
    ['stale sample', no('stale_sample'), null, 'inconclusive', 'stale_sample'],
    ['partial answer', no('partial'), null, 'inconclusive', 'partial'],
    ['several series', no('several_series'), null, 'error', 'several_series'],
    ['wrong type', no('wrong_type'), null, 'error', 'wrong_type'],
    ['time-out', no('timeout'), null, 'error', 'timeout'],
    ['refused query', no('bad_query'), null, 'error', 'bad_query'],
    ['refused access', no('unauthorized'), null, 'error', 'unauthorized'],
    ['server away', no('unavailable'), null, 'error', 'unavailable'],
    ['not an answer', no('malformed'), null, 'error', 'malformed'],
  ])('absolute: %s', (_, canary, stable, verdict, code) => {
    expect(judge(aCheck(), canary, stable)).toMatchObject({ verdict, code });
  });

  it.each<[string, Reading, Reading | null, string, string]>([
    ['within', aReading(0.024), aReading(0.01), 'pass', 'within'],
    ['above', aReading(0.026), aReading(0.01), 'fail', 'above_stable'],
    ['stable has no data', aReading(0.5), no('no_data'), 'inconclusive', 'no_data'],
    ['stable could not be asked', aReading(0.5), no('unavailable'), 'error', 'unavailable'],
    ['stable has too few samples', aReading(0.5), aReading(0, 19), 'inconclusive', 'too_few_samples'],
    ['stable was not measured', aReading(0.5), null, 'inconclusive', 'no_data'],
    ['stable is NaN', aReading(0.5), aReading(Number.NaN), 'inconclusive', 'no_data'],
  ])('relative: %s', (_, canary, stable, verdict, code) => {
    expect(judge(relative, canary, stable)).toMatchObject({ verdict, code });
  });

  it('fails on a broken absolute limit even where the relative one cannot be judged', () => {
    const both = aCheck({ threshold: { max: 0.05, relative: { maxRatio: 1, tolerance: 0 } } });
    expect(judge(both, aReading(0.06), no('no_data'))).toMatchObject({ verdict: 'fail', code: 'above_max' });
  });

  it('says numbers, limit and the stable version in one sentence', () => {
    const { reason } = judge(aCheck(), aReading(0.031, 13_290), aReading(0.002, 120_000));
    expect(reason).toBe(
      'canary error rate 3.1 % (412 of 13,290 requests) was above the limit of 1 %; the stable version had 0.2 % (240 of 120,000 requests)',
    );
    const slow = aCheck({ kind: 'latency', quantile: 0.99, threshold: { max: 500 } });
    expect(judge(slow, aReading(1234, 900), null).reason).toBe(
      'canary latency (p99) 1.23 s (900 requests) was above the limit of 500 ms',
    );
  });

  it('says of a rate that a limit above 100 % is none, and keeps 100 %', () => {
    const loose = aCheck({ threshold: { relative: { maxRatio: 3, tolerance: 0.25 } } });
    expect(judge(loose, aReading(0.3, 1000), aReading(0.2944, 1000))).toMatchObject({
      verdict: 'pass',
      threshold: 1,
      reason: expect.stringMatching(/ has no limit below 100 %: 3 x stable \+ 25 % would be 113\.32 %$/),
    });
    expect(judge(loose, aReading(0.3, 1000), aReading(0.25, 1000)).reason).toMatch(
      / is within 100 % \(3 x stable \+ 25 %\)$/,
    );
    // Milliseconds have no such end.
    const slow = aCheck({ kind: 'latency', quantile: 0.5, threshold: { relative: { maxRatio: 3, tolerance: 0 } } });
    expect(judge(slow, aReading(300), aReading(200)).reason).toMatch(/ is within 600 ms \(3 x stable\)$/);
  });

  it('passes only a finite value within every limit (property)', () => {
    const reading = fc.oneof(
      fc.record({
        ok: fc.constant(true as const),
        value: fc.double(),
        samples: fc.oneof(fc.constant(null), fc.nat(100)),
        query: fc.constant('q'),
      }),
      fc.constantFrom<NoValueCode>('no_data', 'timeout', 'several_series', 'malformed', 'infinite').map(no),
    );
    fc.assert(
      fc.property(
        reading,
        fc.oneof(reading, fc.constant(null)),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (canary, stable, max) => {
          const check = aCheck({ threshold: { max, relative: { maxRatio: 2, tolerance: 0 } } });
          const { verdict } = judge(check, canary, stable);
          if (verdict !== 'pass') return;
          expect(
            canary.ok &&
              stable?.ok &&
              Number.isFinite(canary.value) &&
              canary.value <= max &&
              canary.value <= 2 * stable.value,
          ).toBe(true);
          expect(canary.ok && (canary.samples ?? 20) >= 20).toBe(true);
        },
      ),
    );
  });
});
