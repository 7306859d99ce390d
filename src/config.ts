/** The only reader of the environment: checked at once, every problem listed, secrets never shown. */
import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { parse } from 'yaml';
import { z } from 'zod';
import { parseAllowed } from './adapters/outbound/addresses.ts';
import { isWebhookSecret } from './adapters/outbound/standard-webhooks.ts';
import { SEVERITIES } from './app/severity.ts';
import { readTrust } from './app/trust/schema.ts';
import type { Trust } from './app/trust/trust.ts';
import { parseDuration } from './app/units.ts';
import type { Severities } from './domain/plan.ts';

type Env = Readonly<Record<string, string | undefined>>;

export interface PrometheusConfig {
  readonly url: string;
  readonly auth:
    | { readonly kind: 'basic'; readonly username: string; readonly password: string }
    | { readonly kind: 'bearer'; readonly token: string }
    | { readonly kind: 'header'; readonly name: string; readonly value: string }
    | null;
  /** Milliseconds. */
  readonly scrapeInterval: number;
  readonly timeout: number;
  /** As people's browsers reach it, for links; absent: as the service does. */
  readonly publicUrl?: string;
}

/** Reading the proxies themselves. */
export interface DirectConfig {
  /** Milliseconds. */
  readonly interval: number;
  /** Readings at once in one process. */
  readonly concurrency: number;
}

export type Proxy = 'istio' | 'linkerd';
export const PROXIES = ['istio', 'linkerd'] as const satisfies readonly Proxy[];
/** Where the meshes' own installers put their control planes. */
export const MESH_NAMESPACES: Readonly<Record<Proxy, string>> = { istio: 'istio-system', linkerd: 'linkerd' };
const RESOURCES = ['requests.cpu', 'requests.memory', 'limits.cpu', 'limits.memory'] as const;

/** What the checks before a rollout demand of the meshes. */
export interface PreflightConfig {
  /** By the check's name; which names there are is known once the checks are loaded. */
  readonly severity: Severities;
  /** Oldest version that is good enough; absent: any. */
  readonly minVersion: Readonly<Partial<Record<Proxy, string>>>;
  /** Least resources of a proxy; null: by the mesh. */
  readonly sidecarResources: Readonly<Partial<Record<(typeof RESOURCES)[number], string>>> | null;
}

/** Kiali: links to it, and what it says of objects. */
export interface KialiConfig {
  /** With its web root: http://kiali.istio-system:20001/kiali. */
  readonly url: string;
  /** As people's browsers reach it; absent: as the service does. */
  readonly publicUrl?: string;
  readonly objectPath: (typeof KIALI_OBJECT_PATHS)[number];
  /** Are its validations findings of the preflight? */
  readonly validations: boolean;
  readonly token: string | null;
}

/** Jaeger: links to it, and the failing traces of a canary that was rolled back. */
export interface JaegerConfig {
  readonly url: string;
  readonly publicUrl?: string;
  readonly api: (typeof JAEGER_APIS)[number];
  readonly auth:
    | { readonly kind: 'bearer'; readonly token: string }
    | { readonly kind: 'header'; readonly name: string; readonly value: string }
    | null;
}

/** The values of a rollout that a dashboard may be told, and its own names of variables for those that it wants. */
export const GRAFANA_VALUES = ['cluster', 'namespace', 'service', 'stable', 'canary', 'rollout'] as const;
const USUAL_VARIABLES = { namespace: 'namespace', service: 'service', canary: 'canary' } as const;

/** Grafana: a link to a dashboard. */
export interface GrafanaConfig {
  /** Of the dashboard, as people's browsers reach it. */
  readonly url: string;
  readonly variables: Readonly<Partial<Record<(typeof GRAFANA_VALUES)[number], string>>>;
}

/** Where the service's own traces go, and which there are. */
export interface TracingConfig {
  readonly endpoint: string;
  readonly headers: Readonly<Record<string, string>>;
  /** What the traces say of this process, "service.name" among it. */
  readonly resource: Readonly<Record<string, string>>;
  /** `ratio`: of the traces, 0..1. */
  readonly sampler: { readonly name: (typeof TRACE_SAMPLERS)[number]; readonly ratio: number };
  readonly propagators: readonly (typeof TRACE_PROPAGATORS)[number][];
}

/** Names and values by the specification of OpenTelemetry. */
export const TRACE_SAMPLERS = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const;
export const TRACE_PROPAGATORS = ['tracecontext', 'b3', 'b3multi'] as const;

export const KIALI_OBJECT_PATHS = ['gvk', 'legacy'] as const;
export const JAEGER_APIS = ['auto', 'v1', 'v3'] as const;
export const METRICS_PROVIDERS = ['prometheus', 'direct'] as const;

export interface ClusterConfig {
  readonly name: string;
  readonly kubeconfigFile: string | null;
  readonly context: string | null;
  /** The pod's own service account. */
  readonly inCluster: boolean;
  /** The Secret of Istio in another cluster that has the kubeconfig. Absent: it is not asked for. */
  readonly remoteSecret?: RemoteSecretConfig;
  /** null: none, and built-in checks are answered directly. */
  readonly prometheus: PrometheusConfig | null;
  readonly direct: DirectConfig;
  /** Who answers built-in checks that name no provider. */
  readonly metricsProvider: (typeof METRICS_PROVIDERS)[number];
  /** Namespaces of the control planes. */
  readonly meshNamespaces: Readonly<Record<Proxy, string>>;
  /** Its part in an Istio mesh of several clusters; absent: it is alone, or each cluster reads its own objects. */
  readonly topology?: Topology;
  /** Absent: there is none. */
  readonly kiali?: KialiConfig;
  readonly jaeger?: JaegerConfig;
  readonly grafana?: GrafanaConfig;
}

export interface RemoteSecretConfig {
  readonly in: string;
  readonly namespace: string;
  readonly name: string;
  readonly key: string;
}

/** `remote`: its objects are read by no control plane; `config`: an external control plane reads them. */
export const CLUSTER_ROLES = ['primary', 'remote', 'config'] as const;
export interface Topology {
  readonly role: (typeof CLUSTER_ROLES)[number];
  readonly meshID: string | null;
  readonly network: string | null;
}

/** A channel that is told what nobody may miss. */
export interface ChannelConfig {
  readonly name: string;
  /** Which kinds there are is known once they are loaded, and so is what each may set. */
  readonly kind: string;
  /** Is it told of plans that name no channels? */
  readonly usual: boolean;
  /** With the values of secrets. */
  readonly settings: Readonly<Record<string, unknown>>;
}

export interface Config {
  readonly databaseUrl: string;
  /** As the owner of the schema, for `migrate` alone; null: as databaseUrl. */
  readonly databaseOwnerUrl: string | null;
  /** null: BullMQ runs on Postgres. */
  readonly redisUrl: string | null;
  readonly clusters: readonly ClusterConfig[];
  readonly host: string;
  readonly port: number;
  readonly publicUrl: string | null;
  /** Addresses and networks of proxies whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly string[];
  /** Seals the sessions of the page; null: made up by each process. */
  readonly sessionKey: string | null;
  /** Whose id tokens are accepted, of people and of pipelines; null: only API tokens are. */
  readonly trust: Trust | null;
  /** Of this service, at the OpenID provider that people sign in with; null: it has none. */
  readonly oidcClientSecret: string | null;
  /** Ticks at once in one process. */
  readonly concurrency: number;
  /** Milliseconds; null: for ever. */
  readonly retention: number | null;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
  readonly metricsOpen: boolean;
  readonly preflight: PreflightConfig;
  /** Hosts that fault rehearsals may ask, beyond those of the target's namespace. */
  readonly probeHosts: readonly string[];
  readonly channels: readonly ChannelConfig[];
  readonly webhooks: {
    /** What questions to gates are signed with. Empty: there are no gates. */
    readonly secrets: readonly string[];
    /** What webhooks may reach of networks that are not public. */
    readonly allowed: { readonly ranges: readonly string[]; readonly suffixes: readonly string[] };
  };
  /** null: none are made. */
  readonly tracing: TracingConfig | null;
  readonly slack: {
    /** Of requests over HTTP. Empty: none are taken. */
    readonly signingSecrets: readonly string[];
    /** For Socket Mode; null: it is not used. */
    readonly appToken: string | null;
    readonly token: string;
    readonly channel: string;
    readonly apiUrl: string | null;
  } | null;
  /** Every secret value, for the log to strike out. */
  readonly secrets: readonly string[];
}

export type Read =
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly problems: readonly string[] };

/** What is known, and what it is for: also printed by `--help`. Names ending in * may be given as NAME_FILE instead. */
export const VARIABLES = {
  'DATABASE_URL*': 'Postgres, like postgres://user:password@host:5432/sluice (required)',
  'DATABASE_OWNER_URL*':
    'the same database as the owner of its tables, for migrate alone; the user of DATABASE_URL then gets only the rights it needs',
  'REDIS_URL*': 'Redis for the queue; without it the queue runs on Postgres',
  HOST: 'address to listen on (0.0.0.0)',
  PORT: 'port to listen on (8080)',
  SLUICE_PUBLIC_URL: 'where people reach the service, for links',
  SLUICE_TRUSTED_PROXIES:
    'addresses or networks of proxies, separated by commas, whose X-Forwarded-For the audit believes, like 10.0.0.0/8 (none)',
  'SLUICE_SESSION_KEY*':
    'at least 32 characters that seal the sessions of the page; without it they end with the process',
  SLUICE_TRUST_FILE:
    'YAML that says who signs in by an OpenID provider, and which pipelines come with an id token (docs/page.md, docs/ci.md)',
  'SLUICE_OIDC_CLIENT_SECRET*': 'secret of this service at the OpenID provider; without it the client is a public one',
  KUBECONFIG: "kubeconfig of the cluster named default; without it the pod's service account",
  SLUICE_KUBE_CONTEXT: 'context of that kubeconfig',
  PROMETHEUS_URL: 'Prometheus of the cluster named default',
  PROMETHEUS_USERNAME: 'basic auth',
  'PROMETHEUS_PASSWORD*': 'basic auth',
  'PROMETHEUS_BEARER_TOKEN*': 'bearer auth',
  PROMETHEUS_HEADER_NAME: 'auth by a header of this name',
  'PROMETHEUS_HEADER_VALUE*': 'value of that header',
  PROMETHEUS_SCRAPE_INTERVAL: 'time between two scrapes of the proxies (15s)',
  PROMETHEUS_TIMEOUT: 'deadline of one query (5s)',
  SLUICE_PROMETHEUS_PUBLIC_URL: 'where people reach that Prometheus, for links; without it PROMETHEUS_URL',
  SLUICE_METRICS_PROVIDER:
    'who answers built-in checks that name no provider (prometheus), or direct: the proxies themselves, without a Prometheus if there is none',
  SLUICE_DIRECT_INTERVAL: 'time between two direct readings of one proxy, 250ms to 10s (1s)',
  SLUICE_DIRECT_CONCURRENCY: 'direct readings at once in one process (64)',
  SLUICE_PREFLIGHT_SEVERITY:
    'what findings of mesh checks are worth: fail, warn or ignore, like mesh.version=fail,gitops.owner=ignore',
  SLUICE_MESH_NAMESPACES: 'namespaces of the control planes (istio=istio-system,linkerd=linkerd)',
  SLUICE_MESH_MIN_VERSION: 'oldest control plane and proxies that are good enough, like istio=1.22,linkerd=2.14 (any)',
  SLUICE_SIDECAR_RESOURCES:
    'least resources of a proxy, like requests.cpu=100m,requests.memory=128Mi,limits.cpu=500m,limits.memory=256Mi (by the mesh)',
  SLUICE_PROBE_HOSTS:
    "hosts that fault rehearsals may ask beyond those of the rollout's namespace, separated by commas, like frontend.web",
  SLUICE_KIALI_URL:
    'Kiali with its web root, like http://kiali.istio-system:20001/kiali; without it there are no links to it',
  SLUICE_KIALI_PUBLIC_URL: 'where people reach that Kiali, for links; without it SLUICE_KIALI_URL',
  SLUICE_KIALI_OBJECT_PATH: 'how its addresses name objects: gvk, or legacy for Kiali 1.x (gvk)',
  SLUICE_KIALI_VALIDATIONS: 'true: its validations are findings of the preflight (false)',
  'SLUICE_KIALI_TOKEN*': 'bearer token for its API',
  SLUICE_JAEGER_URL:
    'Jaeger with its base path, like http://tracing.istio-system/jaeger; without it no traces are kept',
  SLUICE_JAEGER_PUBLIC_URL: 'where people reach that Jaeger, for links; without it SLUICE_JAEGER_URL',
  SLUICE_JAEGER_API: 'API of that Jaeger: v1, v3, or auto to find out (auto)',
  'SLUICE_JAEGER_TOKEN*': 'bearer auth',
  SLUICE_JAEGER_HEADER_NAME: 'auth by a header of this name',
  'SLUICE_JAEGER_HEADER_VALUE*': 'value of that header',
  SLUICE_GRAFANA_URL:
    'a dashboard of Grafana as people reach it, like https://grafana.example.com/d/abc/canary; without it there are no links to it',
  SLUICE_GRAFANA_VARIABLES:
    "the dashboard's own names of variables for namespace, service, canary, stable, cluster, rollout, like namespace=ns,canary=workload (namespace, service and canary under these names)",
  SLUICE_CLUSTERS_FILE: 'YAML with several clusters, instead of KUBECONFIG and PROMETHEUS_*',
  SLUICE_CHANNELS_FILE: 'YAML with the channels that are told: webhook, msteams, pagerduty',
  'SLUICE_WEBHOOK_SECRETS*':
    'what questions to the webhooks of plans are signed with, whsec_...; several, separated by commas, while one is rotated',
  SLUICE_WEBHOOK_ALLOW:
    'what webhooks may reach of networks that are not public, separated by commas, like 10.20.0.0/16,.svc.cluster.local',
  SLUICE_CONCURRENCY: 'ticks at once in one process (300)',
  SLUICE_RETENTION: 'how long ended rollouts are kept, or "forever" (90d)',
  SLUICE_METRICS_OPEN: 'true: /metrics needs no token (false)',
  LOG_LEVEL: 'debug, info, warn or error (info)',
  OTEL_EXPORTER_OTLP_ENDPOINT:
    "collector for the service's own traces, like http://otel-collector.observability:4318; without it none are made",
  'OTEL_EXPORTER_OTLP_HEADERS*': 'headers for it, like authorization=Bearer%20..., separated by commas',
  OTEL_EXPORTER_OTLP_PROTOCOL: 'how they are sent: http/protobuf, nothing else (http/protobuf)',
  OTEL_SERVICE_NAME: 'name of this service in its traces (sluice)',
  OTEL_RESOURCE_ATTRIBUTES: 'what else its traces say of this process, like deployment.environment.name=prod',
  OTEL_TRACES_SAMPLER:
    'which traces are made: always_on, always_off, traceidratio, or with parentbased_ before it (parentbased_always_on)',
  OTEL_TRACES_SAMPLER_ARG: 'part of the traces that a sampler by ratio takes, 0 to 1 (1)',
  OTEL_PROPAGATORS:
    'how the context of a trace is read and passed on: tracecontext, b3, b3multi, or none (tracecontext)',
  OTEL_SDK_DISABLED: 'true: no traces, whatever else is set (false)',
  'SLACK_SIGNING_SECRET*': "the app's signing secret; several, separated by commas, while one is rotated",
  'SLACK_APP_TOKEN*': 'Socket Mode in place of the signing secret: the app-level token, xapp-...',
  'SLACK_BOT_TOKEN*': 'the bot token, xoxb-...',
  SLACK_CHANNEL: 'id of the channel that is told, like C0123ABCD',
  SLACK_API_URL: "base address of Slack's API, for tests and proxies",
} as const;

const NAMES = Object.keys(VARIABLES).map((name) => name.replace('*', ''));
const SECRET_FILES = Object.keys(VARIABLES)
  .filter((name) => name.endsWith('*'))
  .map((name) => `${name.slice(0, -1)}_FILE`);

/** The command line's own settings (src/cli/environment.ts): a shell that has them may start the service too. */
const OF_THE_COMMAND_LINE = [
  'SLUICE_URL',
  'SLUICE_TOKEN',
  'SLUICE_TOKEN_FILE',
  'SLUICE_CONTEXT',
  'SLUICE_OIDC_AUDIENCE',
];

export const environment: Env = process.env;

export function readConfig(env: Env): Read {
  const problems: string[] = [];
  const get = reader(env, problems);
  const used = new Set<string>();
  const channels = channelsOf(env, get, problems, used);
  const config: Config = {
    databaseUrl: get.required(
      'DATABASE_URL',
      'a Postgres URL, like postgres://user:password@host:5432/sluice',
      get.url('DATABASE_URL', ['postgres:', 'postgresql:']),
    ),
    databaseOwnerUrl: get.url('DATABASE_OWNER_URL', ['postgres:', 'postgresql:']),
    redisUrl: get.url('REDIS_URL', ['redis:', 'rediss:']),
    clusters: clustersOf(env, get, problems, used),
    host: get.text('HOST') ?? '0.0.0.0',
    port: get.integer('PORT', 0, 65_535) ?? 8080,
    publicUrl: get.url('SLUICE_PUBLIC_URL', ['http:', 'https:'])?.replace(/\/+$/, '') ?? null,
    trustedProxies: get.networks('SLUICE_TRUSTED_PROXIES') ?? [],
    sessionKey: get.secret('SLUICE_SESSION_KEY', 32),
    trust: trustOf(get, problems),
    oidcClientSecret: get.text('SLUICE_OIDC_CLIENT_SECRET'),
    concurrency: get.integer('SLUICE_CONCURRENCY', 1, 10_000) ?? 300,
    retention:
      get.text('SLUICE_RETENTION') === 'forever'
        ? null
        : (get.duration('SLUICE_RETENTION', 3_600_000) ?? 90 * 86_400_000),
    logLevel: get.oneOf('LOG_LEVEL', ['debug', 'info', 'warn', 'error'] as const) ?? 'info',
    metricsOpen: get.oneOf('SLUICE_METRICS_OPEN', ['true', 'false'] as const) === 'true',
    preflight: preflightOf(get),
    probeHosts: (get.text('SLUICE_PROBE_HOSTS') ?? '').split(',').flatMap((host) => host.trim() || []),
    channels: channels.map(({ secrets: _secrets, ...channel }) => channel),
    webhooks: webhooksOf(get, problems),
    tracing: tracingOf(get, problems),
    slack: slackOf(get, problems),
    secrets: [],
  };
  problems.push(...misspelt(env, used));
  if (problems.length > 0) return { ok: false, problems: [...new Set(problems)] };
  return {
    ok: true,
    config: deepFreeze({
      ...config,
      secrets: secretsOf(
        config,
        channels.flatMap(({ secrets }) => secrets),
      ),
    }),
  };
}

function deepFreeze<T extends object>(value: T): T {
  for (const part of Object.values(value)) if (typeof part === 'object' && part !== null) deepFreeze(part);
  return Object.freeze(value);
}

/** What Kubernetes sets for a Service named sluice or prometheus in the pod's namespace. Nobody's setting, nobody's mistake. */
function isServiceLink(name: string, value: string | undefined): boolean {
  if (/_SERVICE_(HOST|PORT(_\w+)?)$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/.test(name)) return true;
  return name.endsWith('_PORT') && /^(tcp|udp|sctp):\/\//.test(value ?? '');
}

/** A variable of ours that nobody reads is a spelling mistake. `used`: named by the clusters' file. */
function misspelt(env: Env, used: ReadonlySet<string>): string[] {
  return Object.keys(env)
    .filter((name) => /^(SLUICE|PROMETHEUS|SLACK)_/.test(name) && !NAMES.includes(name) && !SECRET_FILES.includes(name))
    .filter((name) => !used.has(name) && !OF_THE_COMMAND_LINE.includes(name) && !isServiceLink(name, env[name]))
    .map(
      (name) =>
        `${name}: unknown; known: ${NAMES.filter((known) => known.split('_')[0] === name.split('_')[0]).join(', ')}`,
    );
}

type Reader = ReturnType<typeof reader>;

function isNetwork(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/');
  const longest = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
  return (
    longest > 0 && rest.length === 0 && (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= longest))
  );
}

/** Compose and charts set what nobody filled in to the empty text. */
const given = (value: string | undefined): string | null => (value === undefined || value === '' ? null : value);

function reader(env: Env, problems: string[]) {
  const text = (name: string): string | null => {
    const file = SECRET_FILES.includes(`${name}_FILE`) ? given(env[`${name}_FILE`]) : null;
    const value = given(env[name]);
    if (file !== null && value !== null) problems.push(`${name}: given twice, also as ${name}_FILE; remove one`);
    if (file === null) return value;
    try {
      const found = readFileSync(file, 'utf8').trim();
      if (found === '') problems.push(`${name}_FILE: wanted the value in ${file}; the file is empty`);
      return given(found);
    } catch (error) {
      problems.push(`${name}_FILE: cannot read ${file}: ${(error as Error).message}`);
      return null;
    }
  };
  const checked = <T>(name: string, wanted: string, convert: (found: string) => T | null): T | null => {
    const found = text(name);
    if (found === null) return null;
    const converted = convert(found);
    // What was found is not shown where it may be a secret.
    if (converted === null)
      problems.push(
        `${name}: wanted ${wanted}${SECRET_FILES.includes(`${name}_FILE`) ? '' : `; found ${JSON.stringify(found)}`}`,
      );
    return converted;
  };
  return {
    text,
    required(name: string, wanted: string, found: string | null): string {
      if (found === null && text(name) === null) problems.push(`${name}: wanted ${wanted}; found nothing`);
      return found ?? '';
    },
    url: (name: string, protocols: readonly string[]) =>
      checked(name, `a URL that begins with ${protocols.map((p) => `${p}//`).join(' or ')}`, (found) =>
        URL.canParse(found) && protocols.includes(new URL(found).protocol) ? found : null,
      ),
    networks: (name: string) =>
      checked(name, 'addresses or networks like 10.0.0.0/8, separated by commas', (found) => {
        const networks = found.split(',').map((network) => network.trim());
        return networks.every(isNetwork) ? networks : null;
      }),
    secret: (name: string, least: number) =>
      checked(name, `at least ${least} characters`, (found) => (found.length >= least ? found : null)),
    integer: (name: string, min: number, max: number) =>
      checked(name, `a whole number from ${min} to ${max}`, (found) => {
        const number = Number(found);
        return /^\d+$/.test(found) && number >= min && number <= max ? number : null;
      }),
    duration: (name: string, min: number, max = Number.POSITIVE_INFINITY) => {
      const range =
        max === Number.POSITIVE_INFINITY ? `of at least ${min / 1000} s` : `from ${min / 1000} to ${max / 1000} s`;
      return checked(name, `a duration with a unit, like 15s or 90d, ${range}`, (found) => {
        const ms = parseDuration(found);
        return ms !== null && ms >= min && ms <= max ? ms : null;
      });
    },
    /** `name=value` pairs, separated by commas; `value` says what is good for one name, `names` null: any. */
    pairs: <N extends string, V extends string>(
      name: string,
      names: readonly N[] | null,
      wanted: string,
      value: (found: string) => V | null,
    ): Partial<Record<N, V>> | null => {
      const keys = names === null ? '' : ` with names of ${names.join(', ')}`;
      return checked(
        name,
        `pairs like name=value, separated by commas${keys}, and values that are ${wanted}`,
        (found) => {
          const pairs = found.split(',').map((pair) => pair.split('=').map((part) => part.trim()));
          const read = pairs.map(([key = '', written = '', ...rest]): [N, V] | null => {
            const known = names === null ? (key as N) : (names.find((own) => own === key) ?? null);
            const good = value(written);
            return known === null || known === '' || good === null || rest.length > 0 ? null : [known, good];
          });
          const all = read.filter((pair) => pair !== null);
          const once = new Set(all.map(([key]) => key)).size === all.length;
          return all.length === read.length && once ? (Object.fromEntries(all) as Partial<Record<N, V>>) : null;
        },
      );
    },
    /** Pairs as OpenTelemetry writes them: `name=value`, values percent-encoded, so that a value may have a comma. */
    assignments: (name: string) =>
      checked(name, 'pairs like name=value, separated by commas, with values percent-encoded', (found) => {
        const pairs = found.split(',').map((pair): [string, string] | null => {
          const at = pair.indexOf('=');
          const key = pair.slice(0, Math.max(at, 0)).trim();
          const value = decoded(pair.slice(at + 1).trim());
          return key === '' || value === null ? null : [key, value];
        });
        const good = pairs.filter((pair) => pair !== null);
        return good.length === pairs.length ? (Object.fromEntries(good) as Readonly<Record<string, string>>) : null;
      }),
    ratio: (name: string) =>
      checked(name, 'a number from 0 to 1', (found) => {
        const number = Number(found);
        return /^[\d.]+$/.test(found) && number >= 0 && number <= 1 ? number : null;
      }),
    listOf: <T extends string>(name: string, values: readonly T[]) =>
      checked(name, `some of ${values.join(', ')}, separated by commas`, (found): readonly T[] | null => {
        const parts = found.split(',').map((part) => values.find((value) => value === part.trim()) ?? null);
        const good = parts.filter((part) => part !== null);
        return good.length === parts.length ? good : null;
      }),
    oneOf: <T extends string>(name: string, values: readonly T[]) =>
      checked(name, `one of ${values.join(', ')}`, (found) => values.find((value) => value === found) ?? null),
  };
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

// ── preflight ───────────────────────────────────────────────────────────────────────────────────────────────────────

const MESH_VERSION = /^([a-z]+-)?\d+\.\d+(\.\d+)?$/;
const QUANTITY = /^\d+(\.\d+)?(m|[kMGT]i?)?$/;
const NAMESPACE = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

function preflightOf(get: Reader): PreflightConfig {
  return {
    severity: (get.pairs(
      'SLUICE_PREFLIGHT_SEVERITY',
      null,
      `one of ${SEVERITIES.join(', ')}`,
      (found) => SEVERITIES.find((level) => level === found) ?? null,
    ) ?? {}) as Severities,
    minVersion:
      get.pairs('SLUICE_MESH_MIN_VERSION', PROXIES, 'versions like 1.22', (found) =>
        MESH_VERSION.test(found) ? found : null,
      ) ?? {},
    sidecarResources: get.pairs('SLUICE_SIDECAR_RESOURCES', RESOURCES, 'quantities like 100m or 128Mi', (found) =>
      QUANTITY.test(found) ? found : null,
    ),
  };
}

// ── clusters ────────────────────────────────────────────────────────────────────────────────────────────────────────

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount/token';
const SCRAPE_INTERVAL = 15_000;
const TIMEOUT = 5_000;
const DIRECT = { interval: 1_000, shortest: 250, longest: 10_000, concurrency: 64, most: 1_000 } as const;
const DIRECT_ALONE = 'SLUICE_METRICS_PROVIDER=direct does without';

/** Of one cluster, so the file says them for each. */
const SINGLE = [
  'PROMETHEUS_URL',
  'SLUICE_KUBE_CONTEXT',
  'SLUICE_PROMETHEUS_PUBLIC_URL',
  'SLUICE_METRICS_PROVIDER',
  'SLUICE_DIRECT_INTERVAL',
  'SLUICE_DIRECT_CONCURRENCY',
  'SLUICE_MESH_NAMESPACES',
  'SLUICE_KIALI_URL',
  'SLUICE_JAEGER_URL',
  'SLUICE_GRAFANA_URL',
];

function clustersOf(env: Env, get: Reader, problems: string[], used: Set<string>): readonly ClusterConfig[] {
  const file = get.text('SLUICE_CLUSTERS_FILE');
  if (file !== null) {
    for (const name of SINGLE.filter((other) => get.text(other) !== null))
      problems.push(`${name}: has no effect beside SLUICE_CLUSTERS_FILE; remove one`);
    return clustersIn(file, env, problems, used);
  }
  const metricsProvider = get.oneOf('SLUICE_METRICS_PROVIDER', METRICS_PROVIDERS) ?? 'prometheus';
  const prometheus = prometheusOf(get, problems, metricsProvider === 'direct');
  const kubeconfigFile = get.text('KUBECONFIG');
  const inCluster = kubeconfigFile === null && existsSync(SERVICE_ACCOUNT);
  if (kubeconfigFile === null && !inCluster)
    problems.push('KUBECONFIG: wanted the path of a kubeconfig (this is no pod with a service account); found nothing');
  if (kubeconfigFile !== null && !existsSync(kubeconfigFile)) problems.push(`KUBECONFIG: no file at ${kubeconfigFile}`);
  const direct: DirectConfig = {
    interval: get.duration('SLUICE_DIRECT_INTERVAL', DIRECT.shortest, DIRECT.longest) ?? DIRECT.interval,
    concurrency: get.integer('SLUICE_DIRECT_CONCURRENCY', 1, DIRECT.most) ?? DIRECT.concurrency,
  };
  const context = get.text('SLUICE_KUBE_CONTEXT');
  const named = get.pairs('SLUICE_MESH_NAMESPACES', PROXIES, 'names of namespaces', (found) =>
    NAMESPACE.test(found) ? found : null,
  );
  const meshNamespaces = { ...MESH_NAMESPACES, ...named };
  const kiali = kialiOf(get, problems);
  const jaeger = jaegerOf(get, problems);
  const grafana = grafanaOf(get, problems);
  return [
    {
      name: 'default',
      kubeconfigFile,
      context,
      inCluster,
      prometheus,
      direct,
      metricsProvider,
      meshNamespaces,
      ...(kiali === null ? {} : { kiali }),
      ...(jaeger === null ? {} : { jaeger }),
      ...(grafana === null ? {} : { grafana }),
    },
  ];
}

const HTTP = ['http:', 'https:'];

/** Settings of something that has no address have no effect, and whoever made them thinks otherwise. */
function orphans(get: Reader, problems: string[], address: string, names: readonly string[]): void {
  for (const name of names.filter((other) => get.text(other) !== null))
    problems.push(`${name}: has no effect without ${address}; wanted both, or neither`);
}

function kialiOf(get: Reader, problems: string[]): KialiConfig | null {
  const url = get.url('SLUICE_KIALI_URL', HTTP);
  const publicUrl = get.url('SLUICE_KIALI_PUBLIC_URL', HTTP);
  const objectPath = get.oneOf('SLUICE_KIALI_OBJECT_PATH', KIALI_OBJECT_PATHS) ?? 'gvk';
  const validations = get.oneOf('SLUICE_KIALI_VALIDATIONS', ['true', 'false'] as const) === 'true';
  const token = get.text('SLUICE_KIALI_TOKEN');
  if (get.text('SLUICE_KIALI_URL') === null)
    orphans(get, problems, 'SLUICE_KIALI_URL', [
      'SLUICE_KIALI_PUBLIC_URL',
      'SLUICE_KIALI_OBJECT_PATH',
      'SLUICE_KIALI_VALIDATIONS',
      'SLUICE_KIALI_TOKEN',
    ]);
  if (url === null) return null;
  return { url, ...(publicUrl === null ? {} : { publicUrl }), objectPath, validations, token };
}

function jaegerOf(get: Reader, problems: string[]): JaegerConfig | null {
  const url = get.url('SLUICE_JAEGER_URL', HTTP);
  const publicUrl = get.url('SLUICE_JAEGER_PUBLIC_URL', HTTP);
  const api = get.oneOf('SLUICE_JAEGER_API', JAEGER_APIS) ?? 'auto';
  const token = get.text('SLUICE_JAEGER_TOKEN');
  const [name, value] = [get.text('SLUICE_JAEGER_HEADER_NAME'), get.text('SLUICE_JAEGER_HEADER_VALUE')];
  if (get.text('SLUICE_JAEGER_URL') === null)
    orphans(get, problems, 'SLUICE_JAEGER_URL', [
      'SLUICE_JAEGER_PUBLIC_URL',
      'SLUICE_JAEGER_API',
      'SLUICE_JAEGER_TOKEN',
      'SLUICE_JAEGER_HEADER_NAME',
      'SLUICE_JAEGER_HEADER_VALUE',
    ]);
  if ((name === null) !== (value === null))
    problems.push('SLUICE_JAEGER_HEADER_NAME and SLUICE_JAEGER_HEADER_VALUE: wanted both; found one');
  if (token !== null && name !== null)
    problems.push('SLUICE_JAEGER_*: wanted one way to authenticate; found a token and a header');
  if (url === null) return null;
  const auth: JaegerConfig['auth'] =
    token !== null
      ? { kind: 'bearer', token }
      : name !== null && value !== null
        ? { kind: 'header', name, value }
        : null;
  return { url, ...(publicUrl === null ? {} : { publicUrl }), api, auth };
}

/** As Grafana allows. */
const VARIABLE = /^\w{1,64}$/;

function grafanaOf(get: Reader, problems: string[]): GrafanaConfig | null {
  const url = get.url('SLUICE_GRAFANA_URL', HTTP);
  const variables = get.pairs(
    'SLUICE_GRAFANA_VARIABLES',
    GRAFANA_VALUES,
    "names of the dashboard's variables",
    (found) => (VARIABLE.test(found) ? found : null),
  );
  if (get.text('SLUICE_GRAFANA_URL') === null)
    orphans(get, problems, 'SLUICE_GRAFANA_URL', ['SLUICE_GRAFANA_VARIABLES']);
  return url === null ? null : { url, variables: variables ?? USUAL_VARIABLES };
}

/** `optional`: without an address there is none, and then its other settings have no meaning. */
function prometheusOf(get: Reader, problems: string[], optional: boolean): PrometheusConfig | null {
  const url = get.url('PROMETHEUS_URL', ['http:', 'https:']);
  const publicUrl = get.url('SLUICE_PROMETHEUS_PUBLIC_URL', ['http:', 'https:']);
  const rest = {
    ...(publicUrl === null ? {} : { publicUrl }),
    auth: authOf(get, problems),
    scrapeInterval: get.duration('PROMETHEUS_SCRAPE_INTERVAL', 100) ?? SCRAPE_INTERVAL,
    timeout: get.duration('PROMETHEUS_TIMEOUT', 100) ?? TIMEOUT,
  };
  if (url !== null) return { url, ...rest };
  if (get.text('PROMETHEUS_URL') !== null) return null;
  const orphans = ['PROMETHEUS_SCRAPE_INTERVAL', 'PROMETHEUS_TIMEOUT'].filter((name) => get.text(name) !== null);
  if (!optional)
    problems.push(
      `PROMETHEUS_URL: wanted the address of Prometheus, like http://prometheus.monitoring:9090 (${DIRECT_ALONE}); found nothing`,
    );
  else if (rest.auth !== null || orphans.length > 0)
    problems.push(
      `PROMETHEUS_URL: wanted the address that ${orphans[0] ?? 'the credentials in PROMETHEUS_*'} is for; found nothing`,
    );
  return null;
}

type PrometheusAuth = PrometheusConfig['auth'];

function authOf(get: Reader, problems: string[]): PrometheusAuth {
  const [username, password] = [get.text('PROMETHEUS_USERNAME'), get.text('PROMETHEUS_PASSWORD')];
  const token = get.text('PROMETHEUS_BEARER_TOKEN');
  const [name, value] = [get.text('PROMETHEUS_HEADER_NAME'), get.text('PROMETHEUS_HEADER_VALUE')];
  const given = [username ?? password, token, name ?? value].filter((part) => part !== null);
  if (given.length > 1)
    problems.push(
      'PROMETHEUS_*: wanted one way to authenticate; found several of user and password, bearer token, header',
    );
  if ((username === null) !== (password === null))
    problems.push('PROMETHEUS_USERNAME and PROMETHEUS_PASSWORD: wanted both; found one');
  if ((name === null) !== (value === null))
    problems.push('PROMETHEUS_HEADER_NAME and PROMETHEUS_HEADER_VALUE: wanted both; found one');
  if (username !== null && password !== null) return { kind: 'basic', username, password };
  if (token !== null) return { kind: 'bearer', token };
  if (name !== null && value !== null) return { kind: 'header', name, value };
  return null;
}

const durationFrom = (min = 0, max = Number.POSITIVE_INFINITY) =>
  z.string().transform((text, ctx) => {
    const ms = parseDuration(text);
    if (ms === null)
      ctx.addIssue({ code: 'custom', message: `wanted a duration with a unit; found ${JSON.stringify(text)}` });
    else if (ms < min || ms > max)
      ctx.addIssue({
        code: 'custom',
        message: `wanted a duration from ${min / 1000} to ${max / 1000} s; found ${JSON.stringify(text)}`,
      });
    return ms ?? 0;
  });
const duration = durationFrom();

/** Secrets are named by the variable that holds them, so that the file can be a ConfigMap. */
const clustersFile = z.strictObject({
  clusters: z
    .record(
      z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/),
      z.strictObject({
        kubeconfig: z.string().optional(),
        context: z.string().optional(),
        inCluster: z.boolean().default(false),
        remoteSecret: z
          .strictObject({
            in: z.string(),
            namespace: z.string().regex(NAMESPACE).optional(),
            name: z.string().min(1).optional(),
            key: z.string().min(1).optional(),
          })
          .optional(),
        role: z.enum(CLUSTER_ROLES).optional(),
        meshID: z.string().min(1).optional(),
        network: z.string().min(1).optional(),
        metricsProvider: z.enum(METRICS_PROVIDERS).default('prometheus'),
        meshNamespaces: z
          .strictObject({
            istio: z.string().regex(NAMESPACE).default(MESH_NAMESPACES.istio),
            linkerd: z.string().regex(NAMESPACE).default(MESH_NAMESPACES.linkerd),
          })
          .prefault({}),
        direct: z
          .strictObject({
            interval: durationFrom(DIRECT.shortest, DIRECT.longest).prefault('1s'),
            concurrency: z.int().min(1).max(DIRECT.most).default(DIRECT.concurrency),
          })
          .prefault({}),
        prometheus: z
          .strictObject({
            url: z.url({ protocol: /^https?$/ }),
            publicUrl: z.url({ protocol: /^https?$/ }).optional(),
            scrapeInterval: duration.prefault('15s'),
            timeout: duration.prefault('5s'),
            auth: z
              .discriminatedUnion('kind', [
                z.strictObject({ kind: z.literal('basic'), username: z.string(), passwordFrom: z.string() }),
                z.strictObject({ kind: z.literal('bearer'), tokenFrom: z.string() }),
                z.strictObject({ kind: z.literal('header'), name: z.string(), valueFrom: z.string() }),
              ])
              .optional(),
          })
          .optional(),
        kiali: z
          .strictObject({
            url: z.url({ protocol: /^https?$/ }),
            publicUrl: z.url({ protocol: /^https?$/ }).optional(),
            objectPath: z.enum(KIALI_OBJECT_PATHS).default('gvk'),
            validations: z.boolean().default(false),
            tokenFrom: z.string().optional(),
          })
          .optional(),
        jaeger: z
          .strictObject({
            url: z.url({ protocol: /^https?$/ }),
            publicUrl: z.url({ protocol: /^https?$/ }).optional(),
            api: z.enum(JAEGER_APIS).default('auto'),
            auth: z
              .discriminatedUnion('kind', [
                z.strictObject({ kind: z.literal('bearer'), tokenFrom: z.string() }),
                z.strictObject({ kind: z.literal('header'), name: z.string(), valueFrom: z.string() }),
              ])
              .optional(),
          })
          .optional(),
        grafana: z
          .strictObject({
            url: z.url({ protocol: /^https?$/ }),
            variables: z
              .partialRecord(
                z.enum(GRAFANA_VALUES),
                z.string().regex(VARIABLE, "wanted the name of a dashboard's variable"),
              )
              .prefault({ ...USUAL_VARIABLES }),
          })
          .optional(),
      }),
    )
    .refine((clusters) => Object.keys(clusters).length > 0, 'wanted at least one cluster'),
});

function clustersIn(file: string, env: Env, problems: string[], used: Set<string>): readonly ClusterConfig[] {
  let document: unknown;
  try {
    document = parse(readFileSync(file, 'utf8'));
  } catch (error) {
    problems.push(`SLUICE_CLUSTERS_FILE: cannot read ${file}: ${(error as Error).message}`);
    return [];
  }
  const parsed = clustersFile.safeParse(document);
  if (!parsed.success) {
    for (const issue of parsed.error.issues)
      problems.push(`SLUICE_CLUSTERS_FILE: ${file}: /${issue.path.join('/')}: ${issue.message}`);
    return [];
  }
  const secret = (at: string, name: string): string => {
    used.add(name);
    const value = given(env[name]);
    if (value === null)
      problems.push(`SLUICE_CLUSTERS_FILE: ${file}: ${at} names the variable ${name}, which is not set`);
    return value ?? '';
  };
  for (const problem of lonelyRemotes(parsed.data.clusters)) problems.push(`SLUICE_CLUSTERS_FILE: ${file}: ${problem}`);
  return Object.entries(parsed.data.clusters).map(([name, cluster]) => {
    const {
      kubeconfig,
      context,
      inCluster,
      prometheus,
      direct,
      metricsProvider,
      meshNamespaces,
      kiali,
      jaeger,
      grafana,
    } = cluster;
    const at = `/clusters/${name}`;
    const ways = [kubeconfig !== undefined, inCluster, cluster.remoteSecret !== undefined].filter(Boolean);
    if (ways.length !== 1)
      problems.push(
        `SLUICE_CLUSTERS_FILE: ${file}: ${at}: wanted one of kubeconfig, inCluster: true and remoteSecret; found ${ways.length}`,
      );
    if (kubeconfig !== undefined && !existsSync(kubeconfig))
      problems.push(`SLUICE_CLUSTERS_FILE: ${file}: ${at}/kubeconfig: no file at ${kubeconfig}`);
    if (prometheus === undefined && metricsProvider !== 'direct')
      problems.push(
        `SLUICE_CLUSTERS_FILE: ${file}: ${at}: wanted prometheus with its url (metricsProvider: direct does without); found none`,
      );
    return {
      name,
      kubeconfigFile: kubeconfig ?? null,
      context: context ?? null,
      inCluster,
      prometheus: prometheus === undefined ? null : filePrometheus(prometheus, (variable) => secret(at, variable)),
      direct,
      metricsProvider,
      meshNamespaces,
      ...topologyOf(cluster),
      ...remoteSecretOf(name, cluster, parsed.data.clusters, (problem) =>
        problems.push(`SLUICE_CLUSTERS_FILE: ${file}: ${at}/remoteSecret/in: ${problem}`),
      ),
      ...(kiali === undefined ? {} : { kiali: fileKiali(kiali, (variable) => secret(at, variable)) }),
      ...(jaeger === undefined ? {} : { jaeger: fileJaeger(jaeger, (variable) => secret(at, variable)) }),
      ...(grafana === undefined ? {} : { grafana }),
    };
  });
}

type FileClusters = z.output<typeof clustersFile>['clusters'];

function topologyOf({ role, meshID, network }: FileClusters[string]): { topology?: Topology } {
  if (role === undefined && meshID === undefined && network === undefined) return {};
  return { topology: { role: role ?? 'primary', meshID: meshID ?? null, network: network ?? null } };
}

/** As istioctl names it, in the namespace of the control plane that has it. */
function remoteSecretOf(
  name: string,
  { remoteSecret }: FileCluster,
  clusters: FileClusters,
  problem: (words: string) => void,
): { remoteSecret?: RemoteSecretConfig } {
  if (remoteSecret === undefined) return {};
  const holder = clusters[remoteSecret.in];
  if (holder === undefined || holder.remoteSecret !== undefined)
    problem(
      `wanted a cluster of this file that has a kubeconfig or inCluster: true, whose API server holds the Secret; found ${JSON.stringify(remoteSecret.in)}`,
    );
  return {
    remoteSecret: {
      in: remoteSecret.in,
      namespace: remoteSecret.namespace ?? holder?.meshNamespaces.istio ?? MESH_NAMESPACES.istio,
      name: remoteSecret.name ?? `istio-remote-secret-${name}`,
      key: remoteSecret.key ?? name,
    },
  };
}

/** Where to write instead of a remote must be known, or nothing could be said to who names it. */
const lonelyRemotes = (clusters: FileClusters): string[] =>
  Object.entries(clusters).flatMap(([name, { role, meshID }]) => {
    if (role !== 'remote') return [];
    const written = Object.values(clusters).some((one) => one.role !== 'remote' && one.meshID === meshID);
    if (meshID !== undefined && written) return [];
    return [
      `/clusters/${name}: a remote wants the meshID of a primary (or config) cluster in this file; found ${meshID === undefined ? 'none' : JSON.stringify(meshID)}`,
    ];
  });

type FileCluster = z.output<typeof clustersFile>['clusters'][string];

const fileKiali = (
  { tokenFrom, publicUrl, ...rest }: NonNullable<FileCluster['kiali']>,
  secret: (variable: string) => string,
): KialiConfig => ({
  ...rest,
  ...(publicUrl === undefined ? {} : { publicUrl }),
  token: tokenFrom === undefined ? null : secret(tokenFrom),
});

function fileJaeger(
  { auth, publicUrl, ...rest }: NonNullable<FileCluster['jaeger']>,
  secret: (variable: string) => string,
): JaegerConfig {
  const common = { ...rest, ...(publicUrl === undefined ? {} : { publicUrl }) };
  if (auth === undefined) return { ...common, auth: null };
  if (auth.kind === 'bearer') return { ...common, auth: { kind: 'bearer', token: secret(auth.tokenFrom) } };
  return { ...common, auth: { kind: 'header', name: auth.name, value: secret(auth.valueFrom) } };
}

type FilePrometheus = NonNullable<z.output<typeof clustersFile>['clusters'][string]['prometheus']>;

const filePrometheus = (
  { auth, publicUrl, ...rest }: FilePrometheus,
  secret: (variable: string) => string,
): PrometheusConfig => ({
  ...rest,
  ...(publicUrl === undefined ? {} : { publicUrl }),
  auth: fileAuth(auth, secret),
});

type FileAuth = FilePrometheus['auth'];

function fileAuth(auth: FileAuth, secret: (variable: string) => string): PrometheusAuth {
  switch (auth?.kind) {
    case undefined:
      return null;
    case 'basic':
      return { kind: 'basic', username: auth.username, password: secret(auth.passwordFrom) };
    case 'bearer':
      return { kind: 'bearer', token: secret(auth.tokenFrom) };
    case 'header':
      return { kind: 'header', name: auth.name, value: secret(auth.valueFrom) };
    default:
      return auth satisfies never;
  }
}

// ── trust ───────────────────────────────────────────────────────────────────────────────────────────────────────────

function trustOf(get: Reader, problems: string[]): Trust | null {
  const file = get.text('SLUICE_TRUST_FILE');
  const trust = file === null ? null : trustIn(file, problems);
  if (get.text('SLUICE_OIDC_CLIENT_SECRET') !== null && file === null)
    orphans(get, problems, 'SLUICE_TRUST_FILE', ['SLUICE_OIDC_CLIENT_SECRET']);
  if (trust?.login != null && get.text('SLUICE_PUBLIC_URL') === null)
    problems.push(
      `SLUICE_PUBLIC_URL: wanted, because /login in ${file} sends people to their provider and back; found nothing`,
    );
  return trust;
}

function trustIn(file: string, problems: string[]): Trust | null {
  let document: unknown;
  try {
    document = parse(readFileSync(file, 'utf8'));
  } catch (error) {
    problems.push(`SLUICE_TRUST_FILE: cannot read ${file}: ${(error as Error).message}`);
    return null;
  }
  const read = readTrust(document);
  if (read.ok) return read.trust;
  for (const problem of read.problems) problems.push(`SLUICE_TRUST_FILE: ${file}: ${problem}`);
  return null;
}

// ── webhooks and channels ───────────────────────────────────────────────────────────────────────────────────────────

const listed = (text: string | null): string[] => (text ?? '').split(',').flatMap((part) => part.trim() || []);

function webhooksOf(get: Reader, problems: string[]): Config['webhooks'] {
  const secrets = listed(get.text('SLUICE_WEBHOOK_SECRETS'));
  if (!secrets.every(isWebhookSecret))
    problems.push(
      'SLUICE_WEBHOOK_SECRETS: wanted whsec_ and 24 to 64 bytes in base64; several are separated by commas',
    );
  const { wrong, ...allowed } = parseAllowed(listed(get.text('SLUICE_WEBHOOK_ALLOW')));
  for (const entry of wrong)
    problems.push(
      `SLUICE_WEBHOOK_ALLOW: wanted ranges like 10.20.0.0/16 and names like .svc.cluster.local; found ${JSON.stringify(entry)}`,
    );
  return { secrets, allowed };
}

/** Names of channels that are not configured here. */
const TAKEN = ['slack', 'traces', 'after'];

const channelsFile = z.strictObject({
  channels: z
    .record(z.string(), z.looseObject({ kind: z.string().min(1), default: z.boolean().default(true) }))
    .superRefine((channels, ctx) => {
      for (const name of Object.keys(channels)) {
        const message = TAKEN.includes(name)
          ? 'this name is taken'
          : NAMESPACE.test(name)
            ? null
            : 'wanted a name of a-z, 0-9 and "-"';
        if (message !== null) ctx.addIssue({ code: 'custom', path: [name], message });
      }
    }),
});

type ReadChannel = ChannelConfig & { readonly secrets: readonly string[] };

function channelsOf(env: Env, get: Reader, problems: string[], used: Set<string>): readonly ReadChannel[] {
  const file = get.text('SLUICE_CHANNELS_FILE');
  if (file === null) return [];
  const say = (what: string): void => void problems.push(`SLUICE_CHANNELS_FILE: ${file}: ${what}`);
  let document: unknown;
  try {
    document = parse(readFileSync(file, 'utf8'));
  } catch (error) {
    say(`cannot be read: ${(error as Error).message}`);
    return [];
  }
  const parsed = channelsFile.safeParse(document);
  if (!parsed.success) {
    for (const issue of parsed.error.issues) say(`/${issue.path.join('/')}: ${issue.message}`);
    return [];
  }
  return Object.entries(parsed.data.channels).map(([name, { kind, default: usual, ...written }]) => {
    const secrets: string[] = [];
    const secretOf = (variable: unknown): string => {
      const value = secretIn(env, String(variable), used);
      if (value === null) say(`/channels/${name} names the variable ${String(variable)}, which is not set`);
      else secrets.push(value);
      return value ?? '';
    };
    const settings = Object.entries(written).map(([field, value]): [string, unknown] => {
      if (!field.endsWith('From')) return [field, value];
      return [field.slice(0, -'From'.length), Array.isArray(value) ? value.map(secretOf) : secretOf(value)];
    });
    return { name, kind, usual, settings: Object.fromEntries(settings), secrets };
  });
}

/** `NAME`, or the content of the file that `NAME_FILE` names; null: neither is there. */
function secretIn(env: Env, name: string, used: Set<string>): string | null {
  used.add(name);
  used.add(`${name}_FILE`);
  const file = given(env[`${name}_FILE`]);
  if (file === null) return given(env[name]);
  try {
    return given(readFileSync(file, 'utf8').trim());
  } catch {
    return null;
  }
}

// ── traces of our own ───────────────────────────────────────────────────────────────────────────────────────────────

const TRACE_CONTEXTS = [...TRACE_PROPAGATORS, 'baggage', 'none'] as const;
const RATIO_SAMPLERS: readonly string[] = ['traceidratio', 'parentbased_traceidratio'];

/** Operators inject these names into every pod: where no traces are made, the others are nobody's mistake. */
function tracingOf(get: Reader, problems: string[]): TracingConfig | null {
  const endpoint = get.url('OTEL_EXPORTER_OTLP_ENDPOINT', HTTP);
  const headers = get.assignments('OTEL_EXPORTER_OTLP_HEADERS') ?? {};
  if (endpoint === null || get.text('OTEL_SDK_DISABLED')?.toLowerCase() === 'true') return null;
  if (new URL(endpoint).username !== '')
    problems.push(
      'OTEL_EXPORTER_OTLP_ENDPOINT: wanted an address without user and password; OTEL_EXPORTER_OTLP_HEADERS may carry them',
    );
  get.oneOf('OTEL_EXPORTER_OTLP_PROTOCOL', ['http/protobuf']);
  const named = get.text('OTEL_SERVICE_NAME');
  const resource = {
    'service.name': 'sluice',
    ...get.assignments('OTEL_RESOURCE_ATTRIBUTES'),
    ...(named === null ? {} : { 'service.name': named }),
  };
  const name = get.oneOf('OTEL_TRACES_SAMPLER', TRACE_SAMPLERS) ?? 'parentbased_always_on';
  const ratio = get.ratio('OTEL_TRACES_SAMPLER_ARG');
  if (ratio !== null && !RATIO_SAMPLERS.includes(name))
    problems.push(
      `OTEL_TRACES_SAMPLER_ARG: has no effect with the sampler ${name}; wanted one of ${RATIO_SAMPLERS.join(', ')}`,
    );
  const contexts = get.listOf('OTEL_PROPAGATORS', TRACE_CONTEXTS) ?? ['tracecontext'];
  if (contexts.includes('none') && contexts.length > 1)
    problems.push('OTEL_PROPAGATORS: wanted none alone, or others without it');
  const propagators = TRACE_PROPAGATORS.filter((known) => contexts.includes(known));
  return { endpoint, headers, resource, sampler: { name, ratio: ratio ?? 1 }, propagators };
}

// ── Slack, secrets ──────────────────────────────────────────────────────────────────────────────────────────────────

function slackOf(get: Reader, problems: string[]): Config['slack'] {
  const signing = get.text('SLACK_SIGNING_SECRET');
  const appToken = get.text('SLACK_APP_TOKEN');
  const token = get.text('SLACK_BOT_TOKEN');
  const channel = get.text('SLACK_CHANNEL');
  if ([signing, appToken, token, channel].every((part) => part === null)) return null;
  const parts = {
    'SLACK_SIGNING_SECRET or SLACK_APP_TOKEN': signing ?? appToken,
    SLACK_BOT_TOKEN: token,
    SLACK_CHANNEL: channel,
  };
  for (const [name, value] of Object.entries(parts))
    if (value === null) problems.push(`${name}: wanted, because Slack is set up in part; found nothing`);
  if (appToken !== null && !appToken.startsWith('xapp-'))
    problems.push(
      'SLACK_APP_TOKEN: wanted an app-level token with the scope connections:write, which begins with xapp-',
    );
  return {
    signingSecrets: listed(signing),
    appToken,
    token: token ?? '',
    channel: channel ?? '',
    apiUrl: get.url('SLACK_API_URL', ['http:', 'https:']),
  };
}

function secretsOf(config: Config, ofChannels: readonly string[]): readonly string[] {
  const auth = config.clusters.flatMap(({ prometheus: p }) =>
    p === null ? [] : [...passwordsIn(p.url), ...authSecrets(p.auth)],
  );
  const links = config.clusters.flatMap(({ kiali, jaeger, grafana }) => [
    ...(kiali === undefined ? [] : [...passwordsIn(kiali.url), ...(kiali.token === null ? [] : [kiali.token])]),
    ...(jaeger === undefined ? [] : [...passwordsIn(jaeger.url), ...authSecrets(jaeger.auth)]),
    ...(grafana === undefined ? [] : passwordsIn(grafana.url)),
  ]);
  const slack =
    config.slack === null ? [] : [...config.slack.signingSecrets, ...listed(config.slack.appToken), config.slack.token];
  const collector = config.tracing === null ? [] : Object.values(config.tracing.headers).flatMap(spokenOf);
  const session = [config.sessionKey, config.oidcClientSecret].filter((secret) => secret !== null);
  const all = [
    ...passwordsIn(config.databaseUrl),
    ...passwordsIn(config.databaseOwnerUrl),
    ...passwordsIn(config.redisUrl),
    ...auth,
    ...links,
    ...slack,
    ...collector,
    ...session,
    ...ofChannels,
    ...config.webhooks.secrets,
  ];
  return [...new Set(all)].filter((secret) => secret.length >= 4);
}

function authSecrets(auth: PrometheusAuth): readonly string[] {
  if (auth === null) return [];
  if (auth.kind !== 'basic') return [auth.kind === 'bearer' ? auth.token : auth.value];
  return [auth.password, Buffer.from(`${auth.username}:${auth.password}`).toString('base64')];
}

/** A header's value, and what follows its scheme ("Bearer ..."). */
const spokenOf = (value: string): readonly string[] => [value, value.slice(value.indexOf(' ') + 1)];

/** As it stands in the URL, and as it is sent. */
function passwordsIn(url: string | null): readonly string[] {
  if (url === null) return [];
  const { password } = new URL(url);
  try {
    return [password, decodeURIComponent(password)];
  } catch {
    return [password]; // a stray %: drivers take it as it stands
  }
}
