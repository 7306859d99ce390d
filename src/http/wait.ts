/** Waiting for a change without outliving the one who waits. */
import type { UseCases } from '../app/usecases.ts';
import type { Millis } from '../domain/plan.ts';
import type { Rollout } from '../domain/rollout.ts';
import { isLive } from '../domain/rollout.ts';

export interface Waiter {
  readonly gone: AbortSignal;
  readonly stopping: AbortSignal;
}

/**
 * The rollout once its version is above `since` (undefined: above the present one), or as it is after `wait`.
 * At once where it has ended: nothing more will change. null: there is no such rollout.
 */
export async function waited(
  usecases: Pick<UseCases, 'get' | 'waitForChange'>,
  id: string,
  since: number | undefined,
  wait: Millis,
  waiter: Waiter,
): Promise<Rollout | null> {
  const now = await usecases.get(id);
  if (now === null || wait <= 0 || !isLive(now) || (since !== undefined && now.version > since)) return now;
  return changed(usecases, id, since ?? now.version, wait, waiter);
}

/** As `waitForChange`, but it also ends, with what there is, when the client leaves or the server stops. */
export async function changed(
  usecases: Pick<UseCases, 'get' | 'waitForChange'>,
  id: string,
  version: number,
  wait: Millis,
  { gone, stopping }: Waiter,
): Promise<Rollout | null> {
  const over = AbortSignal.any([gone, stopping]);
  if (over.aborted) return usecases.get(id);
  const { promise: aborted, resolve } = Promise.withResolvers<'aborted'>();
  const onAbort = (): void => resolve('aborted');
  over.addEventListener('abort', onAbort, { once: true });
  try {
    const waiting = usecases.waitForChange(id, version, wait, over);
    const result = await Promise.race([waiting, aborted]);
    if (result !== 'aborted') return result;
    // The wait may end by a rejection now: its answer is not wanted any more, whatever it is.
    waiting.then(ignore, ignore);
    return await usecases.get(id);
  } catch (error) {
    if (over.aborted) return usecases.get(id);
    throw error;
  } finally {
    over.removeEventListener('abort', onAbort);
  }
}

const ignore = (): void => {};
