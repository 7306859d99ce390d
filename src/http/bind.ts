/**
 * A route as an Express handler. The order is the guarantee: who asks, may they, how often; only then is anything of the
 * request parsed, and only then does the handler run.
 */
import type { Request, Response } from 'express';
import { refused as refusedAct } from '../app/audit/act.ts';
import type { Logger, Principal, Recorder } from '../app/ports.ts';
import type { Tracer } from '../app/tracer.ts';
import { OutOfScope } from '../app/trust/scope.ts';
import type { Millis } from '../domain/plan.ts';
import type { Identify } from './auth.ts';
import { forbidden } from './auth.ts';
import { readBody } from './body.ts';
import type { ReadDocument } from './document.ts';
import type { Lifecycle } from './lifecycle.ts';
import { originOf } from './origin.ts';
import type { ProblemCode, Refused } from './problem.ts';
import { isRefused, refuse } from './problem.ts';
import type { RateLimiter, Slots } from './rate.ts';
import type { NoteRefusal } from './refusals.ts';
import { requestIdOf, send, sendEmpty, sendProblem } from './respond.ts';
import type { AnyAnswer, Context, Route, Sink } from './route.ts';
import { ANONYMOUS } from './route.ts';
import { told, validated, validatedBody } from './validate.ts';

export interface Services {
  readonly identify: Identify;
  readonly recorder: Pick<Recorder, 'httpRequest'>;
  readonly tracer: Tracer;
  readonly log: Logger;
  readonly life: Lifecycle;
  /** The caller's budget, and the one kept for calls that must be heard in a flood. */
  readonly rate: RateLimiter;
  readonly reserved: RateLimiter;
  readonly slots: Slots;
  readonly noteRefusal: NoteRefusal;
  /** Milliseconds of a monotonic clock. */
  readonly now: () => Millis;
}

export const expressPath = (path: string): string => path.replaceAll(/\{(\w+)\}/g, ':$1');

type Handler = (req: Request, res: Response) => Promise<void>;

export function bind(services: Services, route: Route): Handler {
  const handle = handler(services, route);
  return route.untraced ? handle : traced(services.tracer, route, handle);
}

/** By the template of the path: names with ids in them would be as many as there are rollouts. */
const traced =
  (tracer: Tracer, { path }: Route, handle: Handler): Handler =>
  (req, res) => {
    const attributes = { 'http.request.method': req.method, 'http.route': path };
    return tracer.request({ name: `${req.method} ${path}`, headers: req.headers, attributes }, async (span) => {
      await handle(req, res);
      span.set({ 'http.response.status_code': res.statusCode });
      if (res.statusCode >= 500) span.fail(String(res.statusCode));
    });
  };

function handler(services: Services, route: Route): Handler {
  return async (req, res) => {
    const connection = watch(services, route, req, res);
    try {
      const answer = await serve(services, route, req, res, connection);
      if (isRefused(answer)) await noted(services, route, req, res, answer, connection);
      if (connection.gone.aborted) return;
      if (isRefused(answer)) sendProblem(res, answer);
      else await sendAnswer(services, route, req, res, answer, connection);
    } finally {
      connection.giveBack();
    }
  };
}

interface Connection {
  readonly gone: AbortSignal;
  slot: (() => void) | null;
  /** The request waits or streams: its time says nothing about the server. */
  held: boolean;
  principal: Principal;
  /** As it was checked; undefined: it was not, or there is none. */
  body: unknown;
  giveBack(): void;
}

/** A flood is refused before it is looked at, and is no act. */
const NO_ACT: ReadonlySet<ProblemCode> = new Set(['rate_limited']);

async function noted(
  { noteRefusal }: Services,
  route: Route,
  req: Request,
  res: Response,
  { problem }: Refused,
  { principal, body }: Connection,
): Promise<void> {
  const action = route.auditOf(body);
  if (action === null || req.query['dryRun'] === 'true' || NO_ACT.has(problem)) return;
  const origin = principal.origin ?? originOf(req, res, principal.kind);
  const id = req.params['id'];
  await noteRefusal(
    refusedAct(
      { ...principal, origin },
      { action, id: [id ?? []].flat()[0] ?? null, reason: reasonIn(body), code: problem },
    ),
  );
}

/** What the person wrote, where the body has it. */
const reasonIn = (body: unknown): string | null => {
  const reason = (body as { readonly reason?: unknown } | null | undefined)?.reason;
  return typeof reason === 'string' ? reason : null;
};

/** Notices that the client has gone, and tells the log and the metrics when the request is over. */
function watch(services: Services, route: Route, req: Request, res: Response): Connection {
  const gone = new AbortController();
  const started = services.now();
  const connection: Connection = {
    gone: gone.signal,
    slot: null,
    held: false,
    principal: ANONYMOUS,
    body: undefined,
    giveBack() {
      connection.slot?.();
    },
  };
  res.once('close', () => {
    if (!res.writableFinished) gone.abort();
    const took = services.now() - started;
    const name = connection.held ? `${route.path} (held open)` : route.path;
    services.recorder.httpRequest(name, req.method, res.statusCode, took);
    const fields = {
      requestId: requestIdOf(res),
      method: req.method,
      route: route.path,
      status: res.statusCode,
      tookMs: Math.round(took),
      principal: connection.principal.name,
    };
    const message = `${req.method} ${route.path}: ${gone.signal.aborted ? 'the client has gone' : res.statusCode}`;
    if (route.method === 'post') services.log.info(fields, message);
    else services.log.debug(fields, message);
  });
  return connection;
}

async function serve(
  services: Services,
  route: Route,
  req: Request,
  res: Response,
  connection: Connection,
): Promise<AnyAnswer | Refused> {
  const caller = await identified(services, route, req, res);
  if ('problem' in caller) return caller;
  connection.principal = caller;
  const principal = admitted(services, route, caller, res);
  if ('problem' in principal) return principal;
  const parts = validated(route, { params: req.params, query: req.query, headers: req.headers });
  if ('problem' in parts) return parts;
  const body = await bodyOf(route, req, res);
  if ('problem' in body) return body;
  connection.body = body.value;
  const context: Context<unknown, unknown, unknown, unknown> = {
    ...parts,
    body: body.value,
    locate: body.locate,
    principal,
    requestId: requestIdOf(res),
    log: services.log.child({ requestId: requestIdOf(res) }),
    gone: connection.gone,
    stopping: services.life.stopping,
    stillAllowed: async () => route.can === null || !('problem' in (await services.identify(req))),
    takeSlot() {
      connection.held = true;
      connection.slot ??= services.slots.take(principal.id);
      return connection.slot !== null;
    },
  };
  return within(() => route.handle(context));
}

/** Only the use case knows what is asked to be changed; a caller's scope is held against that. */
async function within<T>(handle: () => Promise<T>): Promise<T | Refused<'forbidden'>> {
  try {
    return await handle();
  } catch (error) {
    if (error instanceof OutOfScope) return refuse('forbidden', error.message);
    throw error;
  }
}

async function identified(services: Services, route: Route, req: Request, res: Response): Promise<Principal | Refused> {
  if (route.can === null) return ANONYMOUS;
  const principal = await services.identify(req);
  if ('problem' in principal) return principal;
  return { ...principal, origin: originOf(req, res, principal.kind) };
}

/** The caller, where they may make this call now. */
function admitted(services: Services, route: Route, principal: Principal, res: Response): Principal | Refused {
  if (route.can === null) return principal;
  const limiter = route.reserved ? services.reserved : services.rate;
  const { allowed, remaining, retryAfter } = limiter.take(principal.id);
  res.setHeader('RateLimit', `"${route.reserved ? 'reserved' : 'default'}";r=${remaining};t=${retryAfter}`);
  if (!allowed)
    return refuse('rate_limited', `${principal.name} has used up its requests; wait ${retryAfter} s`, {
      headers: { 'Retry-After': String(retryAfter) },
    });
  return forbidden(principal, route.can) ?? principal;
}

const NOWHERE: ReadDocument['locate'] = () => null;

async function bodyOf(route: Route, req: Request, res: Response): Promise<ReadDocument | Refused<ProblemCode>> {
  if (route.body === null) return { value: undefined, locate: NOWHERE };
  const read = await readBody(req, res, route.body.several);
  if (read !== undefined && 'problem' in read) return read;
  if (read === undefined && route.body.required)
    return refuse('malformed_body', 'wanted a body; found none', {
      errors: [{ pointer: '', code: 'empty', detail: 'wanted a body; found none' }],
    });
  const checked = validatedBody(route.body.schema, read === undefined ? {} : read.value);
  const locate = read?.locate ?? NOWHERE;
  if ('value' in checked) return { value: checked.value, locate };
  const errors = checked.faults.map((fault) => ({ ...fault, ...locate(fault.pointer ?? '') }));
  return refuse('invalid_body', told(errors), { errors });
}

async function sendAnswer(
  services: Services,
  route: Route,
  req: Request,
  res: Response,
  answer: AnyAnswer,
  connection: Connection,
): Promise<void> {
  const spec = route.responses[answer.status];
  if (spec === undefined) throw new Error(`${route.operationId} answered ${answer.status}, which it does not declare`);
  // The server may have begun to leave while this request was waiting.
  if (services.life.leaving) res.setHeader('Connection', 'close');
  if (!res.hasHeader('Cache-Control')) res.setHeader('Cache-Control', 'no-store');
  if (answer.stream !== undefined && spec.stream !== undefined)
    return stream(services, req, res, answer, spec.stream, connection.gone);
  if (spec.body === undefined) return sendEmpty(res, answer.status, answer.headers ?? {});
  const type = spec.type ?? 'application/json';
  send(
    res,
    answer.status,
    answer.headers ?? {},
    type,
    typeof answer.body === 'string' && spec.type !== undefined ? answer.body : JSON.stringify(answer.body),
  );
}

async function stream(
  services: Services,
  req: Request,
  res: Response,
  answer: AnyAnswer,
  type: string,
  gone: AbortSignal,
): Promise<void> {
  for (const [name, value] of Object.entries(answer.headers ?? {})) res.setHeader(name, value);
  res.statusCode = answer.status;
  res.setHeader('Content-Type', type);
  res.flushHeaders();
  if (req.method !== 'HEAD') {
    try {
      await answer.stream?.(sinkOf(res, gone));
    } catch (error) {
      // The status is out already. The client sees the end of the stream and comes back with the last id that it has.
      services.log.warn({ requestId: requestIdOf(res), err: error }, 'a stream broke off');
    }
  }
  res.end();
}

/** Waits for slow readers: without that, each of them would be a queue in memory. */
const sinkOf =
  (res: Response, gone: AbortSignal): Sink =>
  (text) => {
    if (gone.aborted || res.writableEnded) return Promise.resolve(false);
    if (res.write(text)) return Promise.resolve(true);
    return new Promise((resolve) => {
      const drained = (): void => done(true);
      const closed = (): void => done(false);
      const done = (open: boolean): void => {
        res.off('drain', drained);
        gone.removeEventListener('abort', closed);
        resolve(open);
      };
      res.once('drain', drained);
      gone.addEventListener('abort', closed, { once: true });
    });
  };
