/** Instant queries of a cluster's Prometheus for the checks: rows as they are, of any number. */
import type { Recorder } from '../../app/ports.ts';
import type { Tracer } from '../../app/tracer.ts';
import type { Millis } from '../../domain/plan.ts';
import type { Answer } from '../prometheus/answer.ts';
import { type ClientOptions, openClient } from '../prometheus/client.ts';

export interface QueryOptions extends Pick<ClientOptions, 'url'> {
  readonly auth?: ClientOptions['auth'] | undefined;
  readonly timeoutMs?: Millis | undefined;
  readonly recorder: Pick<Recorder, 'metricsQuery'>;
  /** Absent: nothing is traced. */
  readonly tracer?: Tracer;
}

const MEBIBYTES = 1024 * 1024;

/** Throws for an address that is none. */
export function openQuery({
  url,
  auth,
  timeoutMs = 5_000,
  recorder,
  tracer,
}: QueryOptions): (promql: string) => Promise<Answer> {
  const client = openClient({
    url,
    ...(auth === undefined ? {} : { auth }),
    ...(tracer === undefined ? {} : { tracer }),
    maxResponseBytes: 2 * MEBIBYTES,
    maxSampleAge: 5 * 60_000,
    maxSampleAhead: 30_000,
    onRequest: (result, took) => recorder.metricsQuery('prometheus', result, took),
  });
  return (promql) => client.query(promql, timeoutMs);
}
