/** HTTPRoute of gateway.networking.k8s.io and policy.linkerd.io: the most specific match wins, whatever the list order. */
import type { KubeObject } from '../../adapters/kubernetes/kube.ts';
import { objectOf } from './istio-route.ts';
import type { Asked, Destination, Mirror, RouteObject, Rule, Weighted } from './routing.ts';
import { elementPrefix, milliseconds, PLAIN, UnsupportedRoute, wholeMatch } from './routing.ts';

interface ValueMatch {
  readonly type?: 'Exact' | 'RegularExpression';
  readonly name: string;
  readonly value: string;
}

interface Match {
  readonly path?: { readonly type?: 'Exact' | 'PathPrefix' | 'RegularExpression'; readonly value?: string };
  readonly method?: string;
  readonly headers?: readonly ValueMatch[];
  readonly queryParams?: readonly ValueMatch[];
}

interface BackendRef {
  readonly group?: string;
  readonly kind?: string;
  readonly name: string;
  readonly namespace?: string;
  readonly port?: number;
  readonly weight?: number;
}

interface Filter {
  readonly type: string;
  readonly requestMirror?: {
    readonly backendRef: BackendRef;
    readonly percent?: number;
    readonly fraction?: { readonly numerator: number; readonly denominator?: number };
  };
}

interface HttpRouteRule {
  readonly name?: string;
  readonly matches?: readonly Match[];
  readonly filters?: readonly Filter[];
  readonly backendRefs?: readonly BackendRef[];
  readonly timeouts?: { readonly request?: string };
}

interface Spec {
  readonly parentRefs?: readonly { kind?: string; name: string; namespace?: string }[];
  readonly rules?: readonly HttpRouteRule[];
}

const RULE_FIELDS = new Set(['name', 'matches', 'filters', 'backendRefs', 'timeouts']);

export const isRouteOf = (httpRoute: KubeObject, service: string, namespace: string): boolean =>
  ((httpRoute.spec ?? {}) as Spec).parentRefs?.some(
    (parent) =>
      parent.kind === 'Service' &&
      parent.name === service &&
      (parent.namespace ?? httpRoute.metadata.namespace ?? 'default') === namespace,
  ) ?? false;

/** Linkerd's policy controller takes no route with such a filter. Throws UnsupportedRoute. */
export function refuseMirrors(httpRoute: KubeObject): void {
  const { rules = [] } = (httpRoute.spec ?? {}) as Spec;
  if (rules.some(({ filters = [] }) => filters.some(({ type }) => type === 'RequestMirror')))
    throw new UnsupportedRoute(objectOf(httpRoute), 'the filter RequestMirror for Linkerd, which refuses it');
}

interface Ranked extends Rule {
  /** Compared from left to right, the larger one first. */
  readonly rank: readonly number[];
}

/**
 * Rules of all routes of one Service, most specific first: exact path, longest path prefix, method, number of headers,
 * number of query parameters; then the older object, its name, its order. Throws UnsupportedRoute.
 */
export function httpRouteRules(httpRoutes: readonly KubeObject[]): readonly Rule[] {
  const oldestFirst = httpRoutes.toSorted(
    (a, b) =>
      (a.metadata.creationTimestamp ?? '').localeCompare(b.metadata.creationTimestamp ?? '') ||
      a.metadata.name.localeCompare(b.metadata.name),
  );
  return oldestFirst.flatMap(rankedRules).toSorted(byRank);
}

function byRank(a: Ranked, b: Ranked): number {
  const at = a.rank.findIndex((value, index) => value !== b.rank[index]);
  return at === -1 ? 0 : (b.rank[at] ?? 0) - (a.rank[at] ?? 0);
}

function rankedRules(httpRoute: KubeObject): readonly Ranked[] {
  const object = objectOf(httpRoute);
  const { rules = [] } = (httpRoute.spec ?? {}) as Spec;
  return rules.flatMap((rule, index) => {
    const unknown = Object.keys(rule).find((field) => !RULE_FIELDS.has(field));
    if (unknown !== undefined) throw new UnsupportedRoute(object, `rules[${index}].${unknown}`);
    // A rule without matches is one that matches every path.
    const matches = rule.matches === undefined || rule.matches.length === 0 ? [{}] : rule.matches;
    return matches.map((match: Match) => ({
      ...PLAIN,
      object,
      name: rule.name === undefined ? `rule ${index + 1}` : `rule ${rule.name}`,
      matches: (asked: Asked) => fits(match, asked),
      rank: rankOf(match),
      backends: backends(object, rule.backendRefs ?? []),
      mirrors: (rule.filters ?? []).map((filter) => mirror(object, filter)),
      timeout: rule.timeouts?.request === undefined ? null : milliseconds(rule.timeouts.request),
    }));
  });
}

function rankOf({ path, method, headers = [], queryParams = [] }: Match): readonly number[] {
  const { type = 'PathPrefix', value = '/' } = path ?? {};
  return [
    type === 'Exact' ? 1 : 0,
    type === 'PathPrefix' ? value.length : 0,
    method === undefined ? 0 : 1,
    headers.length,
    queryParams.length,
  ];
}

function fits({ path, method, headers = [], queryParams = [] }: Match, asked: Asked): boolean {
  return (
    pathFits(path, asked.path) &&
    (method === undefined || method === asked.method) &&
    headers.every((header) => valueFits(header, asked.headers[header.name.toLowerCase()])) &&
    queryParams.every((parameter) => valueFits(parameter, asked.query.get(parameter.name) ?? undefined))
  );
}

function pathFits(wanted: Match['path'], path: string): boolean {
  const { type = 'PathPrefix', value = '/' } = wanted ?? {};
  if (type === 'Exact') return path === value;
  return type === 'PathPrefix' ? elementPrefix(path, value) : wholeMatch(value).test(path);
}

const valueFits = ({ type = 'Exact', value }: ValueMatch, found: string | undefined): boolean =>
  found !== undefined && (type === 'Exact' ? found === value : wholeMatch(value).test(found));

const backends = (object: RouteObject, refs: readonly BackendRef[]): readonly Weighted[] =>
  refs
    .map((ref) => ({ destination: destinationOf(object, ref), weight: ref.weight ?? 1, headers: null }))
    .filter(({ weight }) => weight > 0);

function destinationOf(object: RouteObject, { kind = 'Service', name, namespace }: BackendRef): Destination {
  if (kind !== 'Service') throw new UnsupportedRoute(object, `a backend of kind ${kind}`);
  return { service: name, namespace: namespace ?? object.namespace, subset: null };
}

/** Without a part of the requests it is all of them. */
function mirror(object: RouteObject, { type, requestMirror }: Filter): Mirror {
  if (type !== 'RequestMirror' || requestMirror === undefined) throw new UnsupportedRoute(object, `the filter ${type}`);
  const { backendRef, percent = 100, fraction } = requestMirror;
  const share = fraction === undefined ? percent / 100 : fraction.numerator / (fraction.denominator ?? 100);
  return { destination: destinationOf(object, backendRef), share };
}
