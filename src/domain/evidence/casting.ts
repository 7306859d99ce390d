/** Which pods of the past play the canary, and how much of each, so that it gets a wanted share of the requests. */
import type { History } from './calibrate.ts';

/** Part of the past that a trial is made of. */
export interface Window {
  readonly first: number;
  /** Their number. */
  readonly slots: number;
  /** Requests of each pod in it. */
  readonly requests: readonly number[];
  /** Pods that had requests nearly all the time, or at any time where none had: those that can be the canary's first. */
  readonly pods: readonly number[];
}

export interface Cast {
  /** `keep`: part of the pod's requests that are counted. Only the last one may be below 1. */
  readonly canary: readonly { readonly pod: number; readonly keep: number }[];
  readonly stable: readonly number[];
  /** The canary's expected part of all that is counted. */
  readonly share: number;
}

/**
 * Whole pods as long as they are not too much, then part of one. What is left of that one is counted nowhere: given to the
 * stable, it would take half of the pod's own bursts there, and hide them.
 *
 * `pod` is the canary's first, those after it follow. At least one stays with the stable; where that makes the wanted
 * share impossible, it is less.
 */
export function cast({ requests }: Pick<Window, 'requests'>, pod: number, wanted: number): Cast {
  const order = requests.map((_, i) => (pod + i) % requests.length).filter((p) => (requests[p] ?? 0) > 0);
  const of = (p: number): number => requests[p] ?? 0;
  let left = order.reduce((sum, p) => sum + of(p), 0);
  let taken = 0;
  const canary: { pod: number; keep: number }[] = [];
  for (const p of wanted >= 1 ? order : order.slice(0, -1)) {
    const rest = left - of(p);
    // The stable is what is left without this pod; the canary's part of both is to be `wanted`.
    const room = wanted >= 1 ? of(p) : (wanted / (1 - wanted)) * rest - taken;
    if (room <= 0) break;
    const keep = Math.min(1, room / of(p));
    canary.push({ pod: p, keep });
    taken += keep * of(p);
    left = rest;
    if (keep < 1) break;
  }
  const share = taken + left > 0 ? taken / (taken + left) : 0;
  return { canary, stable: order.slice(canary.length), share };
}

/** Part of the window that a pod must have been there: one that ended in it would look like a canary without traffic. */
const THERE = 0.8;

export function windowOf({ slots: past }: History, first: number, slots: number): Window {
  const requests: number[] = [];
  const began: number[] = [];
  const ended: number[] = [];
  for (let k = 0; k < slots; k++)
    past[first + k]?.forEach((side, pod) => {
      requests[pod] = (requests[pod] ?? 0) + side.requests;
      if (side.requests <= 0) return;
      began[pod] ??= k;
      ended[pod] = k;
    });
  const served = requests.flatMap((n, pod) => (n > 0 ? [pod] : []));
  const there = served.filter((pod) => (ended[pod] ?? 0) - (began[pod] ?? 0) + 1 >= THERE * slots);
  return { first, slots, requests, pods: there.length > 0 ? there : served };
}
