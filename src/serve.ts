/** A running process: API, worker or both; ready when its parts are; gone within ten seconds of SIGTERM. */
import type { Logger } from './app/ports.ts';
import { compose, type Settings } from './compose.ts';
import type { Config } from './config.ts';
import { listen } from './http/listen.ts';
import { createServer } from './http/server.ts';
import { slackRouter } from './http/slack.ts';
import { openRecorder } from './telemetry/metrics.ts';

const VERSION = '0.1.0';
/** Kubernetes gives 30 s by default; people and pipelines wait. */
const STOP_WITHIN = 8_000;

/** Runs until a signal. A worker answers /healthz, /readyz and /metrics too. Returns the exit code. */
export async function serve(
  role: 'api' | 'worker' | 'all',
  config: Config,
  settings: Settings,
  log: Logger,
): Promise<number> {
  const service = await compose(settings, { log, recorder: (sources) => openRecorder({ ...sources, log }) });
  const { useCases: usecases, tokens, recorder, inbound } = service;
  const slack =
    config.slack === null || role === 'worker'
      ? []
      : [slackRouter({ signingSecrets: config.slack.signingSecrets, accept: inbound.accept, now: Date.now, log })];
  const app = createServer({
    usecases,
    tokens,
    recorder,
    log,
    ready: () => service.ready(),
    version: VERSION,
    metricsOpen: config.metricsOpen,
    extraRouters: slack,
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
  log.info({ signal }, 'stopping: no new work is taken, what is under way is finished');
  await Promise.all([server.close(STOP_WITHIN), worker?.stop(STOP_WITHIN)]);
  await service.close();
  log.info({}, 'stopped');
  // What still holds the process (a driver's socket to a dead server) must not.
  setTimeout(() => process.exit(0), 1_000).unref();
  return 0;
}

const stopSignal = (): Promise<string> =>
  new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal));
  });
