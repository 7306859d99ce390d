/** Sluice itself, as its users run it: migrations, a token, the process; and its REST API, which is all that the demo talks to. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Child, Environment } from './children.ts';
import { freePort, runMain, startMain } from './children.ts';

export interface ServiceOptions {
  readonly databaseUrl: string;
  readonly kubeconfig: string;
  /** Several clusters, in place of kubeconfig and prometheusUrl. */
  readonly clustersFile?: string;
  /** null: there is none, and the proxies are read directly. */
  readonly prometheusUrl: string | null;
  readonly redisUrl?: string;
  /** host:port that fault rehearsals may ask. */
  readonly probeHost?: string;
  /** Further settings, by the names of variables. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly logFile: string;
  /** Default: a free one. */
  readonly port?: number;
}

export interface Service {
  readonly url: string;
  readonly token: string;
  readonly pid: number;
  /** POST /rollouts. Throws with the problem's words where it is refused. */
  start(plan: object): Promise<RolloutView>;
  get(id: string): Promise<RolloutView>;
  /** Long poll: the rollout as soon as its version is above `version`, else as it is after `seconds`. */
  next(id: string, version: number, seconds: number): Promise<RolloutView>;
  /** A person's word to go on from the present step. */
  promote(id: string): Promise<void>;
  abort(id: string): Promise<void>;
  /** All facts from the first on. */
  events(id: string): Promise<readonly EventView[]>;
  writes(id: string): Promise<readonly WriteView[]>;
  /** SIGKILL, as a crash of the process. */
  kill(): Promise<void>;
  /** The same service again, after `kill` or `stop`. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** One rollout as the API shows it. */
export interface RolloutView {
  readonly id: string;
  readonly status: string;
  /** From 0; null before the first. */
  readonly step: number | null;
  readonly steps: number;
  readonly weight: { readonly wanted: number | null; readonly observed: number | null; readonly share: number | null };
  readonly pause: { readonly cause: string; readonly message: string } | null;
  readonly outcome: { readonly code: string; readonly message: string; readonly check: string | null } | null;
  readonly evidence: { readonly finding: { readonly verdict: string; readonly sentence: string } | null } | null;
  readonly checks: readonly { readonly name: string; readonly verdict: string | null; readonly reason: string }[];
  readonly trouble: { readonly message: string } | null;
  /** When the step came into force; null: it has not yet. */
  readonly reachedAt: string | null;
  readonly version: number;
}

export interface EventView {
  readonly seq: number;
  readonly type: string;
  readonly step: number | null;
  readonly message: string;
}

export interface WriteView {
  readonly generation: number;
  readonly canaryWeight: number;
  readonly result: string;
}

export const TERMINAL = new Set(['succeeded', 'rolled_back', 'aborted', 'superseded', 'failed']);
const READY_DEADLINE = 30_000;

export async function startService(options: ServiceOptions): Promise<Service> {
  const port = options.port ?? (await freePort());
  const url = `http://127.0.0.1:${port}`;
  const env: Environment = {
    DATABASE_URL: options.databaseUrl,
    ...clustersOf(options),
    ...(options.probeHost === undefined ? {} : { SLUICE_PROBE_HOSTS: options.probeHost }),
    // Of this run: whoever has signed in stays so when the process is killed and started again.
    SLUICE_SESSION_KEY: randomBytes(32).toString('base64url'),
    ...options.settings,
    HOST: '127.0.0.1',
    PORT: String(port),
    ...(options.redisUrl === undefined ? {} : { REDIS_URL: options.redisUrl }),
  };
  await runMain(['migrate'], env);
  const token = tokenOf(await runMain(['token', 'create', '--name', 'demo', '--role', 'admin'], env));
  let child = await up(env, url, options.logFile);
  const call = caller(url, token);
  const list = async <T>(id: string, part: string): Promise<readonly T[]> => {
    const { items } = (await call('GET', `/rollouts/${id}/${part}?limit=200`)) as { items: readonly T[] };
    return items;
  };
  return {
    url,
    token,
    get pid() {
      return child.pid;
    },
    start: async (plan) => (await call('POST', '/rollouts', plan)) as RolloutView,
    get: async (id) => (await call('GET', `/rollouts/${id}`)) as RolloutView,
    next: async (id, version, seconds) =>
      (await call('GET', `/rollouts/${id}?wait=${seconds}s&sinceVersion=${version}`)) as RolloutView,
    async promote(id) {
      await call('POST', `/rollouts/${id}/promote`, {});
    },
    async abort(id) {
      await call('POST', `/rollouts/${id}/abort`, {});
    },
    events: (id) => list<EventView>(id, 'events'),
    writes: (id) => list<WriteView>(id, 'writes'),
    async kill() {
      child.signal('SIGKILL');
      while (child.ended === null) await sleep(10);
    },
    async restart() {
      child = await up(env, url, options.logFile);
    },
    stop: () => child.stop(),
  };
}

const clustersOf = ({ clustersFile, kubeconfig, prometheusUrl }: ServiceOptions): Environment =>
  clustersFile === undefined
    ? {
        KUBECONFIG: kubeconfig,
        ...(prometheusUrl === null
          ? { SLUICE_METRICS_PROVIDER: 'direct' }
          : { PROMETHEUS_URL: prometheusUrl, PROMETHEUS_SCRAPE_INTERVAL: '1s' }),
        SLUICE_DIRECT_INTERVAL: '250ms',
      }
    : { SLUICE_CLUSTERS_FILE: clustersFile };

function tokenOf(printed: string): string {
  const token = printed.trim().split('\n').at(-1)?.trim();
  if (token === undefined || !/^\S+$/.test(token))
    throw new Error('sluice token create printed no token as its last line');
  return token;
}

async function up(env: Environment, url: string, logFile: string): Promise<Child> {
  const child = await startMain(['all'], env, logFile);
  for (const until = Date.now() + READY_DEADLINE; Date.now() < until; await sleep(50)) {
    if (child.ended !== null) throw new Error(`Sluice ended with ${child.ended}:\n${await child.tail()}`);
    if (await isReady(url)) return child;
  }
  const said = await child.tail();
  await child.stop();
  throw new Error(`Sluice was not ready in ${READY_DEADLINE / 1000} s:\n${said}`);
}

async function isReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2_000) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false; // not listening yet
  }
}

/** A server that is being restarted is asked again for so long. */
const PATIENCE = 30_000;
const LONGEST_CALL = 60_000;

/** GETs outlive a restart of the server; a POST is sent once. */
function caller(url: string, token: string) {
  return async (method: string, path: string, body?: object): Promise<unknown> => {
    for (const until = Date.now() + PATIENCE; ; await sleep(100)) {
      try {
        return await once(url, token, method, path, body);
      } catch (error) {
        const passing = !(error instanceof Refused) || error.status >= 502;
        if (method !== 'GET' || !passing || Date.now() > until) throw error;
      }
    }
  };
}

class Refused extends Error {
  readonly status: number;
  constructor(what: string, status: number, words: string) {
    super(`${what}: ${status} ${words}`);
    this.name = 'Refused';
    this.status = status;
  }
}

async function once(url: string, token: string, method: string, path: string, body?: object): Promise<unknown> {
  const response = await fetch(url + path, {
    method,
    headers: {
      accept: 'application/json',
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(LONGEST_CALL),
  });
  const text = await response.text();
  if (!response.ok) throw new Refused(`${method} ${path}`, response.status, text.slice(0, 2_000));
  return text === '' ? null : JSON.parse(text);
}
