/**
 * How many codes callers without a name may bring while somebody signs in. First each network has a limit of its own, so
 * that one of them keeps nobody else out; then all together, for what a code costs behind this process.
 */
import type { Millis } from '../domain/plan.ts';
import { networkOf } from './network.ts';
import type { Rate } from './rate.ts';
import { rateLimiter } from './rate.ts';

/** Of one network: a team behind one address, in the morning. */
export const EXCHANGES_OF_ONE: Rate = { burst: 30, perSecond: 0.5 };
/** Of this process: far above any morning, and no way to flood the provider or the database through us. */
export const EXCHANGES: Rate = { burst: 120, perSecond: 20 };

export interface Exchanges {
  /** Asked of every request, before anything is looked at. */
  ofOne(address: string | null): boolean;
  /** Asked only when what came could be right, and looking costs something. */
  ofAll(): boolean;
}

/** `now`: milliseconds of a monotonic clock. */
export function exchanges(now: () => Millis): Exchanges {
  const one = rateLimiter(EXCHANGES_OF_ONE, now);
  const all = rateLimiter(EXCHANGES, now);
  return {
    ofOne: (address) => one.take(networkOf(address)).allowed,
    ofAll: () => all.take('all').allowed,
  };
}
