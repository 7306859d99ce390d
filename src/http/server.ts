/** The Express application: every route of the API, and one place where every error becomes an answer. */
import type { ErrorRequestHandler, Express, RequestHandler } from 'express';
import express from 'express';
import type { AuditLog } from '../app/audit/log.ts';
import type { FleetUseCases } from '../app/fleet/ports.ts';
import type { MigrationUseCases } from '../app/migration/usecases.ts';
import type { DeliveryLog, Logger, Recorder, TokenStore } from '../app/ports.ts';
import { BadCursor, StoreUnavailable } from '../app/ports.ts';
import type { Tracer } from '../app/tracer.ts';
import { UNTRACED } from '../app/tracer.ts';
import type { Federation } from '../app/trust/ports.ts';
import type { UseCases } from '../app/usecases.ts';
import type { Millis } from '../domain/plan.ts';
import { analysisRoutes } from './analysis.ts';
import { auditRoutes } from './audit.ts';
import { authenticated, tokenOf } from './auth.ts';
import type { Services } from './bind.ts';
import { bind, expressPath } from './bind.ts';
import { clusterRoutes } from './clusters.ts';
import { commandRoutes } from './commands.ts';
import { deliveryRoutes } from './deliveries.ts';
import { fleetRoutes } from './fleets.ts';
import { requestId, securityHeaders } from './headers.ts';
import { historyRoutes } from './history.ts';
import type { Lifecycle } from './lifecycle.ts';
import { keepLifecycle, lifecycle } from './lifecycle.ts';
import { meshGuideRoutes } from './mesh-guide.ts';
import { migrationRoutes } from './mesh-migrations.ts';
import { openApi } from './openapi.ts';
import { opsRoutes } from './ops.ts';
import type { Refused } from './problem.ts';
import { refuse } from './problem.ts';
import type { Rate } from './rate.ts';
import { rateLimiter, slots } from './rate.ts';
import type { Ready } from './readiness.ts';
import { readiness } from './readiness.ts';
import { refusals } from './refusals.ts';
import { requestIdOf, sendProblem } from './respond.ts';
import { revertRoutes } from './reverts.ts';
import { rolloutRoutes } from './rollouts.ts';
import type { Route } from './route.ts';
import type { Sessions } from './session.ts';
import type { SessionTokens } from './session-token.ts';
import { whoamiRoutes } from './whoami.ts';

export interface ServerOptions {
  readonly usecases: UseCases;
  /** Absent: this server has no migrations of mTLS. */
  readonly migrations?: MigrationUseCases;
  readonly tokens: Pick<TokenStore, 'authenticate'>;
  readonly audit: AuditLog;
  readonly recorder: Pick<Recorder, 'httpRequest' | 'expose'>;
  /** Absent: requests are not traced. */
  readonly tracer?: Tracer;
  readonly log: Logger;
  /** What is missing and what to do; empty: ready. */
  readonly ready: Ready;
  readonly version: string;
  /** Where callers reach this server, for Location and links; bare paths where absent. */
  readonly publicUrl?: string;
  /** Mounted beside the API, with the same request id and security headers: the page, Slack. They guard themselves. */
  readonly extraRouters?: readonly RequestHandler[];
  /** Rollouts over several clusters; absent: no calls for them. */
  readonly fleets?: FleetUseCases;
  /** What channels outside were told; absent: no calls for it. */
  readonly deliveries?: Pick<DeliveryLog, 'list' | 'resend'>;
  /** /metrics without a token. Closed by default: metrics name clusters, meshes and load. */
  readonly metricsOpen?: boolean;
  /** Addresses and networks of proxies whose X-Forwarded-For is believed; absent: none. */
  readonly trustedProxies?: readonly string[];
  readonly limits?: Partial<Limits>;
  /** Requests without an Authorization header may come with the page's cookie; absent: there is no page. */
  readonly sessions?: Pick<Sessions, 'identify' | 'cookie'>;
  /** Those who signed in a command line; absent: nobody does. */
  readonly sessionTokens?: Pick<SessionTokens, 'principalOf'>;
  /** Pipelines that come with an id token; absent: only API tokens are accepted. */
  readonly federation?: Federation;
}

export interface Limits {
  /** Requests of one caller. */
  readonly rate: Rate;
  /** Aborts of one caller: not touched by a flood of other calls. */
  readonly reservedRate: Rate;
  /** Streams and long polls that one caller may hold open. */
  readonly openPerCaller: number;
  readonly maxWait: Millis;
  readonly heartbeat: Millis;
}

/** A page with many tabs and a busy pipeline stay far below; a loop without a pause does not. */
export const LIMITS: Limits = {
  rate: { burst: 300, perSecond: 50 },
  reservedRate: { burst: 60, perSecond: 5 },
  openPerCaller: 100,
  maxWait: 60_000,
  heartbeat: 15_000,
};

const monotonic = (): Millis => performance.now();

/** Every route, in the order of the document. */
export function apiRoutes(options: ServerOptions, life: Lifecycle): readonly Route[] {
  const { usecases, recorder, publicUrl, version } = options;
  const { maxWait, heartbeat } = { ...LIMITS, ...options.limits };
  const { planSchema } = usecases;
  const routes: readonly Route[] = [
    ...rolloutRoutes({ usecases, publicUrl, maxWait }),
    ...historyRoutes({ usecases, publicUrl, heartbeat, now: monotonic }),
    ...commandRoutes({ usecases, publicUrl }),
    ...revertRoutes({ usecases, publicUrl }),
    ...(options.fleets === undefined ? [] : fleetRoutes({ fleets: options.fleets, publicUrl })),
    ...(options.deliveries === undefined ? [] : deliveryRoutes({ deliveries: options.deliveries, publicUrl })),
    ...analysisRoutes({ usecases }),
    ...clusterRoutes({ usecases }),
    ...whoamiRoutes(),
    ...auditRoutes({ audit: options.audit, publicUrl }),
    ...(options.migrations === undefined ? [] : migrationRoutes({ migrations: options.migrations, publicUrl })),
    ...meshGuideRoutes({ matrix: usecases.capabilities }),
    ...opsRoutes({
      recorder,
      ready: readiness(options.ready, monotonic),
      life,
      version,
      metricsOpen: options.metricsOpen ?? false,
      planSchema,
      document: () => document,
    }),
  ];
  const document = openApi(routes, { version, publicUrl, planSchema, cookie: options.sessions?.cookie ?? null });
  return routes;
}

export function createServer(options: ServerOptions): Express {
  const { log, recorder, publicUrl, tokens, sessions } = options;
  const limits = { ...LIMITS, ...options.limits };
  const life = lifecycle();
  const services: Services = {
    identify: async (req) => {
      const { authorization } = req.headers;
      const byCookie = authorization === undefined ? await sessions?.identify(req) : undefined;
      const bySession = options.sessionTokens?.principalOf(tokenOf(authorization) ?? '') ?? undefined;
      return (
        byCookie ??
        bySession ??
        authenticated((token) => tokens.authenticate(token), options.federation ?? null, authorization)
      );
    },
    recorder,
    tracer: options.tracer ?? UNTRACED,
    log,
    life,
    rate: rateLimiter(limits.rate, monotonic),
    reserved: rateLimiter(limits.reservedRate, monotonic),
    slots: slots(limits.openPerCaller),
    noteRefusal: refusals(options.audit, log, monotonic),
    now: monotonic,
  };
  const app = express();
  app.disable('x-powered-by');
  // Tags of our own say the version; a hash of the body would say the time of day.
  app.disable('etag');
  app.set('query parser', 'simple');
  app.set('trust proxy', [...(options.trustedProxies ?? [])]);
  keepLifecycle(app, life);
  app.use(requestId, securityHeaders(publicUrl), leaving(life));

  const routes = apiRoutes(options, life);
  for (const route of routes) app[route.method](expressPath(route.path), bind(services, route));
  for (const [path, methods] of methodsByPath(routes))
    app.all(expressPath(path), unmatched(recorder, refuseMethod(methods)));
  for (const router of options.extraRouters ?? []) app.use(router);
  app.use(unmatched(recorder, (req) => refuse('not_found', `nothing is at ${req.method} ${req.path.slice(0, 200)}`)));
  app.use(failures(log));
  return app;
}

/** A connection that is kept alive would outlive the server's goodbye. */
const leaving =
  (life: Lifecycle): RequestHandler =>
  (_req, res, next) => {
    if (life.leaving) res.setHeader('Connection', 'close');
    next();
  };

function methodsByPath(routes: readonly Route[]): ReadonlyMap<string, readonly string[]> {
  const byPath = Map.groupBy(routes, (route) => route.path);
  return new Map(
    [...byPath].map(([path, own]) => [
      path,
      own.flatMap(({ method }) => (method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()])),
    ]),
  );
}

type Refusing = (req: express.Request) => Refused;

const refuseMethod =
  (methods: readonly string[]): Refusing =>
  (req) =>
    refuse('method_not_allowed', `${req.path.slice(0, 200)} knows ${methods.join(', ')}; found ${req.method}`, {
      headers: { Allow: methods.join(', ') },
    });

const unmatched =
  (recorder: Pick<Recorder, 'httpRequest'>, refusing: Refusing): RequestHandler =>
  (req, res) => {
    const refused = refusing(req);
    sendProblem(res, refused);
    recorder.httpRequest('unmatched', req.method, res.statusCode, 0);
  };

/** Errors that a use case threw: an outage is told as one, the rest is a bug. Nothing of the inside goes out. */
function failures(log: Logger): ErrorRequestHandler {
  return (error: unknown, req, res, _next) => {
    // Not a failure of ours, and nobody is there to answer: the caller left in the middle of its request.
    if (req.destroyed && !res.writable) return;
    const refused = refusalOf(error);
    const fields = { requestId: requestIdOf(res), err: error };
    if (refused.problem === 'internal') log.error(fields, 'a request failed by a bug');
    if (refused.problem === 'store_unavailable') log.warn(fields, 'a request found no database');
    if (res.headersSent) return void res.destroy();
    sendProblem(res, refused);
  };
}

function refusalOf(error: unknown): Refused {
  if (error instanceof URIError) return refuse('malformed_url', 'the path is not valid percent-encoded UTF-8');
  if (error instanceof BadCursor) {
    const detail = 'wanted a cursor as it was given in nextCursor';
    return refuse('invalid_parameter', `cursor: ${detail}`, {
      errors: [{ parameter: 'cursor', code: 'invalid_value', detail }],
    });
  }
  if (error instanceof StoreUnavailable)
    return refuse('store_unavailable', 'the database cannot be reached now', {
      headers: { 'Retry-After': String(error.retryAfter) },
    });
  return refuse('internal', 'an unexpected error; the log has it under the request id');
}
