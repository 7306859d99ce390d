/** A cell of the simulation as the judge counts it. */
import type { Side } from '../../src/domain/evidence/counts.ts';
import { BOUNDS, BUCKETS } from './latency.ts';
import type { Cell } from './stream.ts';

export function sideOf(cell: Cell, bounds: readonly number[]): Side {
  const slow = bounds.map((bound) => {
    let sum = 0;
    for (let b = (BOUNDS as readonly number[]).indexOf(bound) + 1; b < BUCKETS; b++) sum += cell.buckets[b] as number;
    return sum;
  });
  return { requests: cell.requests, errors: cell.errors, timed: cell.requests - cell.errors, slow };
}
