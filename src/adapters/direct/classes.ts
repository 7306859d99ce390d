/** What a series of a proxy's page says in the words of a view: a request, a failure, a bucket of the latencies. Pure. */
import type { Selector, View } from '../mesh.ts';
import { fitsAll } from '../series/matchers.ts';
import { type Named, numberOf } from './exposition.ts';

export interface Class {
  readonly request: boolean;
  readonly error: boolean;
  /** Upper bound of a latency bucket, in the view's unit; null: it is none. */
  readonly bound: number | null;
}

/** Names of the metrics on the page that the view is about. */
export function metricsOf({ requests, errors, latency }: View): readonly string[] {
  const counters = [...requests, ...errors].map(({ metric }) => metric);
  return [...new Set(latency === null ? counters : [...counters, `${latency.metric}_bucket`])];
}

/** Sorts the series of one view. null: the view is not about it. */
export function classifier({ requests, errors, latency }: View): (series: Named) => Class | null {
  const isRequest = oneOf(requests);
  const isError = oneOf(errors);
  const isBucket = latency === null ? () => false : oneOf([{ ...latency, metric: `${latency.metric}_bucket` }]);
  return (series) => {
    const bucket = isBucket(series);
    const one = {
      request: isRequest(series),
      error: isError(series),
      bound: bucket ? (numberOf(series.labels['le'] ?? '') ?? Number.NaN) : null,
    };
    return one.request || one.error || bucket ? one : null;
  };
}

type Matches = (series: Named) => boolean;

function oneOf(selectors: readonly Selector[]): Matches {
  const all = selectors.map(({ metric, matchers }): Matches => {
    const fits = fitsAll(matchers);
    return ({ name, labels }) => name === metric && fits(labels);
  });
  return (series) => all.some((one) => one(series));
}
