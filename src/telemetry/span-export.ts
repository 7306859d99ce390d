/**
 * From finished spans to the collector: batches from a bounded queue, over OTLP. Whatever the collector does, nobody waits
 * for it and nothing fails by it; what is lost is counted.
 */
import { ExportResultCode } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import type { SpanExporter, SpanProcessor } from '@opentelemetry/sdk-trace';
import { BatchSpanProcessor } from '@opentelemetry/sdk-trace';
import type { Logger, Recorder } from '../app/ports.ts';
import type { Millis } from '../domain/plan.ts';

export interface ExportOptions {
  /** Base address of the collector; `/v1/traces` is added. */
  readonly endpoint: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly recorder: Pick<Recorder, 'spans'>;
  readonly log: Logger;
  /** Finished spans that wait at most; more are dropped. */
  readonly queue?: number;
  /** How long spans gather before they are sent. */
  readonly delay?: Millis;
}

const QUEUE = 4_096;
const BATCH = 512;
const DELAY: Millis = 2_000;
/** Of one batch with all its retries. Longer than that it is lost. */
const SEND_WITHIN: Millis = 5_000;

export function spanExport({
  endpoint,
  headers,
  recorder,
  log,
  queue = QUEUE,
  delay = DELAY,
}: ExportOptions): SpanProcessor {
  const sender = new OTLPTraceExporter({
    url: `${endpoint.replace(/\/+$/, '')}/v1/traces`,
    headers: { ...headers },
    timeoutMillis: SEND_WITHIN,
  });
  let waiting = 0;
  let down = false;
  const counted: SpanExporter = {
    export(spans, done) {
      waiting -= spans.length;
      sender.export(spans, (result) => {
        const ok = result.code === ExportResultCode.SUCCESS;
        recorder.spans(ok ? 'exported' : 'failed', spans.length);
        // Every few seconds while it lasts; the first time says it.
        if (!ok && !down)
          log.warn({ err: result.error }, 'traces cannot be delivered; they are dropped until they can');
        down = !ok;
        done(result);
      });
    },
    forceFlush: () => sender.forceFlush(),
    shutdown: () => sender.shutdown(),
  };
  const batches = new BatchSpanProcessor({
    exporter: counted,
    maxQueueSize: queue,
    maxExportBatchSize: Math.min(BATCH, queue),
    scheduledDelayMillis: delay,
    exportTimeoutMillis: 2 * SEND_WITHIN,
  });
  return {
    onStart: (span, context) => batches.onStart(span, context),
    onEnd(span) {
      // The library has the same bound, and drops without a word.
      if (waiting >= queue) return recorder.spans('dropped', 1);
      waiting += 1;
      batches.onEnd(span);
    },
    forceFlush: () => batches.forceFlush(),
    shutdown: () => batches.shutdown(),
  };
}
