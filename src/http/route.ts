/**
 * One literal per call of the API: it validates, it is the Express handler (`bind.ts`), and it is the operation in the
 * OpenAPI document (`openapi.ts`). None of the three can say something that the others do not.
 */
import type { z } from 'zod';
import type { AuditAction } from '../app/audit/act.ts';
import type { Logger, Principal } from '../app/ports.ts';
import type { Act } from '../app/usecases.ts';
import type { Several } from './document.ts';
import type { ProblemCode, Refused } from './problem.ts';

export type Method = 'get' | 'post';

export interface ResponseSpec {
  readonly description: string;
  /** Absent: no body. */
  readonly body?: z.ZodType;
  /** Media type of `body`; application/json if absent. */
  readonly type?: string;
  /** Media type of the stream that is sent instead of `body` to those who ask for it. */
  readonly stream?: string;
  /** Header -> what it says. */
  readonly headers?: Readonly<Record<string, string>>;
}
export type Responses = Readonly<Record<number, ResponseSpec>>;

/** Writes to the open stream. Resolves when the client can take more; false: the client is gone. */
export type Sink = (text: string) => Promise<boolean>;

interface Head<S> {
  readonly status: S;
  readonly headers?: Readonly<Record<string, string>>;
}
type BodyOf<R> = R extends { readonly body: infer B extends z.ZodType }
  ? { readonly body: z.input<B> }
  : { readonly body?: undefined };
type StreamOf<R, S> = R extends { readonly stream: string }
  ? Head<S> & { readonly stream: (sink: Sink) => Promise<void> }
  : never;
/** What a handler may answer: one of the declared responses, with the body that was declared for it. */
export type Answer<R extends Responses> = {
  [S in keyof R & number]: (Head<S> & BodyOf<R[S]>) | StreamOf<R[S], S>;
}[keyof R & number];

export interface Context<P, Q, H, B> {
  readonly params: P;
  readonly query: Q;
  readonly headers: H;
  readonly body: B;
  /** Who asks. ANONYMOUS for open calls. */
  readonly principal: Principal;
  readonly requestId: string;
  readonly log: Logger;
  /** Aborted when the client has gone. */
  readonly gone: AbortSignal;
  /** Aborted when the server begins to stop: answer now with what there is. */
  readonly stopping: AbortSignal;
  /** false: the token was revoked or has expired since the request came. */
  readonly stillAllowed: () => Promise<boolean>;
  /** A place among the caller's open streams and long polls; null: all are taken. Given back when the request ends. */
  readonly takeSlot: () => boolean;
  /** Where a JSON pointer into the body stands in its text. */
  readonly locate: (pointer: string) => { readonly line: number; readonly column: number } | null;
}

export interface RouteSpec<P, Q, H, B, R extends Responses, C extends ProblemCode> {
  readonly method: Method;
  /** As in OpenAPI: "/rollouts/{id}". */
  readonly path: string;
  readonly operationId: string;
  readonly summary: string;
  readonly description?: string;
  /** What the caller's role must allow; null: open to everybody. */
  readonly can: Act | null;
  /** The act that it asks for, as the audit calls it. Absent: it changes nothing. */
  readonly audit?: AuditAction;
  /** The act, where the body decides which. Absent: always `audit`. */
  readonly auditOf?: (body: B) => AuditAction;
  /** Draws on a budget of its own, so that a flood of other calls cannot keep it from being heard. */
  readonly reserved?: true;
  /** Asked every few seconds by machines: a trace of each would hide the others. */
  readonly untraced?: true;
  readonly params?: z.ZodType<P>;
  readonly query?: z.ZodType<Q>;
  /** Lower-case names. */
  readonly headers?: z.ZodType<H>;
  readonly body?: BodySpec<B>;
  readonly responses: R;
  /** Refusals that this call adds to the common ones (`bind.ts`). */
  readonly problems: readonly C[];
  readonly handle: (context: Context<P, Q, H, B>) => Promise<Answer<NoInfer<R>> | Refused<NoInfer<C>>>;
}

export interface BodySpec<B> {
  readonly schema: z.ZodType<B>;
  /** false: an absent body is read as {}. */
  readonly required: boolean;
  /** Name of a component that describes the body in the document, where `schema` only lets it through. */
  readonly component?: string;
  /** Schema of that component, with the descriptions of its own; absent: the document has it anyhow. */
  readonly shown?: z.ZodType;
  /** What may stand in its place, for the document. */
  readonly orElse?: z.ZodType;
  /** May these YAML documents be sent one after the other? Absent: only one. */
  readonly several?: Several;
  readonly example?: unknown;
}

/** A route whose types have done their work. */
export interface Route {
  readonly method: Method;
  readonly path: string;
  readonly operationId: string;
  readonly summary: string;
  readonly description: string;
  readonly can: Act | null;
  /** null: it changes nothing. */
  readonly audit: AuditAction | null;
  /** `body` undefined: it was not read yet, or is not valid. */
  readonly auditOf: (body: unknown) => AuditAction | null;
  readonly reserved: boolean;
  readonly untraced: boolean;
  readonly params: z.ZodType | null;
  readonly query: z.ZodType | null;
  readonly headers: z.ZodType | null;
  readonly body: BodySpec<unknown> | null;
  readonly responses: Responses;
  readonly problems: readonly ProblemCode[];
  readonly handle: (context: Context<unknown, unknown, unknown, unknown>) => Promise<AnyAnswer | Refused>;
}

export interface AnyAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly stream?: (sink: Sink) => Promise<void>;
}

export const ANONYMOUS: Principal = { id: 'anonymous', name: 'anonymous', role: 'viewer' };

/** Refusals that any call may give, by what it declares. */
function commonProblems(spec: {
  readonly method: Method;
  readonly can: Act | null;
  readonly params?: unknown;
  readonly body?: unknown;
}): readonly ProblemCode[] {
  return [
    'invalid_parameter',
    ...(spec.params === undefined ? [] : (['malformed_url'] as const)),
    ...(spec.can === null
      ? []
      : (['unauthenticated', 'forbidden', 'rate_limited', 'store_unavailable', 'issuer_unavailable'] as const)),
    ...(spec.can === null || spec.method === 'get' ? [] : (['cross_site'] as const)),
    ...(spec.body === undefined
      ? []
      : ([
          'malformed_body',
          'body_too_large',
          'unsupported_media_type',
          'unsupported_encoding',
          'invalid_body',
        ] as const)),
    'internal',
  ];
}

export function route<P, Q, H, B, const R extends Responses, const C extends ProblemCode>(
  spec: RouteSpec<P, Q, H, B, R, C>,
): Route {
  return {
    method: spec.method,
    path: spec.path,
    operationId: spec.operationId,
    summary: spec.summary,
    description: spec.description ?? '',
    can: spec.can,
    audit: spec.audit ?? null,
    auditOf: (body) => (body === undefined ? undefined : spec.auditOf?.(body as B)) ?? spec.audit ?? null,
    reserved: spec.reserved ?? false,
    untraced: spec.untraced ?? false,
    params: spec.params ?? null,
    query: spec.query ?? null,
    headers: spec.headers ?? null,
    body: spec.body ?? null,
    responses: spec.responses,
    problems: [...new Set([...commonProblems(spec), ...spec.problems])],
    // The schemas above are what gives the context these types, and `bind` runs them all before it calls.
    handle: spec.handle as Route['handle'],
  };
}
