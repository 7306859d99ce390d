/** Range vectors: the last minutes of counts, and quantiles from histogram buckets as Prometheus interpolates them. */
import { BOUNDS } from './latency.ts';
import type { Cell } from './stream.ts';
import { addTo, emptyCell, TICK } from './stream.ts';

export class Window {
  readonly #ticks: number;
  readonly #cells: Cell[] = [];

  constructor(seconds: number) {
    this.#ticks = seconds / TICK;
  }

  push(cell: Cell): void {
    this.#cells.push(cell);
    if (this.#cells.length > this.#ticks) this.#cells.shift();
  }

  sum(): Cell {
    const sum = emptyCell();
    for (const cell of this.#cells) addTo(sum, cell);
    return sum;
  }
}

/** NaN without requests, as a division of zero by zero is in PromQL. */
export const errorRate = ({ requests, errors }: Cell): number => errors / requests;

/** histogram_quantile: linear within a bucket; the highest finite bound where it lies beyond; NaN without responses. */
export function quantileOf({ buckets }: Cell, q: number): number {
  const total = buckets.reduce((a, b) => a + b, 0);
  if (total === 0) return Number.NaN;
  const rank = q * total;
  let below = 0;
  for (let b = 0; b < BOUNDS.length; b++) {
    const here = buckets[b] ?? 0;
    if (below + here >= rank && here > 0) {
      const low = BOUNDS[b - 1] ?? 0;
      return low + (((BOUNDS[b] ?? 0) - low) * (rank - below)) / here;
    }
    below += here;
  }
  return BOUNDS[BOUNDS.length - 1] ?? Number.NaN;
}
