/** How often Flagger looks, and how long it bears failures. */
import type { Millis } from '../../../domain/plan.ts';
import { clamped, DAY, goDuration, HOUR, MINUTE, SECOND, written } from '../durations.ts';
import type { Field } from '../field.ts';
import type { PlanDocument } from '../note.ts';

export interface Timing {
  readonly interval: Millis;
  readonly analysis: PlanDocument;
}

/** A look of Flagger's is never sooner after the one before. */
const LEAST_INTERVAL = 10 * SECOND;
/** Sluice wants 20 requests of the canary, at few percent, before it judges. */
const LEAST_PATIENCE = 5 * MINUTE;

export function flaggerTiming(analysis: Field): Timing {
  const field = analysis.at('interval');
  const found = goDuration(field.text());
  const interval = found === null ? MINUTE : Math.max(found, LEAST_INTERVAL);
  const looked = clamped(interval, SECOND, HOUR);
  field.maps(
    `each weight is held for ${written(interval)} and looked at every ${written(looked)}; the comparison with the stable version, which Flagger has not, may hold it longer`,
  );
  const threshold = analysis.at('threshold').number() ?? 1;
  const limit = clamped(Math.max(threshold, 1), 1, 100);
  const patience = clamped(interval * limit, LEAST_PATIENCE, DAY);
  analysis
    .at('threshold')
    .differs(
      `analysis.failureLimit: ${limit}, which counts consecutive failures of one check; Flagger adds up every failed look of the whole run. Looks without a value count there: here noData rolls back after ${written(patience)}`,
    );
  return {
    interval,
    analysis: {
      interval: written(looked),
      failureLimit: limit,
      noData: { patience: written(patience), then: 'rollback' },
    },
  };
}
