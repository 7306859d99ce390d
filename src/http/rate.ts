/** What one caller may use of this process: requests per second, and connections held open. In memory: per replica. */
import type { Millis } from '../domain/plan.ts';

export interface Rate {
  /** Requests that may come at once. */
  readonly burst: number;
  readonly perSecond: number;
}

export interface Allowance {
  readonly allowed: boolean;
  readonly remaining: number;
  /** Whole seconds until a request is allowed again; 0: now. */
  readonly retryAfter: number;
}

export interface RateLimiter {
  take(key: string): Allowance;
}

/** Of how many keys is known how much they have used: beyond, whoever has not asked for longest begins anew. */
export const KEYS_KEPT = 10_000;

/** A token bucket per key. `now`: milliseconds of a monotonic clock. */
export function rateLimiter({ burst, perSecond }: Rate, now: () => Millis): RateLimiter {
  const buckets = new Map<string, { level: number; at: Millis }>();
  const levelOf = (bucket: { level: number; at: Millis }, at: Millis): number =>
    Math.min(burst, bucket.level + ((at - bucket.at) / 1000) * perSecond);
  return {
    take(key) {
      const at = now();
      const known = buckets.get(key);
      const level = known === undefined ? burst : levelOf(known, at);
      const allowed = level >= 1;
      const left = allowed ? level - 1 : level;
      // A map keeps the order in which keys came: the first is the one that has not asked for longest.
      buckets.delete(key);
      buckets.set(key, { level: left, at });
      const [oldest] = buckets.size > KEYS_KEPT ? buckets.keys() : [];
      if (oldest !== undefined) buckets.delete(oldest);
      return {
        allowed,
        remaining: Math.floor(left),
        retryAfter: allowed ? 0 : Math.max(1, Math.ceil((1 - left) / perSecond)),
      };
    },
  };
}

export interface Slots {
  /** null: all of this key's are taken. Otherwise gives the place back; calling it twice is harmless. */
  take(key: string): (() => void) | null;
}

export function slots(perKey: number): Slots {
  const taken = new Map<string, number>();
  return {
    take(key) {
      const now = taken.get(key) ?? 0;
      if (now >= perKey) return null;
      taken.set(key, now + 1);
      let held = true;
      return () => {
        if (!held) return;
        held = false;
        const left = (taken.get(key) ?? 1) - 1;
        if (left === 0) taken.delete(key);
        else taken.set(key, left);
      };
    },
  };
}
