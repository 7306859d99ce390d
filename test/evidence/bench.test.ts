/** The benchmark's arithmetic, and a few runs of it: what the results page promises must not rot. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseArguments } from '../../bench/judge/arguments.ts';
import { barsOf, harmRatio } from '../../bench/judge/bars.ts';
import { type Cell, cellOf } from '../../bench/judge/cell.ts';
import { flagger } from '../../bench/judge/flagger.ts';
import { failsOutright, Guardrail } from '../../bench/judge/guardrail.ts';
import { markdown } from '../../bench/judge/markdown.ts';
import { independent, robust, robustUngrouped } from '../../bench/judge/ours.ts';
import { writePlots } from '../../bench/judge/plots.ts';
import { readRecord, tidied } from '../../bench/judge/record.ts';
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

describe('the command line', () => {
  const parse = (...args: readonly string[]) =>
    parseArguments(args, { scenarios: ['N5', 'B1'], judges: ['sluice', 'flagger'] });

  it('takes what it offers', () => {
    const asked = parse('--runs', '20', '--only', 'B1,N5', '--judges', 'sluice', '--json', '--seed=7', '--plots', 'p');
    expect(asked).toEqual({
      kind: 'run',
      arguments: {
        runs: 20,
        only: ['B1', 'N5'],
        judges: ['sluice'],
        seed: 7,
        threads: 2,
        json: true,
        report: null,
        plots: 'p',
      },
    });
    expect(parse()).toMatchObject({ arguments: { runs: null, only: null, judges: null, seed: 1 } });
    expect(parse('--help')).toEqual({ kind: 'help' });
  });

  it.each<[string[], string]>([
    [['--runs', 'abc'], '--runs: wanted a whole number from 1 to 1000003, found "abc"'],
    [['--runs', '0'], '--runs: wanted'],
    [['--runs=-3'], '--runs: wanted'],
    [['--runs', '1.5'], '--runs: wanted'],
    [['--runs'], "'--runs <value>' argument missing"],
    [['--seed', 'x'], '--seed: wanted a whole number'],
    [['--threads', '0'], '--threads: wanted a whole number from 1'],
    [['--only', 'B1,XX'], 'unknown scenario "XX"; known: N5, B1'],
    [['--only', ''], 'unknown scenario ""'],
    [['--judges', 'bayes'], 'unknown judge "bayes"; known: sluice, flagger'],
    [['--quick'], "Unknown option '--quick'"],
    [['B1'], "Unexpected argument 'B1'"],
  ])('refuses %j with words', (args, words) => {
    expect(parse(...args)).toEqual({ kind: 'wrong', message: expect.stringContaining(words) });
  });
});

describe('the guardrail', () => {
  const failing = (canary: [number, number], stable: [number, number]) =>
    failsOutright({ requests: canary[0], errors: canary[1] }, { requests: stable[0], errors: stable[1] });

  it('is broken beyond three times the stable and 25 points, of twenty requests at least', () => {
    expect(failing([20, 6], [980, 0])).toBe(true);
    expect(failing([20, 5], [980, 0])).toBe(false);
    expect(failing([19, 19], [980, 0])).toBe(false);
    expect(failing([100, 50], [900, 90])).toBe(false);
    expect(failing([100, 56], [900, 90])).toBe(true);
    expect(failing([20, 20], [0, 0])).toBe(true);
  });

  const cell = (requests: number, errors: number) => [{ requests, errors, buckets: [] }];
  const until = (errorsAt: (t: number) => number): number | null => {
    const guardrail = new Guardrail();
    for (let t = 0; t < 600; t += 5) if (guardrail.observe(t + 5, cell(50, errorsAt(t)), cell(50, 0))) return t + 5;
    return null;
  };

  it('finds a total failure after two looks, and none in a short burst', () => {
    expect(until(() => 25)).toBe(40);
    expect(until((t) => (t >= 300 ? 50 : 0))).toBe(330);
    expect(until((t) => (t >= 300 && t < 310 ? 50 : 0))).toBeNull();
  });

  it('is what finds a total failure at 50 % where pods cannot be told apart', () => {
    const late = seeds.map(
      (seed) => (onCommonSchedule(scenario('B17'), [robustUngrouped], seed)[0]?.rolledBack ?? Infinity) - 1320,
    );
    expect(Math.max(...late)).toBeLessThanOrEqual(60);
  });
});

describe('the record', () => {
  const cells = ['B1', 'N1'].map((name) =>
    cellOf(scenario(name), 'sluice', 'same', [{ rolledBack: 60, promoted: null, harm: 3 }], 7),
  );

  it('of two lines about the same keeps the one with more runs', () => {
    const more = { ...cells[0], runs: 9 } as Cell;
    expect(tidied([...cells, more])).toEqual([cells[1], more]);
  });

  it('is read as npm run printed it, and anything else in it is told by its line', () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-record-'));
    const file = join(folder, 'judge.jsonl');
    const lines = cells.map((cell) => JSON.stringify(cell));
    try {
      writeFileSync(
        file,
        ['', '> sluice@0.1.0 bench:judge', '> node bench/judge.ts --json', '', ...lines, ''].join('\n'),
      );
      expect(readRecord(file)).toEqual(tidied(cells));
      for (const wrong of ['no JSON', 'null', '{"scenario":"B1"}', '{"scenario":"XX","runs":1}']) {
        writeFileSync(file, [lines[0], wrong].join('\n'));
        expect(readRecord(file)).toBe(`${file}:2: wanted a line of bench:judge --json, found ${wrong}`);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
    expect(readRecord(file)).toContain('cannot be read: ENOENT');
  });

  it('becomes tables that name what was not run, and intervals', () => {
    const page = markdown(cells);
    expect(page).toContain('| B1 0.1 % -> 1 % | 3.0 / 60 | - |');
    expect(page).toContain('not run');
    expect(page).toContain('100.00 (≤ 100.00)');
    expect(page).toContain('Seed: 7.');
  });

  it('becomes pictures that are whole and stand alone', () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-plots-'));
    try {
      for (const name of writePlots(cells, folder, 1)) {
        const svg = readFileSync(join(folder, name), 'utf8');
        expect(svg).toMatch(/^<svg [^>]*>[\s\S]*<\/svg>\n$/);
        expect(svg).not.toMatch(/NaN|undefined|Infinity|href/);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
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
