/** Which pods of the past play the canary, and how much of each, so that it gets a wanted share of the requests. */
import type { History } from './calibrate.ts';
import { livesOf, wasThere } from './lives.ts';

/** Part of the past that a trial is made of. */
export interface Window {
  readonly first: number;
  /** Their number. */
  readonly slots: number;
  /** Requests of each pod in it; 0 of one that was not there for nearly all of it: it plays no part. */
  readonly requests: readonly number[];
  /** Pods that have a part: each can be the canary's first. None where fewer than two were there. */
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

/**
 * `lives`: of the same past. A pod that began or ended in the window is left out on both sides: as the canary it would look
 * like one without traffic, and with the stable it would change everybody's share of the requests.
 */
export function windowOf(past: History, first: number, slots: number, lives = livesOf(past)): Window {
  const requests: number[] = (past.slots[first] ?? []).map(() => 0);
  for (let k = 0; k < slots; k++)
    past.slots[first + k]?.forEach((side, pod) => {
      requests[pod] = (requests[pod] ?? 0) + side.requests;
    });
  const there = requests.map((n, pod) => (wasThere(lives[pod], first, slots) ? n : 0));
  const pods = there.flatMap((n, pod) => (n > 0 ? [pod] : []));
  return { first, slots, requests: there, pods: pods.length > 1 ? pods : [] };
}
