/** From the users' requests to what a page can show: few enough to be seen one by one, and counts of all of them. */
import { WORKLOADS } from '../seeds.ts';
import type { Answered, Users } from '../traffic.ts';
import { NOBODY } from '../traffic.ts';
import type { Batch, Bubble, Counts, Row, Version } from './wire.ts';

/** Bubbles per second: 70 can be told apart, and of the 400 requests a second of the demo 1 in 6 is shown. */
export const MOST_PER_SECOND = 70;

const VERSIONS: readonly (readonly [Version, string])[] = [
  ['stable', WORKLOADS.stable],
  ['canary', WORKLOADS.canary],
  ['nobody', NOBODY],
];

export const bubbleOf = ({ by, failed, tookMs }: Answered): Bubble => ({
  version: VERSIONS.find(([, workload]) => workload === by)?.[0] ?? 'nobody',
  failed,
  tookMs: Math.round(tookMs),
});

/** Every n-th, so that no more than MOST_PER_SECOND are left of `perSecond`. */
export const strideOf = (perSecond: number): number => Math.max(1, Math.ceil(perSecond / MOST_PER_SECOND));

export interface Sampler {
  offer(request: Answered): void;
  /** What was kept since the last call, and at which stride. */
  take(): Batch;
}

/** `now`: milliseconds. The stride follows the requests of the last whole second; what bursts above it is cut. */
export function sampler(now: () => number): Sampler {
  let [every, count, second, inSecond] = [1, 0, Math.floor(now() / 1000), 0];
  let shown: Bubble[] = [];
  return {
    offer(request) {
      const at = Math.floor(now() / 1000);
      if (at !== second) {
        every = strideOf(at === second + 1 ? inSecond : 0);
        [second, inSecond] = [at, 0];
      }
      inSecond += 1;
      count += 1;
      if (count % every === 0 && shown.length < MOST_PER_SECOND) shown.push(bubbleOf(request));
    },
    take() {
      const batch = { every, shown };
      shown = [];
      return batch;
    },
  };
}

const SECONDS = 10;

/** Sums the whole seconds before `now`; the present one is not over. */
export function countsOf(
  timeline: readonly (Users & { readonly at: number })[],
  now: number,
  slowAfterMs: number,
): Counts {
  const end = Math.floor(now / 1000) * 1000;
  const recent = timeline.filter(({ at }) => at < end && at >= end - SECONDS * 1000);
  const rows = VERSIONS.map(([version, workload]): Row => {
    const seen = recent.flatMap(({ by }) => by[workload] ?? []);
    const sum = (field: 'requests' | 'failed' | 'slow') => seen.reduce((total, counts) => total + counts[field], 0);
    return { version, requests: sum('requests'), failed: sum('failed'), slow: sum('slow') };
  });
  return { seconds: SECONDS, slowAfterMs, rows };
}
