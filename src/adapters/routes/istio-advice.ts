/** What stands around a VirtualService and would make a canary go wrong in silence. Pure functions over listed objects. */
import type { Advice } from '../../app/ports.ts';
import type { CheckResult } from '../inspect/check.ts';
import type { KubeObject } from '../kubernetes/kube.ts';
import { fail, warn } from './advice.ts';
import { coversHost, expandHost } from './hosts.ts';
import { isRecord, listAt, numberAt, recordAt, textAt } from './json.ts';
import type { Naming } from './refusals.ts';
import { ruleWords } from './refusals.ts';
import type { MovedRule } from './split.ts';

const advise = (check: string, level: Advice['level'], message: string): Advice => ({ check, level, message });

const texts = (value: readonly unknown[]): readonly string[] => value.filter((v): v is string => typeof v === 'string');

const namespaceOf = (object: KubeObject): string => object.metadata.namespace ?? 'default';
const nameOf = (object: KubeObject): string => `${namespaceOf(object)}/${object.metadata.name}`;

/** Full names of the hosts that a VirtualService speaks for. A delegate has none. */
export const hostsOf = (object: KubeObject): readonly string[] =>
  texts(listAt(object.spec, 'hosts')).map((host) => (host === '*' ? host : expandHost(host, namespaceOf(object))));

/** Is it in force for callers inside the mesh? Without `gateways` it is for nobody else. */
export const isOnMesh = (object: KubeObject): boolean => {
  const gateways = texts(listAt(object.spec, 'gateways'));
  return gateways.length === 0 || gateways.includes('mesh');
};

export const isExportedToAll = (object: KubeObject): boolean => {
  const exportTo = texts(listAt(object.spec, 'exportTo'));
  return exportTo.length === 0 || exportTo.includes('*');
};

/** Callers inside the mesh do not meet a VirtualService that is bound to gateways only. */
export function bypassed(object: KubeObject, naming: Naming): readonly Advice[] {
  if (isOnMesh(object)) return [];
  return [
    advise(
      'gateways',
      'warn',
      `${naming.object} is bound to ${texts(listAt(object.spec, 'gateways')).join(', ')} and not to the gateway "mesh": callers inside the mesh go past the split. Add "mesh" to spec.gateways if they should not`,
    ),
  ];
}

/** The first rule that matches wins, so one without a match hides those after it. */
export function unreachable(
  object: KubeObject,
  protocol: string,
  moved: readonly MovedRule[],
  naming: Naming,
): readonly CheckResult[] {
  const rules = listAt(object.spec, protocol);
  const catchAll = rules.findIndex((rule) => listAt(rule, 'match').length === 0);
  if (catchAll < 0) return [];
  return moved
    .filter(({ rule }) => rule.index > catchAll)
    .map(({ rule }) =>
      fail(
        `${ruleWords(rule)} of ${naming.object} gets no request: rule ${catchAll} before it matches everything`,
        `Move ${ruleWords(rule)} before rule ${catchAll}`,
      ),
    );
}

/** A canary that is mirrored to and weighted receives its share twice. */
export function mirroredTwice(
  object: KubeObject,
  protocol: string,
  moved: readonly MovedRule[],
  naming: Naming,
): readonly CheckResult[] {
  const rules = listAt(object.spec, protocol);
  return moved
    .filter(({ rule }) => isRecord(rules[rule.index]) && mirrors(rules[rule.index]))
    .map(({ rule }) =>
      warn(
        `${ruleWords(rule)} of ${naming.object} also mirrors requests: a mirrored-to canary gets its share of the load twice, and measures of its own proxy count both`,
        'Remove the mirror before live traffic',
      ),
    );
}

const mirrors = (rule: unknown): boolean =>
  Object.keys(recordAt(rule, 'mirror')).length > 0 || listAt(rule, 'mirrors').length > 0;

/** What a split of connections can and cannot show. */
export const connectionsOnly = (protocol: string, naming: Naming): readonly CheckResult[] => [
  warn(
    `${naming.object}: ${protocol} rules divide new connections; those that are open stay where they are, and there are no request counts to judge`,
    'Use checks of kind prometheus',
  ),
];

/** Istio does not merge VirtualServices of one host for sidecars: the oldest is in force, the others are dropped. */
export function rivals(object: KubeObject, all: readonly KubeObject[], naming: Naming): readonly CheckResult[] {
  if (!isOnMesh(object)) return [];
  const hosts = hostsOf(object);
  return all
    .filter((other) => nameOf(other) !== nameOf(object) && isOnMesh(other))
    .map((other) => ({ other, host: hostsOf(other).find((host) => hosts.includes(host)) }))
    .filter(({ host }) => host !== undefined)
    .map(({ other, host }) =>
      isOlder(other, object)
        ? fail(
            `VirtualService ${nameOf(other)} is older than ${naming.object} and claims the host ${host} too: Istio ignores ours for callers in the mesh`,
            joined(other, naming),
          )
        : warn(
            `VirtualService ${nameOf(other)} claims the host ${host} of ${naming.object} too; Istio keeps the older one, ours, and ignores the other for callers in the mesh`,
            joined(other, naming),
          ),
    );
}

const joined = (other: KubeObject, naming: Naming): string =>
  `Join the two into one object: move the rules of VirtualService ${nameOf(other)} into ${naming.object} and delete it`;

/** Istio's order: creation time, then name, then namespace. */
function isOlder(a: KubeObject, b: KubeObject): boolean {
  const [one, two] = [a, b].map((o) =>
    [o.metadata.creationTimestamp ?? '', o.metadata.name, namespaceOf(o)].join('\n'),
  );
  return (one ?? '') < (two ?? '');
}

export interface WantedSubset {
  /** Full name. */
  readonly host: string;
  readonly subset: string | undefined;
}

/** A route to a subset that no DestinationRule defines answers 503 to everybody. */
export function subsets(
  destinationRules: readonly KubeObject[],
  wanted: readonly WantedSubset[],
  naming: Naming,
): readonly Advice[] {
  const forHost = (host: string): readonly KubeObject[] =>
    destinationRules.filter((rule) => {
      const own = textAt(rule.spec, 'host');
      return own !== null && coversHost(expandHost(own, namespaceOf(rule)), host);
    });
  const missing = wanted.flatMap(({ host, subset }) => {
    if (subset === undefined) return [];
    const rules = forHost(host);
    const names = rules.flatMap((rule) => listAt(rule.spec, 'subsets').map((s) => textAt(s, 'name')));
    if (names.includes(subset)) return [];
    const found = rules.length === 0 ? 'there is no DestinationRule for it' : `found ${names.join(', ') || 'none'}`;
    return [
      advise(
        'destination-rules',
        'fail',
        `no DestinationRule defines subset ${subset} of host ${host}, to which ${naming.object} routes: ${found}. Requests for it would get 503. Add the subset first`,
      ),
    ];
  });
  const policies = [...new Set(wanted.map(({ host }) => host))].flatMap((host) => {
    const rules = forHost(host);
    return [...ignoredPolicy(host, rules), ...rules.flatMap(ejectsAll)];
  });
  return [...missing, ...policies];
}

/** DestinationRules of one host do merge, but only the first policy counts. */
function ignoredPolicy(host: string, rules: readonly KubeObject[]): readonly Advice[] {
  const withPolicy = rules.filter((rule) => Object.keys(recordAt(rule.spec, 'trafficPolicy')).length > 0);
  if (withPolicy.length < 2) return [];
  return [
    advise(
      'destination-rules',
      'warn',
      `${withPolicy.length} DestinationRules set a trafficPolicy for host ${host}: ${withPolicy.map(nameOf).join(', ')}. Istio uses only one of them. Join them into one object`,
    ),
  ];
}

/** A circuit breaker that may eject every pod turns a broken canary into a quiet one. */
function ejectsAll(rule: KubeObject): readonly Advice[] {
  const detection = recordAt(recordAt(rule.spec, 'trafficPolicy'), 'outlierDetection');
  if (numberAt(detection, 'maxEjectionPercent') !== 100) return [];
  return [
    advise(
      'circuit-breaker',
      'warn',
      `DestinationRule ${nameOf(rule)} may eject every pod (maxEjectionPercent 100): a broken canary then gets no requests instead of failing them. Keep it at 50 or below`,
    ),
  ];
}
