/**
 * A real Prometheus for the sandbox and the tests: temporary directory, free port, targets that can be changed at any time.
 *
 * It looks for new targets every five seconds (a constant of its discovery), so the first scrape comes up to ten seconds
 * after the start. Start it early, with addresses that stay.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';

export interface ScrapeTarget {
  /** `127.0.0.1:15020`. */
  readonly address: string;
  /** Default: /metrics. */
  readonly path?: string;
  /** Added to every series; a label that the series has itself wins. */
  readonly labels?: Readonly<Record<string, string>>;
}

export interface PrometheusServerOptions {
  readonly targets?: readonly ScrapeTarget[];
  /** Scrape interval in milliseconds. Default: 1000. */
  readonly interval?: number;
  /** Name on the PATH, or a path. Default: prometheus. */
  readonly binary?: string;
  /** More of Prometheus' own flags: `--enable-feature=native-histograms`. */
  readonly flags?: readonly string[];
}

export interface PrometheusServer {
  /** http://127.0.0.1:<port> */
  readonly url: string;
  /** Replaces the scrape targets. They are scraped some seconds later. */
  scrape(targets: readonly ScrapeTarget[]): Promise<void>;
  /** true: it takes connections and never answers (SIGSTOP), until false. */
  hang(hangs: boolean): void;
  /** Ends the server, a hanging one too, and deletes its data. */
  stop(): Promise<void>;
}

const READY_DEADLINE = 20_000;
const STOP_DEADLINE = 5_000;
/** The port is found free, closed, and then taken: somebody else may be faster. */
const PORT_ATTEMPTS = 3;
const NOT_FOUND = 127;

export class NoPrometheus extends Error {
  override readonly name = 'NoPrometheus';
}

/** Ready to answer queries when it resolves. Throws NoPrometheus where the binary is missing or does not start. */
export async function startPrometheus(options: PrometheusServerOptions = {}): Promise<PrometheusServer> {
  for (let attempt = 1; ; attempt += 1) {
    const dir = await mkdtemp(join(tmpdir(), 'sluice-prometheus-'));
    try {
      return await start(dir, options);
    } catch (error) {
      await rm(dir, { recursive: true, force: true });
      const taken = error instanceof NoPrometheus && error.message.includes('address already in use');
      if (!taken || attempt === PORT_ATTEMPTS) throw error;
    }
  }
}

async function start(dir: string, options: PrometheusServerOptions): Promise<PrometheusServer> {
  const { targets = [], interval = 1000, binary = 'prometheus', flags = [] } = options;
  await scrape(dir, targets);
  await writeFile(join(dir, 'prometheus.yml'), configuration(dir, interval));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const running = run(dir, [
    binary,
    `--config.file=${join(dir, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(dir, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
    '--storage.tsdb.retention.time=1d',
    '--log.level=warn',
    ...flags,
  ]);
  try {
    await ready(url, running, binary);
  } catch (error) {
    await running.stop();
    throw error;
  }
  return {
    url,
    scrape: (next) => scrape(dir, next),
    hang: (hangs) => running.signal(hangs ? 'STOP' : 'CONT'),
    async stop() {
      await running.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

const TARGETS = 'targets.json';

function configuration(dir: string, interval: number): string {
  return stringify({
    global: { scrape_interval: `${interval}ms`, scrape_timeout: `${interval}ms` },
    scrape_configs: [
      {
        job_name: 'sandbox',
        honor_labels: true,
        file_sd_configs: [{ files: [join(dir, TARGETS)], refresh_interval: '1s' }],
      },
    ],
  });
}

/** By rename: Prometheus must not read half a file. */
async function scrape(dir: string, targets: readonly ScrapeTarget[]): Promise<void> {
  const groups = targets.map(({ address, path = '/metrics', labels = {} }) => ({
    targets: [address],
    labels: { ...labels, __metrics_path__: path },
  }));
  const draft = join(dir, `${TARGETS}.new`);
  await writeFile(draft, JSON.stringify(groups));
  await rename(draft, join(dir, TARGETS));
}

interface Running {
  /** null: it runs. */
  readonly exit: () => number | null;
  /** The end of what it wrote to standard error. */
  readonly said: () => string;
  signal(name: 'STOP' | 'CONT'): void;
  stop(): Promise<void>;
}

/**
 * The shell in between passes on the signals that its standard input names, and waits for the end of it, which comes also
 * when this process is killed: neither an orphan nor its data stays behind. A process that was stopped learns of its end
 * only when it goes on.
 */
const LEASH = [
  'dir=$1; shift',
  '"$@" </dev/null & pid=$!',
  'exec 3<&0',
  '(while read -r name; do kill -s "$name" "$pid"; done <&3; kill "$pid"; kill -s CONT "$pid") >/dev/null 2>&1 &',
  'wait "$pid"; code=$?',
  'rm -rf "$dir"; exit "$code"',
].join('\n');

function run(dir: string, command: readonly string[]): Running {
  const child = spawn('/bin/sh', ['-c', LEASH, 'sh', dir, ...command], {
    // A session of its own: a closing terminal would end the shell alone, and Prometheus takes a hang-up for a reload.
    detached: true,
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-4_000);
  });
  child.stdin?.on('error', () => {}); // the shell may be gone before its input is closed
  return {
    exit: () => exitOf(child),
    said: () => said,
    signal: (name) => void child.stdin?.write(`${name}\n`),
    stop: () => stop(child),
  };
}

const exitOf = ({ exitCode, signalCode }: ChildProcess): number | null => exitCode ?? (signalCode === null ? null : -1);

async function stop(child: ChildProcess): Promise<void> {
  if (exitOf(child) === null) {
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.stdin?.end();
    const force = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE);
    await gone;
    clearTimeout(force);
  }
  child.stdin?.destroy();
  child.stderr?.destroy();
}

async function ready(url: string, running: Running, binary: string): Promise<void> {
  const until = Date.now() + READY_DEADLINE;
  while (Date.now() < until) {
    const code = running.exit();
    if (code === NOT_FOUND)
      throw new NoPrometheus(`no "${binary}" on the PATH; install it, for example with: apt-get install prometheus`);
    if (code !== null) throw new NoPrometheus(`${binary} ended with code ${code}: ${running.said().trim()}`);
    if (await answers(`${url}/-/ready`)) return;
    await sleep(30);
  }
  throw new NoPrometheus(`${binary} was not ready in ${READY_DEADLINE / 1000} s: ${running.said().trim()}`);
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(1_000) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false; // not listening yet
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
