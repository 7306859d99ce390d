/** Blocks of traffic for the tests: written out, or drawn from a seed. */
import type { Block, Side } from '../../src/domain/evidence/counts.ts';
import { generator, poisson } from './special.ts';

export const side = (requests: number, errors: number, slow: readonly number[] = [0, 0, 0]): Side => ({
  requests,
  errors,
  timed: requests - errors,
  slow,
});

export const block = (index: number, canary: Side, stable: Side, share = 0.05): Block => ({
  index,
  from: index * 10_000,
  to: (index + 1) * 10_000,
  share,
  groups: [{ canary, stable }],
});

export const blocks = (count: number, make: (index: number) => Block): Block[] =>
  Array.from({ length: count }, (_, i) => make(i));

/** Requests of both versions in ten seconds, the canary's share of them, and how frequently each fails. */
export interface World {
  readonly requests: number;
  readonly share: number;
  readonly stable: number;
  readonly canary: number;
}

/** Poisson traffic of one service in blocks of ten seconds, from a seed. */
export function traffic(seed: number, count: number, world: (index: number) => World): Block[] {
  const uniform = generator(seed);
  return blocks(count, (i) => {
    const { requests, share, stable, canary } = world(i);
    const draw = (n: number, p: number): Side => {
      const errors = poisson(uniform, n * p);
      return side(errors + poisson(uniform, n * (1 - p)), errors);
    };
    return block(i, draw(requests * share, canary), draw(requests * (1 - share), stable), share);
  });
}
