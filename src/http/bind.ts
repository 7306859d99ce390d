/**
 * A route as an Express handler. The order is the guarantee: who asks, may they, how often; only then is anything of the
 * request parsed, and only then does the handler run.
 */
import type { Request, Response } from 'express';
import type { Logger, Principal, Recorder } from '../app/ports.ts';
import { OutOfScope } from '../app/trust/scope.ts';
import type { Millis } from '../domain/plan.ts';
import type { Identify } from './auth.ts';
import { forbidden } from './auth.ts';
import { readBody } from './body.ts';
import type { ReadDocument } from './document.ts';
import type { Lifecycle } from './lifecycle.ts';
import type { ProblemCode, Refused } from './problem.ts';
import { isRefused, refuse } from './problem.ts';
import type { RateLimiter, Slots } from './rate.ts';
import { requestIdOf, send, sendEmpty, sendProblem } from './respond.ts';
import type { AnyAnswer, Context, Route, Sink } from './route.ts';
import { ANONYMOUS } from './route.ts';
import { told, validated, validatedBody } from './validate.ts';

export interface Services {
  readonly identify: Identify;
  readonly recorder: Pick<Recorder, 'httpRequest'>;
  readonly log: Logger;
  readonly life: Lifecycle;
  /** The caller's budget, and the one kept for calls that must be heard in a flood. */
  readonly rate: RateLimiter;
  readonly reserved: RateLimiter;
  readonly slots: Slots;
  /** Milliseconds of a monotonic clock. */
  readonly now: () => Millis;
}

export const expressPath = (path: string): string => path.replaceAll(/\{(\w+)\}/g, ':$1');

export function bind(services: Services, route: Route): (req: Request, res: Response) => Promise<void> {
  return async (req, res) => {
    const connection = watch(services, route, req, res);
    try {
      const answer = await serve(services, route, req, res, connection);
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
  giveBack(): void;
}

/** Notices that the client has gone, and tells the log and the metrics when the request is over. */
function watch(services: Services, route: Route, req: Request, res: Response): Connection {
  const gone = new AbortController();
  const started = services.now();
  const connection: Connection = {
    gone: gone.signal,
    slot: null,
    held: false,
    principal: ANONYMOUS,
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
  const principal = await admitted(services, route, req, res);
  if ('problem' in principal) return principal;
  connection.principal = principal;
  const parts = validated(route, { params: req.params, query: req.query, headers: req.headers });
  if ('problem' in parts) return parts;
  const body = await bodyOf(route, req, res);
  if ('problem' in body) return body;
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

/** The caller, where they may make this call now. */
async function admitted(services: Services, route: Route, req: Request, res: Response): Promise<Principal | Refused> {
  if (route.can === null) return ANONYMOUS;
  const principal = await services.identify(req);
  if ('problem' in principal) return principal;
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
  const read = await readBody(req, res);
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
