/** A running process: API, worker or both; ready when its parts are; gone within ten seconds of SIGTERM. */
import type { Logger } from './app/ports.ts';
import { application, VERSION } from './application.ts';
import { compose, type Settings, type Telemetry } from './compose.ts';
import type { Config } from './config.ts';
import type { Millis } from './domain/plan.ts';
import { listen } from './http/listen.ts';
import { shutDown } from './shutdown.ts';
import { openRecorder } from './telemetry/metrics.ts';

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
  const app = application(role, config, service, log);
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
  service.cautions().then(
    (found) => found.forEach((caution) => void log.warn({}, caution)),
    () => undefined,
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

const stopSignal = (): Promise<string> =>
  new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal));
  });
