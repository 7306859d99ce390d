/** AuthorizationPolicy of Istio, as a pod's proxy applies it: any DENY that matches, then, where there is any ALLOW, one that does. */
import type { KubeObject } from '../../adapters/kubernetes/kube.ts';
import type { Endpoint } from './endpoints.ts';
import { objectOf } from './istio-route.ts';
import { ROOT_NAMESPACE, selects } from './peer-authentication.ts';
import type { Asked, RouteObject } from './routing.ts';
import { UnsupportedRoute } from './routing.ts';

/** Who calls, by their certificate; null: nobody that could be known (plaintext). */
export type Identity = { readonly namespace: string; readonly serviceAccount: string } | null;

interface Source {
  readonly [field: string]: readonly string[] | undefined;
}

interface Written {
  readonly from?: readonly { readonly source?: Source }[];
  readonly to?: readonly { readonly operation?: Source }[];
  readonly when?: readonly {
    readonly key: string;
    readonly values?: readonly string[];
    readonly notValues?: readonly string[];
  }[];
}

interface Spec {
  readonly action?: 'ALLOW' | 'DENY' | 'AUDIT' | 'CUSTOM';
  readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> };
  readonly targetRef?: unknown;
  readonly targetRefs?: unknown;
  readonly rules?: readonly Written[];
}

type Pod = Pick<Endpoint, 'namespace' | 'labels' | 'port'>;
type Rule = (identity: Identity, asked: Asked, pod: Pod) => boolean;

export interface Policy {
  readonly object: RouteObject;
  readonly deny: boolean;
  readonly covers: (pod: Pod) => boolean;
  readonly rules: readonly Rule[];
}

/** AUDIT only logs, and is left out. Throws UnsupportedRoute. */
export function compilePolicies(objects: readonly KubeObject[]): readonly Policy[] {
  return objects.flatMap((kube) => {
    const object = objectOf(kube);
    const { action = 'ALLOW', selector, targetRef, targetRefs, rules = [] } = (kube.spec ?? {}) as Spec;
    if (action === 'CUSTOM') throw new UnsupportedRoute(object, 'action CUSTOM');
    if (targetRef !== undefined || targetRefs !== undefined) throw new UnsupportedRoute(object, 'targetRefs');
    if (action === 'AUDIT') return [];
    const labels = selector?.matchLabels ?? {};
    return [
      {
        object,
        deny: action === 'DENY',
        covers: (pod: Pod) =>
          (object.namespace === pod.namespace || object.namespace === ROOT_NAMESPACE) && selects(labels, pod.labels),
        rules: rules.map((rule, i) => compileRule(object, `rules[${i}]`, rule)),
      },
    ];
  });
}

/** The policy that denies, or `none` where no ALLOW does allow; null: allowed. */
export function deniedBy(policies: readonly Policy[], identity: Identity, asked: Asked, pod: Pod): string | null {
  const own = policies.filter(({ covers }) => covers(pod));
  const hit = ({ rules }: Policy): boolean => rules.some((rule) => rule(identity, asked, pod));
  const denying = own.find((policy) => policy.deny && hit(policy));
  if (denying !== undefined) return `${denying.object.namespace}/${denying.object.name}`;
  const allowing = own.filter(({ deny }) => !deny);
  return allowing.length === 0 || allowing.some(hit) ? null : 'none';
}

/** "*", "prefix*", "*suffix", or the whole value. An absent value matches nothing, not even "*". */
function like(patterns: readonly string[], value: string | null): boolean {
  if (value === null) return false;
  return patterns.some((pattern) => {
    if (pattern === '*') return value !== '';
    if (pattern.endsWith('*')) return value.startsWith(pattern.slice(0, -1));
    return pattern.startsWith('*') ? value.endsWith(pattern.slice(1)) : value === pattern;
  });
}

type Value = (identity: Identity, asked: Asked, pod: Pod) => string | null;

const principalOf: Value = (identity) =>
  identity === null ? null : `cluster.local/ns/${identity.namespace}/sa/${identity.serviceAccount}`;
const namespaceOf: Value = (identity) => identity?.namespace ?? null;

const SOURCES: Readonly<Record<string, Value>> = {
  principals: principalOf,
  namespaces: namespaceOf,
  serviceAccounts: (identity) => (identity === null ? null : `${identity.namespace}/${identity.serviceAccount}`),
};
const OPERATIONS: Readonly<Record<string, Value>> = {
  methods: (_, asked) => asked.method,
  paths: (_, asked) => asked.path,
  hosts: (_, asked) => asked.host,
  ports: (_, __, pod) => String(pod.port),
};

const HEADER = /^request\.headers\[(.+)\]$/;

function keyed(key: string): Value | null {
  if (key === 'source.principal') return principalOf;
  if (key === 'source.namespace') return namespaceOf;
  const name = HEADER.exec(key)?.[1]?.toLowerCase();
  return name === undefined ? null : (_, asked) => asked.headers[name] ?? null;
}

/** A rule without a part is not held back by it. */
function compileRule(object: RouteObject, where: string, { from, to, when = [] }: Written): Rule {
  const sources = from?.map(({ source = {} }) => fields(object, `${where}.from.source`, source, SOURCES));
  const operations = to?.map(({ operation = {} }) => fields(object, `${where}.to.operation`, operation, OPERATIONS));
  const conditions = when.map(({ key, values, notValues }) => {
    const value = keyed(key);
    if (value === null) throw new UnsupportedRoute(object, `${where}.when.key ${key}`);
    return both(value, values, notValues);
  });
  return (identity, asked, pod) =>
    (sources?.some((source) => source(identity, asked, pod)) ?? true) &&
    (operations?.some((operation) => operation(identity, asked, pod)) ?? true) &&
    conditions.every((condition) => condition(identity, asked, pod));
}

const both =
  (value: Value, wanted: readonly string[] | undefined, unwanted: readonly string[] | undefined): Rule =>
  (...about) => {
    const found = value(...about);
    return (wanted === undefined || like(wanted, found)) && (unwanted === undefined || !like(unwanted, found));
  };

/** All fields of one source or operation must hold. */
function fields(object: RouteObject, where: string, written: Source, known: Readonly<Record<string, Value>>): Rule {
  const plain = (name: string) => name.replace(/^not(.)/, (_, letter: string) => letter.toLowerCase());
  const tests = Object.entries(written).map(([name, patterns = []]) => {
    const value = known[plain(name)];
    if (value === undefined) throw new UnsupportedRoute(object, `${where}.${name}`);
    return plain(name) === name ? both(value, patterns, undefined) : both(value, undefined, patterns);
  });
  return (...about) => tests.every((test) => test(...about));
}
