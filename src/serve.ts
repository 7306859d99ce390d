/** A running process: API, worker or both; ready when its parts are; gone within ten seconds of SIGTERM. */
import type { Logger } from './app/ports.ts';
import { compose, type Service, type Settings, type Telemetry } from './compose.ts';
import type { Config } from './config.ts';
import type { Millis } from './domain/plan.ts';
import { listen } from './http/listen.ts';
import { pageRouter } from './http/page.ts';
import { createServer, LIMITS } from './http/server.ts';
import { sessions as openSessions } from './http/session.ts';
import { SIGN_ON_PATH, signOnRouter } from './http/sign-on.ts';
import { slackRouter } from './http/slack.ts';
import { shutDown } from './shutdown.ts';
import { openRecorder } from './telemetry/metrics.ts';

const VERSION = '0.1.0';
/** Kubernetes gives 30 s by default; people and pipelines wait. After this the process ends, whatever hangs. */
const GONE_WITHIN: Millis = 9_500;
/** Requests and ticks under way. (A worker takes up to a second more to let go of its queue.) */
const FINISH_WITHIN: Millis = 6_500;
const CLOSE_WITHIN: Millis = 1_500;
/** Not ready, but still serving: load balancers notice before connections are refused. Nobody balances load on a terminal. */
const ANNOUNCE: Millis = 1_000;
const LINGER: Millis = 1_000;

/** Runs until a signal. A worker answers /healthz, /readyz and /metrics too. Returns the exit code. */
export async function serve(
  role: 'api' | 'worker' | 'all',
  config: Config,
  settings: Settings,
  log: Logger,
): Promise<number> {
  // The chart gives the API an account of its own, which only looks.
  const service = await compose(
    { ...settings, writesHere: role !== 'api' },
    { log, recorder: (sources) => openRecorder({ ...sources, log }), ...(await tracingOf(config)) },
  );
  const { useCases: usecases, migrations, tokens, recorder, inbound, audit } = service;
  const slack =
    config.slack === null || config.slack.signingSecrets.length === 0 || role === 'worker'
      ? []
      : [slackRouter({ signingSecrets: config.slack.signingSecrets, accept: inbound.accept, now: Date.now, log })];
  const page = role === 'worker' ? null : openPage(config, service, log);
  const app = createServer({
    usecases,
    migrations,
    fleets: service.fleets,
    deliveries: service.deliveries,
    tokens,
    audit,
    trustedProxies: config.trustedProxies,
    recorder,
    tracer: service.tracer,
    log,
    ready: () => service.ready(),
    version: VERSION,
    metricsOpen: config.metricsOpen,
    extraRouters: page === null ? slack : [...slack, ...page.routers],
    ...(page === null ? {} : { sessions: page.sessions }),
    ...(service.federation === null ? {} : { federation: service.federation }),
    ...(config.publicUrl === null ? {} : { publicUrl: config.publicUrl }),
  });
  const server = await listen(app, { host: config.host, port: config.port });
  const worker = role === 'api' ? null : service.startWorker();
  log.info(
    {
      role,
      host: config.host,
      port: server.port,
      queue: settings.queue.kind,
      clusters: settings.clusters.map((c) => c.name),
    },
    'Sluice is running',
  );

  const signal = await stopSignal();
  // Armed before anything is waited for: nothing that follows can keep the process.
  setTimeout(() => {
    log.warn({}, `still here ${GONE_WITHIN / 1000} s after ${signal}: ending now`);
    process.exit(0);
  }, GONE_WITHIN).unref();
  log.info({ signal }, 'stopping: no new work is taken, what is under way is finished');
  const announce = process.stdout.isTTY ? 0 : ANNOUNCE;
  const left = await shutDown(
    [
      {
        within: FINISH_WITHIN + 1_000,
        parts: [
          { name: 'the HTTP server', stop: () => server.close(FINISH_WITHIN, announce) },
          ...(worker === null ? [] : [{ name: 'the worker', stop: () => worker.stop(FINISH_WITHIN) }]),
        ],
      },
      { within: CLOSE_WITHIN, parts: [{ name: 'the connections', stop: () => service.close() }] },
    ],
    log,
  );
  if (left.length > 0) log.warn({ left }, `stopped, but left behind: ${left.join(', ')}`);
  else log.info({}, 'stopped');
  // What still holds the process (a driver's socket to a dead server) must not.
  setTimeout(() => process.exit(0), LINGER).unref();
  return 0;
}

/** Loaded only where it is wanted: who has no collector pays nothing for it. */
async function tracingOf({ tracing }: Config): Promise<Pick<Telemetry, 'tracing'>> {
  if (tracing === null) return {};
  const { openTracing } = await import('./telemetry/tracing.ts');
  const resource = { ...tracing.resource, 'service.version': VERSION };
  return { tracing: (ports) => openTracing({ ...tracing, ...ports, resource, version: VERSION }) };
}

function openPage(config: Config, { tokens, recorder, audit, signOn }: Service, log: Logger) {
  const authenticate: Service['tokens']['authenticate'] = (token) => tokens.authenticate(token);
  const sessions = openSessions({
    key: config.sessionKey,
    authenticate,
    ...(signOn === null ? {} : { people: signOn.people }),
    publicUrl: config.publicUrl ?? undefined,
    now: Date.now,
  });
  const links = { prometheus: prometheusLinks(config), tools: [] };
  const router = pageRouter({
    sessions,
    authenticate,
    audit,
    log,
    recorder,
    version: VERSION,
    heartbeat: LIMITS.heartbeat,
    links,
    signOn: signOn === null ? null : { label: signOn.provider.label, href: SIGN_ON_PATH },
  });
  if (signOn === null) return { sessions, routers: [router] };
  const { sessionKey: key, publicUrl } = config;
  const { provider, people } = signOn;
  const routes = { signOn: provider, people, audit, sessions, key, publicUrl: publicUrl ?? '', now: Date.now, log };
  return { sessions, routers: [signOnRouter(routes), router] };
}

/** Whoever is signed in sees these addresses: without the passwords in them. */
const prometheusLinks = ({ clusters }: Config): Readonly<Record<string, string>> =>
  Object.fromEntries(
    clusters.flatMap(({ name, prometheus }): [string, string][] => {
      if (prometheus === null) return [];
      const url = new URL(prometheus.publicUrl ?? prometheus.url);
      return [[name, `${url.origin}${url.pathname}`]];
    }),
  );

const stopSignal = (): Promise<string> =>
  new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal));
  });
