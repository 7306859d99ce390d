/**
 * Which group each pod belongs to. Kept from the pod's first request on: a pod that is silent for a block must not move the
 * others, or what outlives a block would be seen in another group than it began in.
 *
 * Each version is dealt out by itself, so that every group has as many of each as can be; pods that come together are dealt
 * by a hash of their names: which of them are put together must not depend on what happened to them.
 */
import type { Role } from '../plan.ts';

export const GROUPS = 8;

/** By pod: its group, and the last block in which it had requests. Plain JSON. */
export type Seats = { readonly [role in Role]: Readonly<Record<string, readonly [group: number, block: number]>> };

export const NO_SEATS: Seats = { canary: {}, stable: {} };

/** A pod that had no request for so many blocks is forgotten; its place is another's. */
const FORGOTTEN_AFTER = 60;

export const seatOf = (seats: Seats, role: Role, pod: string): number | null =>
  Object.hasOwn(seats[role], pod) ? (seats[role][pod]?.[0] ?? null) : null; // a pod may be called "constructor"

/** After the pods that had requests in block `index`. */
export function seated(seats: Seats, heard: { readonly [role in Role]: readonly string[] }, index: number): Seats {
  return { canary: dealt(seats.canary, heard.canary, index), stable: dealt(seats.stable, heard.stable, index) };
}

function dealt(known: Seats[Role], heard: readonly string[], index: number): Seats[Role] {
  const next = new Map(Object.entries(known).filter(([, [, block]]) => index - block <= FORGOTTEN_AFTER));
  const taken = new Array<number>(GROUPS).fill(0);
  for (const [group] of next.values()) taken[group] = (taken[group] ?? 0) + 1;
  for (const pod of [...heard].sort((a, b) => hash(a) - hash(b) || (a < b ? -1 : 1))) {
    const place = next.get(pod)?.[0] ?? emptiest(taken);
    if (!next.has(pod)) taken[place] = (taken[place] ?? 0) + 1;
    next.set(pod, [place, index]);
  }
  return Object.fromEntries(next);
}

const emptiest = (taken: readonly number[]): number => taken.indexOf(Math.min(...taken));

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0;
}
