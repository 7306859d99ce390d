/** The benchmark's arithmetic, and a few runs of it: what the results page promises must not rot. */
import { describe, expect, it } from 'vitest';
import { barsOf, harmRatio } from '../../bench/judge/bars.ts';
import { type Cell, cellOf } from '../../bench/judge/cell.ts';
import { flagger } from '../../bench/judge/flagger.ts';
import { independent, robust } from '../../bench/judge/ours.ts';
import { SCENARIOS } from '../../bench/judge/scenarios.ts';
import { onCommonSchedule, onOwnRamp } from '../../bench/judge/simulate.ts';

const scenario = (name: string) => SCENARIOS.find((s) => s.name === name) as (typeof SCENARIOS)[number];
const seeds = Array.from({ length: 20 }, (_, i) => i + 1);
const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

describe('a cell of the table', () => {
  const back = (at: number, harm: number) => ({ rolledBack: at, promoted: null, harm });

  it('counts a rollback before the onset as false, and the others by their delay', () => {
    const late = scenario('B8');
    const cell = cellOf(late, 'x', 'same', [
      back(300, 0),
      back(760, 10),
      back(800, 20),
      { rolledBack: null, promoted: 1800, harm: 900 },
    ]);
    expect(cell).toMatchObject({
      runs: 4,
      detected: 0.5,
      falseRollback: 0.25,
      delayMedian: 40,
      delayP90: 80,
      promotedMedian: 1800,
    });
  });

  it('has neither harm nor detection where the canary is healthy', () => {
    expect(cellOf(scenario('N1'), 'x', 'same', [back(60, 0)])).toMatchObject({
      harmMedian: null,
      detected: null,
      falseRollback: 1,
    });
  });

  it('is compared by geometric mean, and not at all where a scenario is missing', () => {
    const of = (name: string, judge: string, harmMedian: number): Cell => ({
      ...cellOf(scenario(name), judge, 'same', [back(760, 1)]),
      harmMedian,
    });
    const cells = [of('B1', 'a', 1), of('B1', 'b', 2), of('B2', 'a', 1), of('B2', 'b', 8)];
    expect(harmRatio(cells, 'a', 'b', 'same', ['B1', 'B2'])).toBeCloseTo(0.25, 12);
    expect(harmRatio(cells, 'a', 'b', 'same')).toBeNull();
    expect(barsOf(cells).find((bar) => bar.promise.includes('Kayenta'))).toMatchObject({ measured: null, kept: null });
  });
});

describe('simulated rollouts', () => {
  it('a total failure at 1 % weight is rolled back within 45 s robust and 20 s independent, by median', () => {
    const delay = (judge: typeof robust) =>
      median(seeds.map((seed) => onOwnRamp(scenario('B7'), judge, seed).rolledBack ?? Infinity));
    expect(delay(robust)).toBeLessThanOrEqual(45);
    expect(delay(independent)).toBeLessThanOrEqual(20);
  });

  it('an outage that both versions share rolls back nothing', () => {
    for (const seed of seeds) expect(onCommonSchedule(scenario('N5'), [robust], seed)[0]?.rolledBack).toBeNull();
  });

  it('a regression costs less than a third of what it costs under thresholds', () => {
    const outcomes = seeds.map((seed) => onCommonSchedule(scenario('B11'), [robust, flagger], seed));
    const harm = (i: number) => median(outcomes.map((o) => o[i]?.harm ?? Infinity));
    expect(harm(0) / harm(1)).toBeLessThan(1 / 3);
  });

  it('no request, no promotion by proof: it ends at the cap', () => {
    expect(onOwnRamp(scenario('N8'), robust, 1)).toMatchObject({ rolledBack: null, promoted: 1800 });
  });
});
