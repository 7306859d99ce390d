/**
 * A stub of Kiali's API in either generation: validations of objects, and health of a namespace. Kiali 2 names objects by
 * group, version and kind, Kiali 1 by a type of its own. What it says comes from its source (kiali-source.ts: the objects and
 * Prometheus of the sandbox); in place of Kiali's pages it has a table of the health.
 */
import type { ServerResponse } from 'node:http';
import { json, listenOnLoopback, page } from './loopback.ts';
import { NAMESPACE } from './seeds.ts';

export interface KialiCheck {
  readonly code: string;
  readonly severity: string;
  readonly message: string;
  readonly path: string;
}

export interface KialiRule {
  readonly name: string;
  /** spec.host */
  readonly host: string;
  readonly checks: readonly KialiCheck[];
}

export type HealthOf = 'service' | 'workload';

/** One service or workload, as Kiali's JSON has it. */
export interface KialiHealth {
  /** Requests per second by status. */
  readonly requests: { readonly inbound: { readonly http?: Readonly<Record<string, number>> } };
  readonly workloadStatus?: { readonly desiredReplicas: number; readonly availableReplicas: number };
  readonly status?: { readonly status: string };
}

export interface KialiSource {
  /** What is wrong with a VirtualService; null: there is none of that name. */
  route(namespace: string, name: string): Promise<readonly KialiCheck[] | null>;
  /** All DestinationRules of the namespace. */
  rules(namespace: string): Promise<readonly KialiRule[]>;
  /** By name. */
  health(namespace: string, of: HealthOf): Promise<Readonly<Record<string, object>>>;
}

export interface KialiOptions {
  /** Default: 2. */
  readonly generation?: 1 | 2;
  /** Wanted as `Authorization: Bearer`. Absent: anonymous. */
  readonly token?: string;
  readonly source: KialiSource;
  /** Asked before anything else; true: it has answered, or never will. */
  readonly meddle?: (asked: URL, response: ServerResponse) => boolean;
}

export interface Kiali {
  /** With the web root. */
  readonly url: string;
  stop(): Promise<void>;
}

const BASE = '/kiali';
const NAMESPACES = `${BASE}/api/namespaces`;
const RULES = 'networking.istio.io/v1, Kind=DestinationRule';
const ROUTE = { 1: /^virtualservices\/([^/]+)$/, 2: /^networking\.istio\.io\/v1\/VirtualService\/([^/]+)$/ } as const;
const LISTS = { service: 'namespaceServiceHealth', workload: 'namespaceWorkloadHealth' } as const;
const ABOUT =
  'This is no Kiali. It is the sandbox’s stub of its API: health by the last minute of the sandbox’s Prometheus, and two of Kiali’s checks of objects (KIA1101, KIA1107).';

export async function startKiali({ generation = 2, token, source, meddle }: KialiOptions): Promise<Kiali> {
  const server = await listenOnLoopback(async (asked, incoming, response) => {
    if (meddle?.(asked, response) === true) return;
    const { pathname, searchParams: query } = asked;
    if (!pathname.startsWith(`${BASE}/api/`)) return show(response, asked, source);
    if (token !== undefined && incoming.headers.authorization !== `Bearer ${token}`)
      return json(response, 401, { error: 'token' });
    const of: HealthOf = query.get('type') === 'service' ? 'service' : 'workload';
    if (generation === 2 && pathname === `${BASE}/api/clusters/health`) {
      const namespace = query.get('namespaces') ?? '';
      return json(response, 200, { [LISTS[of]]: { [namespace]: await source.health(namespace, of) } });
    }
    const [namespace = '', what = '', ...rest] = pathname.startsWith(`${NAMESPACES}/`)
      ? pathname
          .slice(NAMESPACES.length + 1)
          .split('/')
          .map(decodeURIComponent)
      : [];
    if (generation === 1 && what === 'health') return json(response, 200, await source.health(namespace, of));
    if (what !== 'istio') return json(response, 404, { error: 'not found' });
    // Without it the objects come alone.
    if (query.get('validate') !== 'true') return json(response, 200, {});
    if (rest.length === 0) return json(response, 200, listed(await source.rules(namespace), namespace, generation));
    const name = ROUTE[generation].exec(rest.join('/'))?.[1];
    const checks = name === undefined ? null : await source.route(namespace, name);
    return checks === null
      ? json(response, 404, { error: 'not found' })
      : json(response, 200, { validation: validation(checks) });
  });
  return { url: server.url + BASE, stop: server.stop };
}

const validation = (checks: readonly KialiCheck[]) => ({ valid: checks.length === 0, checks });

/** Kiali 1 lists under `destinationRules` and validates under `destinationrule`. */
function listed(rules: readonly KialiRule[], namespace: string, generation: 1 | 2): object {
  const objects = rules.map(({ name, host }) => ({ metadata: { name, namespace }, spec: { host } }));
  const byName = Object.fromEntries(rules.map(({ name, checks }) => [`${name}.${namespace}`, validation(checks)]));
  return generation === 1
    ? { destinationRules: objects, virtualServices: [], validations: { destinationrule: byName } }
    : { resources: { [RULES]: objects }, validations: { [RULES]: byName } };
}

/** Every page of Kiali that a link leads to: the health of its namespace. */
async function show(response: ServerResponse, { pathname, searchParams }: URL, source: KialiSource): Promise<void> {
  const namespace = searchParams.get('namespaces') ?? /\/namespaces\/([^/]+)/.exec(pathname)?.[1] ?? NAMESPACE;
  const [services, workloads] = await Promise.all(
    (['service', 'workload'] as const).map(async (of) => {
      const health = (await source.health(namespace, of)) as Readonly<Record<string, KialiHealth>>;
      return Object.entries(health).map(([name, one]) => [of, name, ...wordsOf(one)]);
    }),
  );
  page(response, {
    title: `a stub of Kiali: namespace ${namespace}`,
    about: ABOUT,
    columns: ['kind', 'name', 'health', 'requests/s by status', 'pods'],
    rows: [...(services ?? []), ...(workloads ?? [])],
    none: 'Nothing is known of it.',
  });
}

const wordsOf = ({ requests, workloadStatus: pods, status }: KialiHealth): readonly string[] => [
  status?.status ?? '',
  Object.entries(requests.inbound.http ?? {})
    .map(([code, rate]) => `${code}: ${rate.toFixed(2)}`)
    .join(', ') || 'none',
  pods === undefined ? '' : `${pods.availableReplicas} of ${pods.desiredReplicas}`,
];
