/** What was counted in one block of time. Increments that do not overlap with those of any other block: nothing is counted twice. */

/** `x` of `n` requests had the property that is judged. Counts; Prometheus may make them fractions. */
export interface Counts {
  readonly n: number;
  readonly x: number;
}

export interface Pair {
  readonly canary: Counts;
  readonly stable: Counts;
}

/** One version's requests in one block, as its callers saw them. */
export interface Side {
  readonly requests: number;
  readonly errors: number;
  /** Successful responses whose latency was measured. Failures are left out: they are often fast. */
  readonly timed: number;
  /** Of `timed`, those slower than each bound of the settings, in the same order. */
  readonly slow: readonly number[];
}

/** Some pods of the canary and some of the stable version, put together by a hash of the pod's name. */
export interface Group {
  readonly canary: Side;
  readonly stable: Side;
}

export interface Block {
  /** Rises from block to block. One that is not above the last one judged has been judged already. */
  readonly index: number;
  /** Begin and end in milliseconds since the canary first got traffic. */
  readonly from: number;
  readonly to: number;
  /** The canary's wanted share of the requests, 0 to 1. */
  readonly share: number;
  /** 1, 2, 4 or 8 groups of pods; the same number in every block. */
  readonly groups: readonly Group[];
}

/** Which count of a side is judged. */
export type Measure = (side: Side) => Counts;

export const errorsOf: Measure = (side) => ({ n: side.requests, x: side.errors });
export const slowerThan =
  (bound: number): Measure =>
  (side) => ({ n: side.timed, x: side.slow[bound] ?? 0 });

export const pairOf = (group: Group, measure: Measure): Pair => ({
  canary: measure(group.canary),
  stable: measure(group.stable),
});

export const NOTHING: Counts = { n: 0, x: 0 };
export const added = (a: Counts, b: Counts): Counts => ({ n: a.n + b.n, x: a.x + b.x });
export function sumOf(pairs: readonly Pair[]): Pair {
  let [nC, xC, nB, xB] = [0, 0, 0, 0];
  for (const { canary, stable } of pairs) {
    nC += canary.n;
    xC += canary.x;
    nB += stable.n;
    xB += stable.x;
  }
  return { canary: { n: nC, x: xC }, stable: { n: nB, x: xB } };
}
