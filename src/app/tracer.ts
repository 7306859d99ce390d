/**
 * Traces of this service's own work, as app and adapters see them. The only implementation knows OpenTelemetry
 * (telemetry/tracing.ts); without one nothing is made, sent or remembered.
 *
 * One trace per step of a rollout: whoever works for the step, in whatever process, finds it by the rollout's id and the
 * step alone. Where no span is under way, calls to others are in no trace: what goes on by itself is of no interest.
 */
import type { Instant } from '../domain/plan.ts';
import type { Rollout } from '../domain/rollout.ts';
import { stepOf } from '../domain/rollout.ts';

/** Names and numbers; never a query, a body or anything secret. */
export type Attributes = Readonly<Record<string, string | number | boolean>>;

/** The step of one rollout; null: before its first. */
export interface StepAt {
  readonly rollout: string;
  readonly step: number | null;
}

export interface Span {
  set(attributes: Attributes): void;
  /** It did not do what it was for. `code`: one of few words. */
  fail(code: string): void;
}

/** What is sent along with a call, so that the far side goes on with the trace. */
export type TraceHeaders = Readonly<Record<string, string>>;

/** A request that came in. */
export interface Incoming {
  /** Method and template of the path: "GET /rollouts/{id}". */
  readonly name: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly attributes: Attributes;
}

export interface Tracer {
  /** Goes on with the caller's trace, where its headers name one. */
  request<T>(incoming: Incoming, work: (span: Span) => Promise<T>): Promise<T>;
  /** Work for a step, in that step's trace; linked to the span under way, if that is in another trace. */
  step<T>(at: StepAt, name: string, attributes: Attributes, work: (span: Span) => Promise<T>): Promise<T>;
  /** A part of what is under way. */
  part<T>(name: string, attributes: Attributes, work: (span: Span) => Promise<T>): Promise<T>;
  /** A part that somebody else does. */
  call<T>(name: string, attributes: Attributes, work: (span: Span, headers: TraceHeaders) => Promise<T>): Promise<T>;
  /** For what goes on by itself afterwards: it belongs to nothing that is under way. */
  apart<T>(work: () => T): T;
  /** The step is over: the span above all others of its trace. */
  stepEnded(at: StepAt, from: Instant, to: Instant, attributes: Attributes): void;
  /** Id of the step's trace, 32 hexadecimal digits; null: it is not traced. */
  traceOf(at: StepAt): string | null;
}

export const stepAt = (rollout: Rollout): StepAt => ({ rollout: rollout.id, step: stepOf(rollout) });

const NO_SPAN: Span = { set() {}, fail() {} };
const NO_HEADERS: TraceHeaders = Object.freeze({});

/** No tracing. */
export const UNTRACED: Tracer = {
  request: (_incoming, work) => work(NO_SPAN),
  step: (_at, _name, _attributes, work) => work(NO_SPAN),
  part: (_name, _attributes, work) => work(NO_SPAN),
  call: (_name, _attributes, work) => work(NO_SPAN, NO_HEADERS),
  apart: (work) => work(),
  stepEnded() {},
  traceOf: () => null,
};
