/**
 * The guardrail that every default plan carries beside the comparison: a canary that fails outright is rolled back on its
 * counts alone. It needs no groups of pods, so it is what finds a total failure at 50 % where pods cannot be told apart.
 */
import type { Cell } from './stream.ts';
import { TICK } from './stream.ts';

/** Counts of one version over the look-back. */
export interface Seen {
  readonly requests: number;
  readonly errors: number;
}

const TIMES = 3;
const POINTS = 0.25;
const REQUESTS = 20;

/** More than three times the stable's frequency of errors and 25 points, of twenty requests at least. */
export function failsOutright(canary: Seen, stable: Seen): boolean {
  if (canary.requests < REQUESTS) return false;
  const usual = stable.requests > 0 ? stable.errors / stable.requests : 0;
  return canary.errors / canary.requests > TIMES * usual + POINTS;
}

const EVERY = 10;
const LEAST = 30;
const LOOK_BACK = 60;
const IN_A_ROW = 2;

/** Watches one rollout: every 10 s over the last minute, or what there is from half a minute on; two times in a row. */
export class Guardrail {
  readonly #canary = new Trailing();
  readonly #stable = new Trailing();
  #failed = 0;

  /** Is the canary to be rolled back? `now`: end of the tick, in seconds since the canary's first traffic. */
  observe(now: number, canary: readonly Cell[], stable: readonly Cell[]): boolean {
    this.#canary.push(canary);
    this.#stable.push(stable);
    if (now % EVERY !== 0 || now < LEAST) return false;
    this.#failed = failsOutright(this.#canary, this.#stable) ? this.#failed + 1 : 0;
    return this.#failed >= IN_A_ROW;
  }
}

/** Requests and errors of the last minute. */
class Trailing implements Seen {
  requests = 0;
  errors = 0;
  readonly #ticks: Seen[] = [];

  push(cells: readonly Cell[]): void {
    let requests = 0;
    let errors = 0;
    for (const cell of cells) {
      requests += cell.requests;
      errors += cell.errors;
    }
    this.#ticks.push({ requests, errors });
    this.requests += requests;
    this.errors += errors;
    if (this.#ticks.length <= LOOK_BACK / TICK) return;
    const gone = this.#ticks.shift() as Seen;
    this.requests -= gone.requests;
    this.errors -= gone.errors;
  }
}
