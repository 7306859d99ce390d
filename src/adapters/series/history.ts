/** The stable version's past by pod: what the A/A check tries the judge on. Pure. */
import type { History } from '../../domain/evidence/calibrate.ts';
import type { Side } from '../../domain/evidence/counts.ts';
import type { CounterSeries } from '../../domain/evidence/increments.ts';
import { increments, NO_CURSOR } from '../../domain/evidence/increments.ts';
import type { Instant, Millis } from '../../domain/plan.ts';

/** A past that is entered piece by piece, in the order of time. */
export interface Past {
  /** The same series may come again: what overlaps is counted once. */
  enter(series: readonly CounterSeries[]): void;
  history(): History | null;
}

/** From `from` on, in slots of `slot` milliseconds. */
export function openPast(from: Instant, slot: Millis, slots: number, bounds: number): Past {
  let cursor = NO_CURSOR;
  const pods = new Map<string, Side[]>();

  const emptySide = (): Side => ({
    requests: 0,
    errors: 0,
    timed: 0,
    slow: Array.from({ length: bounds }, () => 0),
  });

  const add = (pod: string, at: Instant, { adds }: CounterSeries, grown: number): void => {
    const index = Math.ceil((at - from) / slot) - 1;
    if (index < 0 || index >= slots) return;
    let row = pods.get(pod);
    if (row === undefined) {
      row = Array.from({ length: slots }, emptySide);
      pods.set(pod, row);
    }
    const side = row[index] as Side;
    row[index] = {
      requests: side.requests + grown * (adds.requests ?? 0),
      errors: side.errors + grown * (adds.errors ?? 0),
      timed: side.timed + grown * (adds.timed ?? 0),
      slow: side.slow.map((n, i) => n + grown * (adds.slow?.[i] ?? 0)),
    };
  };

  return {
    enter(series) {
      const told = series.filter(({ pod }) => pod !== null);
      cursor = increments(cursor, told, from, false, (one, at, grown) => add(one.pod ?? '', at, one, grown));
    },
    history() {
      const rows = [...pods.keys()].sort().map((pod) => pods.get(pod) as readonly Side[]);
      if (rows.length === 0) return null;
      return { slot, slots: Array.from({ length: slots }, (_, i) => rows.map((row) => row[i] as Side)) };
    },
  };
}
