/**
 * From when to when each pod of the past was there. A pod that was replaced in the middle of a trial looks like a canary
 * that lost its traffic: it says nothing of how a rollout of the living would have gone.
 */
import type { History } from './calibrate.ts';

/** In slots of the past, the end not included; fractions, and beyond both ends of the past, for pods with few requests. */
export interface Life {
  readonly from: number;
  readonly to: number;
}

/** Part of a trial's time that its pods must have been there. */
export const THERE = 0.8;

/**
 * Counters do not say when a pod began and ended, its requests do: so many of its mean pauses before the first and after the
 * last one. A living pod is silent for longer than three of them once in twenty times.
 */
const PAUSES = 3;

/** By pod; null: it had no request. */
export function livesOf({ slots }: History): readonly (Life | null)[] {
  const first: number[] = [];
  const last: number[] = [];
  const requests: number[] = [];
  for (const [k, pods] of slots.entries())
    for (const [pod, side] of pods.entries()) {
      if (side.requests <= 0) continue;
      first[pod] ??= k;
      last[pod] = k;
      requests[pod] = (requests[pod] ?? 0) + side.requests;
    }
  return Array.from({ length: slots[0]?.length ?? 0 }, (_, pod) => {
    const [from, to, n] = [first[pod], last[pod], requests[pod] ?? 0];
    if (from === undefined || to === undefined) return null;
    // One request alone says nothing of pauses.
    const pause = n < 2 ? slots.length : (to - from) / (n - 1);
    return { from: from - PAUSES * pause, to: to + 1 + PAUSES * pause };
  });
}

/** Was it there for nearly all of the slots from `first` on? */
export const wasThere = (life: Life | null | undefined, first: number, slots: number): boolean =>
  life !== null && life !== undefined && Math.min(life.to, first + slots) - Math.max(life.from, first) >= THERE * slots;

/**
 * First slots of trials of `slots` that follow each other in a past of `all`. The last one ends where the past does: what is
 * left over is its oldest part, and pods that have lived long enough until now are in one.
 */
export const firstsOf = (all: number, slots: number): readonly number[] =>
  slots < 1 ? [] : Array.from({ length: Math.floor(all / slots) }, (_, i) => (all % slots) + i * slots);

/** Pods that were there for nearly all of one trial of `slots` at least, in a past of `all`. */
export function livedLong(lives: readonly (Life | null)[], slots: number, all: number): number {
  const firsts = firstsOf(all, slots);
  return lives.filter((life) => firsts.some((first) => wasThere(life, first, slots))).length;
}
