/** One run of our judge on the common schedule, block by block: what a picture of its evidence needs. */
import { DEFAULTS } from '../../src/domain/evidence/settings.ts';
import type { Judge } from './judge.ts';
import { SCENARIOS } from './scenarios.ts';
import { commonWeight, END } from './simulate.ts';
import { open, TICK } from './stream.ts';

/** The lines that evidence is compared with. */
export const LINES: { readonly alpha: number; readonly holdAt: number } = DEFAULTS;

export interface Point {
  /** Seconds since the canary's first traffic. */
  readonly t: number;
  readonly logEvidence: number;
}

export function trace(name: string, judge: Judge, seed: number): readonly Point[] {
  const scenario = SCENARIOS.find((s) => s.name === name);
  if (scenario === undefined) throw new Error(`scenario ${name}: known are ${SCENARIOS.map((s) => s.name).join(', ')}`);
  const stream = open(scenario, seed);
  const run = judge.start(scenario, seed);
  const points: Point[] = [{ t: 0, logEvidence: 0 }];
  for (let t = 0; t < END; t += TICK) {
    const answer = run.observe(stream.next(commonWeight(t)));
    points.push({ t: t + TICK, logEvidence: run.logEvidence ?? 0 });
    if (answer === 'rollback') break;
  }
  return points;
}
