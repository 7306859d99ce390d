/**
 * Kayenta's NetflixACAJudge v1.0, from its documented rules: points (not requests) of canary and an equally large control,
 * Mann-Whitney with a 98 % interval, a tolerance of a quarter of the estimated shift, effect size as a ratio of means.
 * Judged every five minutes over all points so far; one metric that is High fails a run (pass 95, two equal metrics).
 */
import type { Judge } from './judge.ts';
import { shiftOf } from './mann-whitney.ts';
import type { Cell } from './stream.ts';
import { addTo, emptyCell, merged, TICK } from './stream.ts';
import { errorRate, quantileOf } from './window.ts';

const POINT = 15;
const JUDGEMENT = 300;
const LIFETIME = 1800;
const TOLERANCE = 0.25;

export type Class = 'Pass' | 'High' | 'Nodata';

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

/** Direction "increase", NaN strategy "remove", outliers kept, all effect thresholds at their defaults. */
export function classify(experiment: readonly number[], control: readonly number[]): Class {
  const x = experiment.filter((v) => !Number.isNaN(v));
  const y = control.filter((v) => !Number.isNaN(v));
  if (x.length === 0 || y.length === 0) return 'Nodata';
  const distinct = new Set([...x, ...y]);
  if (distinct.size === 1) return 'Pass';
  const sorted = (v: readonly number[]): string => [...v].sort((a, b) => a - b).join();
  if (sorted(x) === sorted(y)) return 'Pass';
  // Two constant samples get a little noise, so that ranks are defined. Here without chance: evenly spread.
  const constant = new Set(x).size === 1 && new Set(y).size === 1;
  const spread = (v: readonly number[]): readonly number[] =>
    constant ? v.map((a, i) => a + 1e-5 * a * ((2 * (i + 0.5)) / v.length - 1)) : v;
  const { lower, estimate } = shiftOf(spread(x), spread(y));
  const means = [mean(x), mean(y)] as const;
  const effect = means[0] === 0 || means[1] === 0 ? Number.NaN : means[0] / means[1];
  return lower > TOLERANCE * Math.abs(estimate) && (Number.isNaN(effect) || effect >= 1) ? 'High' : 'Pass';
}

export const kayenta: Judge = {
  name: 'kayenta',
  native: true,
  start() {
    const series: [number[], number[], number[], number[]] = [[], [], [], []];
    let canary = emptyCell();
    let control = emptyCell();
    const close = (sum: Cell, errors: number[], times: number[]): void => {
      errors.push(100 * errorRate(sum));
      times.push(quantileOf(sum, 0.99));
    };
    return {
      weight: 0.1,
      observe(tick) {
        addTo(canary, merged(tick.canary));
        addTo(control, tick.control());
        const now = tick.t + TICK;
        if (now % POINT === 0) {
          close(canary, series[0], series[2]);
          close(control, series[1], series[3]);
          canary = emptyCell();
          control = emptyCell();
        }
        if (now % JUDGEMENT !== 0) return 'go';
        const classes = [classify(series[0], series[1]), classify(series[2], series[3])];
        // Half of the metrics without data: the score is 0.
        if (classes.includes('High') || classes.includes('Nodata')) return 'rollback';
        return now >= LIFETIME ? 'promote' : 'go';
      },
    };
  },
};
