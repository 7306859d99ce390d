/** What several guards do alike: look further back where the window has too little, and ask how it was before the rollout. */
import type { GuardFinding } from '../app/ports.ts';
import type { ShareReading } from '../domain/observation.ts';
import type { Millis } from '../domain/plan.ts';
import { thinFor } from '../domain/share.ts';
import { type Around, unasked } from './guard.ts';
import type { View } from './mesh.ts';
import type { Trouble } from './prometheus/answer.ts';
import { errorsBefore, requestsBefore, unreachedBefore } from './prometheus/before.ts';
import { shareQuery } from './prometheus/share-query.ts';

/**
 * Judges the window; where that has too little to judge by and no failure, all the time that the weight has been in force:
 * with few users a minute is no time.
 */
export async function further<T>(
  { window, longest }: Pick<Around, 'window' | 'longest'>,
  ask: (window: Millis) => Promise<T>,
  isThin: (seen: T) => boolean,
  judge: (seen: T, window: Millis) => Promise<GuardFinding> | GuardFinding,
): Promise<GuardFinding> {
  const seen = await ask(window);
  const found = await judge(seen, window);
  if (found.verdict === 'fail' || longest <= window || !isThin(seen)) return found;
  return { ...(await judge(await ask(longest), longest)), window: longest };
}

/**
 * Judges where the service's requests went. Of times that do not belong together nothing is judged, and the guard is
 * waited for; a Prometheus that does not answer is for the checks to say.
 */
export function bySharing(
  around: Around,
  judge: (seen: ShareReading | null, window: Millis) => Promise<GuardFinding> | GuardFinding,
): Promise<GuardFinding> {
  const query = (window: Millis) => shareQuery(around.views, around.target, window);
  const thin = thinFor(around.wanted);
  return further(
    around,
    around.share,
    (seen) => !isTrouble(seen) && thin(seen),
    (seen, window) => {
      if (!isTrouble(seen)) return judge(seen, window);
      return seen.code === 'partial' ? unasked(seen, query(window)) : judge(null, window);
    },
  );
}

const isTrouble = (seen: ShareReading | Trouble | null): seen is Trouble => seen !== null && 'ok' in seen;

type Past = Pick<Around, 'target' | 'since' | 'now' | 'once' | 'rows' | 'spelled'>;

/** The part of the service's requests that reached nobody before the rollout. null: not known, and asked again. */
export async function lostBefore(around: Past & Pick<Around, 'views'>): Promise<number | null> {
  const view = around.views.find(({ unreached }) => unreached !== undefined);
  return view === undefined
    ? null
    : before(around, 'unreached', (ago) => unreachedBefore(around.spelled(view), around.target, ago));
}

/** The part of the stable version's requests that failed by this view before the rollout. null as above. */
export const failedBefore = (around: Past, view: View, least: number): Promise<number | null> =>
  before(around, view.name, (ago) => errorsBefore(around.spelled(view), around.target, ago, least));

/** Attempts at the stable version's pods for each request of callers before the rollout. null as above. */
export const attemptsBefore = (around: Past, pods: View, callers: View, least: number): Promise<number | null> =>
  before(around, 'attempts', (ago) =>
    requestsBefore(around.spelled(pods), around.spelled(callers), around.target, ago, least),
  );

/** Asked only when it matters, and once. */
const before = (
  { since, now, once, rows }: Past,
  what: string,
  query: (ago: Millis) => string,
): Promise<number | null> =>
  once(`${what} before`, async () => {
    const answer = await rows(query(Math.max(1_000, now - since)));
    const found = answer.ok ? answer.rows[0]?.value : undefined;
    return found !== undefined && Number.isFinite(found) ? found : null;
  });
