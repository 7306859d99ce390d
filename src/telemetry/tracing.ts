/** Traces with OpenTelemetry. Nothing global: two services in one process (tests) do not share spans. */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Context, Link, Span as OtelSpan, SpanOptions } from '@opentelemetry/api';
import { defaultTextMapSetter, ROOT_CONTEXT, SpanKind, SpanStatusCode, TraceFlags, trace } from '@opentelemetry/api';
import { CompositePropagator, W3CTraceContextPropagator } from '@opentelemetry/core';
import { B3InjectEncoding, B3Propagator } from '@opentelemetry/propagator-b3';
import { resourceFromAttributes } from '@opentelemetry/resources';
import type { IdGenerator, Sampler } from '@opentelemetry/sdk-trace';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  RandomIdGenerator,
  SamplingDecision,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import type { Attributes, Incoming, Span, StepAt, TraceHeaders, Tracer } from '../app/tracer.ts';
import { UNTRACED } from '../app/tracer.ts';
import type { Millis } from '../domain/plan.ts';
import type { ExportOptions } from './span-export.ts';
import { spanExport } from './span-export.ts';
import type { StepIds } from './step-trace.ts';
import { stepIds } from './step-trace.ts';

type RootSampler = 'always_on' | 'always_off' | 'traceidratio';
/** As OTEL_TRACES_SAMPLER names them. */
export type SamplerName = RootSampler | `parentbased_${RootSampler}`;

export type PropagatorName = 'tracecontext' | 'b3' | 'b3multi';

export interface TracingOptions extends ExportOptions {
  /** Of the process, "service.name" among them. */
  readonly resource: Readonly<Record<string, string>>;
  /** `ratio`: of the traces, 0..1; only for samplers by ratio. */
  readonly sampler: { readonly name: SamplerName; readonly ratio: number };
  /** Forms in which the trace's context is read and sent. */
  readonly propagators: readonly PropagatorName[];
  /** Of the program. */
  readonly version: string;
}

export interface Tracing extends Tracer {
  /** Sends what waits, for a moment. */
  close(): Promise<void>;
}

const CLOSE_WITHIN: Millis = 1_000;
const LONGEST_VALUE = 256;

export function openTracing(options: TracingOptions): Tracing {
  const ids = new StepIdGenerator();
  const sampler = samplerOf(options.sampler);
  const provider = new TracerProvider({
    resource: resourceFromAttributes(options.resource),
    sampler,
    idGenerator: ids,
    spanLimits: { attributeValueLengthLimit: LONGEST_VALUE },
    spanProcessors: [spanExport(options)],
  });
  const tracer = provider.getTracer('sluice', options.version);
  const propagator = propagatorOf(options.propagators);
  const active = new AsyncLocalStorage<Context>();

  const traced = <T>(
    name: string,
    how: SpanOptions,
    parent: Context,
    work: (span: Span, context: Context) => Promise<T>,
  ): Promise<T> => {
    const span = tracer.startSpan(name, how, parent);
    const context = trace.setSpan(parent, span);
    const shown = spanOf(span);
    return active.run(context, async () => {
      try {
        return await work(shown, context);
      } catch (error) {
        // By its name only: the text of a driver's error may hold what it was given.
        shown.fail(error instanceof Error ? error.name : 'error');
        throw error;
      } finally {
        span.end();
      }
    });
  };

  const headersOf = (context: Context): TraceHeaders => {
    const headers: Record<string, string> = {};
    propagator.inject(context, headers, defaultTextMapSetter);
    return headers;
  };

  /** Every process decides alike: samplers look at the id of the trace alone. */
  const isSampled = ({ traceId }: StepIds): boolean =>
    sampler.shouldSample(ROOT_CONTEXT, traceId, 'rollout.step', SpanKind.INTERNAL, {}, []).decision ===
    SamplingDecision.RECORD_AND_SAMPLED;

  return {
    request: ({ name, headers, attributes }, work) =>
      traced(name, { kind: SpanKind.SERVER, attributes }, propagator.extract(ROOT_CONTEXT, headers, GETTER), work),

    step(at, name, attributes, work) {
      const own = stepIds(at);
      const traceFlags = isSampled(own) ? TraceFlags.SAMPLED : TraceFlags.NONE;
      const parent = trace.setSpanContext(ROOT_CONTEXT, { ...own, traceFlags, isRemote: true });
      const all = { 'sluice.rollout': at.rollout, ...stepAttribute(at), ...attributes };
      return traced(name, { attributes: all, links: linksTo(active.getStore(), own) }, parent, work);
    },

    part(name, attributes, work) {
      const parent = active.getStore();
      return parent === undefined ? UNTRACED.part(name, attributes, work) : traced(name, { attributes }, parent, work);
    },

    call(name, attributes, work) {
      const parent = active.getStore();
      if (parent === undefined) return UNTRACED.call(name, attributes, work);
      return traced(name, { kind: SpanKind.CLIENT, attributes }, parent, (span, context) =>
        work(span, headersOf(context)),
      );
    },

    apart: (work) => active.exit(work),

    stepEnded(at, from, to, attributes) {
      const all = { 'sluice.rollout': at.rollout, ...stepAttribute(at), ...attributes };
      const name = at.step === null ? 'rollout.pending' : 'rollout.step';
      ids
        .as(stepIds(at), () =>
          tracer.startSpan(name, { root: true, startTime: new Date(from), attributes: all }, ROOT_CONTEXT),
        )
        .end(new Date(to));
    },

    traceOf(at) {
      const own = stepIds(at);
      return isSampled(own) ? own.traceId : null;
    },

    close: () => atMost(CLOSE_WITHIN, provider.shutdown()),
  };
}

/** Makes random ids, but for the span above all others of a step. */
class StepIdGenerator implements IdGenerator {
  readonly #random = new RandomIdGenerator();
  #own: StepIds | null = null;

  as<T>(own: StepIds, start: () => T): T {
    this.#own = own;
    try {
      return start();
    } finally {
      this.#own = null;
    }
  }

  generateTraceId(): string {
    return this.#own?.traceId ?? this.#random.generateTraceId();
  }

  generateSpanId(): string {
    return this.#own?.spanId ?? this.#random.generateSpanId();
  }
}

const stepAttribute = ({ step }: StepAt): Attributes => (step === null ? {} : { 'sluice.step': step });

const spanOf = (span: OtelSpan): Span => ({
  set: (attributes) => void span.setAttributes(attributes),
  fail: (code) => void span.setStatus({ code: SpanStatusCode.ERROR }).setAttribute('error.type', code),
});

function linksTo(context: Context | undefined, { traceId }: StepIds): Link[] {
  const other = context === undefined ? undefined : trace.getSpanContext(context);
  return other === undefined || other.traceId === traceId ? [] : [{ context: other }];
}

const GETTER = {
  keys: (headers: Incoming['headers']): string[] => Object.keys(headers),
  get(headers: Incoming['headers'], name: string): string | string[] | undefined {
    const value = headers[name];
    return value === undefined || typeof value === 'string' ? value : [...value];
  },
};

function samplerOf({ name, ratio }: TracingOptions['sampler']): Sampler {
  switch (name) {
    case 'always_on':
      return new AlwaysOnSampler();
    case 'always_off':
      return new AlwaysOffSampler();
    case 'traceidratio':
      return new TraceIdRatioBasedSampler(ratio);
    case 'parentbased_always_on':
    case 'parentbased_always_off':
    case 'parentbased_traceidratio':
      return new ParentBasedSampler({ root: samplerOf({ name: ROOTS[name], ratio }) });
    default:
      return name satisfies never;
  }
}

const ROOTS = {
  parentbased_always_on: 'always_on',
  parentbased_always_off: 'always_off',
  parentbased_traceidratio: 'traceidratio',
} as const;

const propagatorOf = (names: readonly PropagatorName[]): CompositePropagator =>
  new CompositePropagator({
    propagators: names.map((name) => {
      switch (name) {
        case 'tracecontext':
          return new W3CTraceContextPropagator();
        case 'b3':
          return new B3Propagator({ injectEncoding: B3InjectEncoding.SINGLE_HEADER });
        case 'b3multi':
          return new B3Propagator({ injectEncoding: B3InjectEncoding.MULTI_HEADER });
        default:
          return name satisfies never;
      }
    }),
  });

/** A collector that hangs must not keep the process; what it did not take is lost. */
async function atMost(time: Millis, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, time);
  });
  try {
    await Promise.race([work.catch(() => undefined), late]);
  } finally {
    clearTimeout(timer);
  }
}
