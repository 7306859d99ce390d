/**
 * Where a cluster is and how to be let in: kubeconfig, service account, client certificates, exec plugins, proxies.
 * The only file that imports @kubernetes/client-node, and only when a cluster is opened: the import takes 0.8 s.
 */
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import https from 'node:https';
import { dirname, resolve } from 'node:path';
import type { KubeConfig } from '@kubernetes/client-node';
import { parse } from 'yaml';

export interface CredentialSource {
  /** Kubeconfig as YAML text. */
  readonly kubeconfig?: string;
  readonly kubeconfigFile?: string;
  /** Where a kubeconfig is kept that is not on this machine. Asked again whenever the credentials are refused; throws. */
  readonly kubeconfigFrom?: () => Promise<string>;
  /** Context of the kubeconfig; default: its current one. */
  readonly context?: string;
  /** The pod's own service account. */
  readonly inCluster?: boolean;
}

/** What a request needs on top of method and path. */
export interface Access {
  readonly server: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly agent: http.Agent | https.Agent;
  /** Moves with every reload. */
  readonly generation: number;
}

export interface Credentials {
  /** Throws where the credentials cannot be had (file gone, exec plugin failed). */
  access(purpose: 'call' | 'watch'): Promise<Access>;
  /** Reads the source again, unless that was done since `generation`. */
  reload(generation: number): Promise<void>;
  close(): void;
}

/** The API server's own limit of connections is far away; this bounds what one recovering process can pile up. */
const MAX_SOCKETS = 64;
/** Tokens and certificates are asked for again after this long; client-node rereads token files every 60 s. */
const KEEP_ACCESS_MS = 10_000;
/** Longer than the deadline of any call and the life of any watch stream. */
const RETIRE_MS = 60_000;

interface Held {
  readonly config: KubeConfig;
  readonly server: URL;
  readonly generation: number;
  readonly agents: { material: string; call: http.Agent; watch: http.Agent } | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly until: number;
}

/** A source elsewhere that does not answer is asked again, but not by every call. */
const ASK_AGAIN_MS = 2_000;

/**
 * Throws with what is wrong in the source and what to do. A source elsewhere may be away for now: then calls fail until it
 * answers, and no process that serves other clusters too fails to start.
 */
export async function openCredentials(cluster: string, source: CredentialSource): Promise<Credentials> {
  if (source.kubeconfigFrom === undefined) return opened(cluster, source, await load(cluster, source, 1));
  let inner: Credentials | null = null;
  let asking: Promise<Credentials> | null = null;
  let failed: { readonly error: unknown; readonly until: number } | null = null;
  let closed = false;
  const ask = async (): Promise<Credentials> => {
    if (inner !== null) return inner;
    if (failed !== null && performance.now() < failed.until) throw failed.error;
    asking ??= load(cluster, source, 1)
      .then((held) => {
        inner = opened(cluster, source, held);
        if (closed) inner.close();
        return inner;
      })
      .catch((error: unknown) => {
        failed = { error, until: performance.now() + ASK_AGAIN_MS };
        throw error;
      })
      .finally(() => {
        asking = null;
      });
    return asking;
  };
  return {
    access: async (purpose) => (await ask()).access(purpose),
    reload: async (generation) => (await ask()).reload(generation),
    close() {
      closed = true;
      inner?.close();
    },
  };
}

function opened(cluster: string, source: CredentialSource, first: Held): Credentials {
  let held = first;
  let reloading: Promise<void> | null = null;
  let refreshing: Promise<void> | null = null;

  const refreshed = async (): Promise<Held> => {
    while (held.agents === null || performance.now() >= held.until) {
      const from = held;
      refreshing ??= refresh(from)
        .then((next) => {
          // A reload that came in between has the newer source.
          if (held === from) held = next;
        })
        .finally(() => {
          refreshing = null;
        });
      await refreshing;
    }
    return held;
  };

  return {
    async access(purpose) {
      const { server, headers, agents, generation } = await refreshed();
      if (agents === null) throw new Error(`cluster ${cluster}: no connection material`);
      return { server, headers, agent: agents[purpose], generation };
    },
    async reload(generation) {
      if (held.generation > generation) return;
      reloading ??= load(cluster, source, held.generation + 1)
        .then((next) => {
          // The connections stay: other calls are under way on them. The next refresh replaces them where it must.
          held = { ...next, agents: held.agents };
        })
        .finally(() => {
          reloading = null;
        });
      await reloading;
    },
    close: () => discard(held),
  };
}

async function load(cluster: string, source: CredentialSource, generation: number): Promise<Held> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  await fill(config, cluster, source);
  if (source.context !== undefined) {
    const known = config.getContexts().map((context) => context.name);
    if (!known.includes(source.context))
      throw new Error(
        `cluster ${cluster}: the kubeconfig has no context "${source.context}"; it has: ${known.join(', ') || 'none'}`,
      );
    config.setCurrentContext(source.context);
  }
  const found = config.getCurrentCluster();
  if (found === null)
    throw new Error(
      `cluster ${cluster}: the kubeconfig's current context "${config.getCurrentContext()}" names no cluster; set current-context or give a context`,
    );
  if (found.server.startsWith('http:') && !found.skipTLSVerify)
    throw new Error(
      `cluster ${cluster}: ${found.server} is plain http; that needs insecure-skip-tls-verify: true in the kubeconfig's cluster entry`,
    );
  if (!URL.canParse(found.server))
    throw new Error(
      `cluster ${cluster}: ${found.server} is no URL${source.inCluster === true ? ': this process runs in no pod (KUBERNETES_SERVICE_HOST is not set)' : ''}`,
    );
  return { config, server: new URL(found.server), generation, agents: null, headers: {}, until: 0 };
}

async function fill(config: KubeConfig, cluster: string, source: CredentialSource): Promise<void> {
  const { kubeconfig, kubeconfigFile, kubeconfigFrom, inCluster } = source;
  const ways = [kubeconfig, kubeconfigFile, kubeconfigFrom, inCluster === true ? true : undefined];
  const given = ways.filter((one) => one !== undefined);
  if (given.length !== 1)
    throw new Error(
      `cluster ${cluster}: give one of kubeconfig (YAML text), kubeconfigFile, kubeconfigFrom or inCluster; found ${given.length}`,
    );
  if (source.inCluster === true) {
    config.loadFromCluster();
    return;
  }
  try {
    const text = kubeconfig ?? (await kubeconfigFrom?.()) ?? (await readFile(kubeconfigFile as string, 'utf8'));
    config.loadFromString(withTokenFiles(text, source.kubeconfigFile));
  } catch (error) {
    throw new Error(
      `cluster ${cluster}: the kubeconfig ${source.kubeconfigFile ?? ''} cannot be read: ${words(error)}`,
      { cause: error },
    );
  }
  if (source.kubeconfigFile !== undefined) config.makePathsAbsolute(dirname(source.kubeconfigFile));
}

interface KubeconfigUser {
  readonly user?: { readonly tokenFile?: string; readonly 'auth-provider'?: unknown };
}

/** client-node does not know `tokenFile` (2.0.1 looks for "token-file"): said in the words of its token file provider. */
function withTokenFiles(text: string, file: string | undefined): string {
  const parsed: unknown = parse(text);
  if (typeof parsed !== 'object' || parsed === null) throw new Error('it is no YAML mapping');
  const { users, ...rest } = parsed as { readonly users?: readonly KubeconfigUser[] };
  const provided = (users ?? []).map((entry) => {
    if (entry.user?.tokenFile === undefined) return entry;
    const tokenFile = file === undefined ? entry.user.tokenFile : resolve(dirname(file), entry.user.tokenFile);
    return { ...entry, user: { ...entry.user, 'auth-provider': { name: 'tokenFile', config: { tokenFile } } } };
  });
  return JSON.stringify({ ...rest, users: provided });
}

/** Asks client-node for headers and TLS material; keeps the connections where the material is the same. */
async function refresh(held: Held): Promise<Held> {
  const options: https.RequestOptions = {};
  await held.config.applyToHTTPSOptions(options);
  const { ca, cert, key, pfx, passphrase, servername, rejectUnauthorized } = options;
  const tls = Object.fromEntries(
    Object.entries({ ca, cert, key, pfx, passphrase, servername, rejectUnauthorized }).filter(
      ([, value]) => value !== undefined,
    ),
  );
  const material = JSON.stringify(tls);
  const agents = held.agents?.material === material ? held.agents : { material, ...agentsFor(held, options, tls) };
  if (held.agents !== null && held.agents !== agents) retire(held.agents);
  return { ...held, agents, headers: headersOf(options), until: performance.now() + KEEP_ACCESS_MS };
}

function agentsFor(
  held: Held,
  options: https.RequestOptions,
  tls: https.AgentOptions,
): { call: http.Agent; watch: http.Agent } {
  // A proxy needs client-node's agent, which opens a connection per request.
  if (held.config.getCurrentCluster()?.proxyUrl !== undefined) {
    const proxied = options.agent as http.Agent;
    return { call: proxied, watch: proxied };
  }
  const Agent = held.server.protocol === 'http:' ? http.Agent : https.Agent;
  const shared = { ...tls, keepAlive: true, keepAliveMsecs: 15_000 };
  // Watches hold their connection for ever: in the same pool they would starve the calls.
  return { call: new Agent({ ...shared, maxSockets: MAX_SOCKETS }), watch: new Agent(shared) };
}

function headersOf(options: https.RequestOptions): Record<string, string> {
  const given = Object.entries((options.headers ?? {}) as Record<string, unknown>);
  // A token file that ends in a newline would be an invalid header.
  const headers = Object.fromEntries(given.map(([name, value]) => [name, String(value).trim()]));
  if (typeof options.auth === 'string')
    headers['Authorization'] = `Basic ${Buffer.from(options.auth).toString('base64')}`;
  return headers;
}

/** Calls under way finish, watches move over when their stream ends. */
function retire({ call, watch }: { readonly call: http.Agent; readonly watch: http.Agent }): void {
  setTimeout(() => {
    call.destroy();
    watch.destroy();
  }, RETIRE_MS).unref();
}

function discard(held: Held): void {
  held.agents?.call.destroy();
  held.agents?.watch.destroy();
}

const words = (error: unknown): string => (error instanceof Error ? error.message : String(error));
