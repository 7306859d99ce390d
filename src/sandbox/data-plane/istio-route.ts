/** VirtualService and DestinationRule as Istio's proxies read them: list order, first match, weight / sum. */
import type { KubeObject } from '../../adapters/kubernetes/kube.ts';
import type { WrittenEdits } from './header-edits.ts';
import { headerEdits } from './header-edits.ts';
import type { Asked, Destination, Fault, Mirror, Retries, RouteObject, Rule, Weighted } from './routing.ts';
import { fqdn, milliseconds, UnsupportedRoute, wholeMatch } from './routing.ts';

interface StringMatch {
  readonly exact?: string;
  readonly prefix?: string;
  readonly regex?: string;
}

interface Match {
  readonly name?: string;
  readonly uri?: StringMatch;
  readonly method?: StringMatch;
  readonly authority?: StringMatch;
  readonly headers?: Readonly<Record<string, StringMatch>>;
  readonly withoutHeaders?: Readonly<Record<string, StringMatch>>;
  readonly queryParams?: Readonly<Record<string, StringMatch>>;
  readonly gateways?: readonly string[];
  readonly ignoreUriCase?: boolean;
}

interface Target {
  readonly host: string;
  readonly subset?: string;
}

interface Percent {
  readonly value?: number;
}

interface HttpRoute {
  readonly name?: string;
  readonly match?: readonly Match[];
  readonly route?: readonly {
    readonly destination: Target;
    readonly weight?: number;
    readonly headers?: WrittenEdits;
  }[];
  readonly headers?: WrittenEdits;
  readonly mirror?: Target;
  readonly mirrorPercentage?: Percent;
  readonly mirrorPercent?: number;
  readonly mirrors?: readonly { readonly destination: Target; readonly percentage?: Percent }[];
  readonly fault?: {
    readonly delay?: { readonly fixedDelay?: string; readonly percentage?: Percent; readonly percent?: number };
    readonly abort?: { readonly httpStatus?: number; readonly percentage?: Percent };
  };
  readonly timeout?: string;
  readonly retries?: { readonly attempts?: number; readonly perTryTimeout?: string; readonly retryOn?: string };
}

interface Spec {
  readonly hosts?: readonly string[];
  readonly gateways?: readonly string[];
  readonly http?: readonly HttpRoute[];
}

const MATCH_FIELDS = new Set([
  'name',
  'uri',
  'method',
  'authority',
  'headers',
  'withoutHeaders',
  'queryParams',
  'gateways',
  'ignoreUriCase',
]);
const RULE_FIELDS = new Set([
  'name',
  'match',
  'route',
  'timeout',
  'retries',
  'headers',
  'mirror',
  'mirrorPercentage',
  'mirrorPercent',
  'mirrors',
  'fault',
]);
const DELAY_FIELDS = new Set(['fixedDelay', 'percentage', 'percent']);
const ABORT_FIELDS = new Set(['httpStatus', 'percentage']);
/** The proxies of the callers, as opposed to those of an ingress gateway. */
const SIDECARS = 'mesh';

export const objectOf = (kube: KubeObject): RouteObject => ({
  group: kube.apiVersion.split('/')[0] ?? '',
  kind: kube.kind,
  namespace: kube.metadata.namespace ?? 'default',
  name: kube.metadata.name,
});

/** A name without a dot is short for a Service of the object's namespace; anything with a dot is taken as it stands. */
export const expand = (host: string, namespace: string): string => (host.includes('.') ? host : fqdn(host, namespace));

/** Does the object speak to callers' proxies about `host` (a full name, or one outside the cluster)? */
export function speaksOf(virtualService: KubeObject, host: string): boolean {
  const { hosts = [], gateways = [SIDECARS] } = (virtualService.spec ?? {}) as Spec;
  const { namespace } = objectOf(virtualService);
  return gateways.includes(SIDECARS) && hosts.some((name) => expand(name, namespace) === host);
}

/** Throws UnsupportedRoute. */
export function istioRules(virtualService: KubeObject): readonly Rule[] {
  const object = objectOf(virtualService);
  const { http = [] } = (virtualService.spec ?? {}) as Spec;
  return http.map((route, index) => {
    onlyKnown(object, `http[${index}]`, route, RULE_FIELDS);
    const matches = (route.match ?? []).map((match, at) => matcher(object, `http[${index}].match[${at}]`, match));
    return {
      object,
      name: route.name === undefined ? `rule ${index + 1}` : `route ${route.name}`,
      matches: (asked: Asked) => matches.length === 0 || matches.some((match) => match(asked)),
      backends: backends(object, `http[${index}]`, route),
      timeout: route.timeout === undefined ? null : milliseconds(route.timeout),
      retries: retries(route),
      headers: headerEdits(route.headers),
      mirrors: mirrors(object, route),
      fault: fault(object, `http[${index}].fault`, route.fault),
    };
  });
}

function onlyKnown(object: RouteObject, where: string, value: object, known: ReadonlySet<string>): void {
  const unknown = Object.keys(value).find((field) => !known.has(field));
  if (unknown !== undefined) throw new UnsupportedRoute(object, `${where}.${unknown}`);
}

function backends(object: RouteObject, where: string, route: HttpRoute): readonly Weighted[] {
  const routes = route.route ?? [];
  if (routes.length === 0) throw new UnsupportedRoute(object, `${where} without destinations`);
  const [only] = routes;
  const shares = routes.map(({ destination, weight = 0, headers }) => ({
    destination: targetOf(object, destination),
    weight,
    headers: headerEdits(headers),
  }));
  if (only !== undefined && routes.length === 1) return shares.map((share) => ({ ...share, weight: 1 }));
  const used = shares.filter(({ weight }) => weight > 0);
  if (used.length === 0) throw new UnsupportedRoute(object, `${where} with a total weight of 0`);
  return used;
}

function targetOf(object: RouteObject, { host, subset }: Target): Destination {
  const [service = host, namespace = object.namespace] = host.split('.');
  return { service, namespace, subset: subset ?? null };
}

/** Without a percentage, every request is mirrored. */
function mirrors(object: RouteObject, route: HttpRoute): readonly Mirror[] {
  const one = route.mirror;
  const alone = route.mirrorPercentage?.value ?? route.mirrorPercent ?? 100;
  return [
    ...(one === undefined ? [] : [{ destination: targetOf(object, one), share: alone / 100 }]),
    ...(route.mirrors ?? []).map(({ destination, percentage }) => ({
      destination: targetOf(object, destination),
      share: (percentage === undefined ? 100 : (percentage.value ?? 0)) / 100,
    })),
  ];
}

/** Without a percentage, no request is hit. */
function fault(object: RouteObject, where: string, written: HttpRoute['fault']): Fault | null {
  if (written === undefined) return null;
  const { delay, abort } = written;
  if (delay !== undefined) onlyKnown(object, `${where}.delay`, delay, DELAY_FIELDS);
  if (abort !== undefined) onlyKnown(object, `${where}.abort`, abort, ABORT_FIELDS);
  const fixed = delay?.fixedDelay === undefined ? null : milliseconds(delay.fixedDelay);
  return {
    delay: fixed === null ? null : { share: (delay?.percentage?.value ?? delay?.percent ?? 0) / 100, fixed },
    abort:
      abort?.httpStatus === undefined
        ? null
        : { share: (abort.percentage?.value ?? 0) / 100, status: abort.httpStatus },
  };
}

function retries({ retries: wanted }: HttpRoute): Retries | null {
  if (wanted === undefined || (wanted.attempts ?? 0) === 0) return null;
  return {
    attempts: wanted.attempts ?? 0,
    perTryTimeout: wanted.perTryTimeout === undefined ? null : milliseconds(wanted.perTryTimeout),
    on: new Set((wanted.retryOn ?? 'connect-failure,refused-stream').split(',').map((token) => token.trim())),
  };
}

type Test = (value: string | undefined) => boolean;

function test(match: StringMatch, ignoreCase = false): Test {
  const fold = (text: string) => (ignoreCase ? text.toLowerCase() : text);
  const { exact, prefix, regex } = match;
  if (exact !== undefined) return (value) => value !== undefined && fold(value) === fold(exact);
  if (prefix !== undefined) return (value) => value !== undefined && fold(value).startsWith(fold(prefix));
  if (regex !== undefined) {
    const pattern = wholeMatch(regex);
    return (value) => value !== undefined && pattern.test(value);
  }
  return (value) => value !== undefined;
}

const named = (tests: Readonly<Record<string, StringMatch>> | undefined): readonly (readonly [string, Test])[] =>
  Object.entries(tests ?? {}).map(([name, match]) => [name.toLowerCase(), test(match)] as const);

function matcher(object: RouteObject, where: string, match: Match): (asked: Asked) => boolean {
  onlyKnown(object, where, match, MATCH_FIELDS);
  const uri = match.uri === undefined ? null : test(match.uri, match.ignoreUriCase);
  const method = match.method === undefined ? null : test(match.method);
  const authority = match.authority === undefined ? null : test(match.authority);
  const headers = named(match.headers);
  const without = named(match.withoutHeaders);
  const query = Object.entries(match.queryParams ?? {}).map(([name, wanted]) => [name, test(wanted)] as const);
  const forSidecars = match.gateways === undefined || match.gateways.includes(SIDECARS);
  return (asked) =>
    forSidecars &&
    (uri?.(asked.path) ?? true) &&
    (method?.(asked.method) ?? true) &&
    (authority?.(asked.host) ?? true) &&
    headers.every(([name, is]) => is(asked.headers[name])) &&
    !without.some(([name, is]) => is(asked.headers[name])) &&
    query.every(([name, is]) => is(asked.query.get(name) ?? undefined));
}

/** Labels of a subset, from the oldest DestinationRule of the host that defines it; null: none does. */
export function subsetLabels(
  destinationRules: readonly KubeObject[],
  destination: Destination,
): Readonly<Record<string, string>> | null {
  const host = fqdn(destination.service, destination.namespace);
  for (const object of destinationRules) {
    const spec = (object.spec ?? {}) as {
      host?: string;
      subsets?: { name: string; labels?: Record<string, string> }[];
    };
    if (expand(spec.host ?? '', object.metadata.namespace ?? 'default') !== host) continue;
    const subset = spec.subsets?.find(({ name }) => name === destination.subset);
    if (subset !== undefined) return subset.labels ?? {};
  }
  return null;
}
