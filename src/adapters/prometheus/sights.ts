/** From what the views saw of one workload to one reading. Pure. */
import type { Reading } from '../../domain/observation.ts';
import { type Trouble, trouble } from './answer.ts';
import type { Figures } from './figures.ts';
import { quantileOf, totalOf } from './quantile.ts';

/** What one view saw. */
export interface Sight {
  /** The query for this view and workload alone. Read of one sight only: writing it down costs more than judging it. */
  readonly query: string;
  readonly seen: Seen;
}

export type Seen =
  | { readonly ok: true; readonly value: number; readonly samples: number }
  /** No request in the window: this view says nothing. */
  | { readonly ok: true; readonly value: null }
  | Trouble;

const NOTHING: Seen = { ok: true, value: null };

/** Ratio of failed requests. `who`: the workload, for messages. */
export function errorRatio(who: string, figures: Figures | undefined): Seen {
  const requests = figures?.requests ?? 0;
  const errors = figures?.errors ?? 0;
  const odd = notFinite(who, 'request count', requests) ?? notFinite(who, 'error count', errors);
  if (odd !== null) return odd;
  // Extrapolation, and counters of starts beside counters of ends, may show more failures than requests.
  const samples = Math.max(requests, errors);
  return samples > 0 ? { ok: true, value: Math.max(0, errors) / samples, samples } : NOTHING;
}

/** Latency quantile in milliseconds. `scale`: milliseconds per unit of the bounds. */
export function latencyQuantile(who: string, figures: Figures | undefined, quantile: number, scale: number): Seen {
  const buckets = figures?.buckets ?? [];
  if (buckets.length === 0) return NOTHING;
  const bad = buckets.find(([bound, count]) => Number.isNaN(bound) || !Number.isFinite(count));
  if (bad !== undefined)
    return notFinite(who, `latency bucket le="${bad[0]}"`, bad[1]) ?? noHistogram(who, 'a bucket bound is no number');
  const samples = totalOf(buckets);
  const value = quantileOf(quantile, buckets);
  if (value === null) return noHistogram(who, 'it has no infinite bucket, or no other one');
  return samples > 0 ? { ok: true, value: value * scale, samples } : NOTHING;
}

const notFinite = (who: string, what: string, value: number): Trouble | null => {
  if (Number.isFinite(value)) return null;
  const code = Number.isNaN(value) ? 'not_a_number' : 'infinite';
  return trouble(code, `the ${what} of ${who} is ${value}; look at the series in Prometheus`);
};

const noHistogram = (who: string, why: string): Trouble =>
  trouble('malformed', `the latency metric of ${who} is no histogram: ${why}; check the metric's name`);

/** A view with less than this part of the busiest view's requests is not asked for its opinion. */
const HEARD = 0.5;

export interface Words {
  /** Said when no view saw a request. */
  readonly noRequest: string;
  /** Said when the value is above everything that the histogram can tell. */
  readonly aboveAll: string;
}

/**
 * The worse of what the views saw. Each is blind to something: callers' proxies to attempts that a retry saved, the
 * workload's own to requests that never arrived. A view that could not be asked might have been the worse one, so its
 * trouble is the answer.
 */
export function combined(sights: readonly Sight[], words: Words): Reading {
  for (const sight of sights)
    if (!sight.seen.ok) return { ok: false, code: sight.seen.code, message: sight.seen.message, query: sight.query };
  const heard = sights.flatMap((sight) =>
    sight.seen.ok && sight.seen.value !== null ? [{ sight, value: sight.seen.value, samples: sight.seen.samples }] : [],
  );
  const busiest = Math.max(0, ...heard.map(({ samples }) => samples));
  const worst = heard
    .filter(({ samples }) => samples >= busiest * HEARD)
    .sort((a, b) => b.value - a.value || b.samples - a.samples)[0];
  if (worst === undefined)
    return { ok: false, code: 'no_data', message: words.noRequest, query: sights[0]?.query ?? '' };
  const { value, samples } = worst;
  const { query } = worst.sight;
  if (!Number.isFinite(value)) return { ok: false, code: 'infinite', message: words.aboveAll, query };
  return { ok: true, value, samples, query };
}
