import type { KubeObject } from '../../kubernetes/kube.ts';
import { expandHost } from '../../routes/hosts.ts';
import { isRecord, numberAt, recordAt } from '../../routes/json.ts';
import { type CheckResult, defineCheck } from '../check.ts';
import { hasPolicy, type InForce, policyOf, rulesFor, type Setting, settingOf } from '../istio/destination-rules.ts';
import { DESTINATION_RULES, nameOf } from '../istio/objects.ts';
import { fail, pass, warn } from '../istio/results.ts';
import { istioTarget } from '../istio/route.ts';
import { type Version, versionsOf } from '../istio/workloads.ts';
import { shortHost } from '../istio/yaml.ts';
import { DEPLOYMENTS, lists } from '../kinds.ts';

/** Istio's default of consecutive5xxErrors. */
const DEFAULT_ERRORS = 5;

const OUTLIERS =
  'outlierDetection: { consecutive5xxErrors: 5, interval: 10s, baseEjectionTime: 30s, maxEjectionPercent: 50 }';
const POOL =
  'connectionPool: { tcp: { maxConnections: 100 }, http: { http1MaxPendingRequests: 100, http2MaxRequests: 1000 } }';

interface Judged {
  readonly version: Version;
  /** "subset v2 of host myapp.production.svc.cluster.local" */
  readonly words: string;
  readonly inForce: InForce;
  readonly subset: string | null;
}

function absent({ version, words, inForce }: Judged, group: string, lines: string, why: string): CheckResult {
  const [first] = inForce.rules;
  const object = first === undefined ? null : nameOf(first);
  return warn(
    `${words} (${version.role}) has no ${group}: ${object === null ? 'no DestinationRule is in force for it' : `DestinationRule ${object} has it neither in spec.trafficPolicy nor in the subset`}. ${why}`,
    { role: version.role, object, field: `spec.trafficPolicy.${group}` },
    `Add to spec.trafficPolicy of DestinationRule ${object ?? `for host ${shortHost(inForce.host)}`}:\n  ${lines}`,
  );
}

/** A number as Istio has it: plain, or wrapped in an object by some writers. */
const numberIn = (value: unknown, field: string): number | null => {
  const found = numberAt(value, field);
  return found ?? numberAt(recordAt(value, field), 'value');
};

function ejections(judged: Judged): readonly CheckResult[] {
  const found = settingOf(judged.inForce, judged.subset, 'outlierDetection');
  if (found === null)
    return [
      absent(
        judged,
        'outlierDetection',
        OUTLIERS,
        'A pod that fails stays in the rotation, and its callers fail with it',
      ),
    ];
  const { value, rule, field } = found;
  const errors = numberIn(value, 'consecutive5xxErrors');
  const gateway = numberIn(value, 'consecutiveGatewayErrors');
  const never = (errors ?? DEFAULT_ERRORS) < 1 && (gateway ?? 0) < 1;
  const evidence = {
    role: judged.version.role,
    object: nameOf(rule),
    field,
    consecutive5xxErrors: errors ?? DEFAULT_ERRORS,
  };
  return [
    ...(never
      ? [
          warn(
            `DestinationRule ${nameOf(rule)} has ${field}.consecutive5xxErrors ${errors}, which switches it off, for ${judged.words}: no pod is ever ejected`,
            evidence,
            `Set ${field}.consecutive5xxErrors: ${DEFAULT_ERRORS}, or any number of 1 or more`,
          ),
        ]
      : []),
    ...(isRecord(value) && value['consecutiveErrors'] !== undefined
      ? [
          warn(
            `DestinationRule ${nameOf(rule)} sets ${field}.consecutiveErrors, which Istio no longer has`,
            { ...evidence, field: `${field}.consecutiveErrors` },
            `Rename it to ${field}.consecutive5xxErrors`,
          ),
        ]
      : []),
    ...ejectsAll(found, judged.version, judged.words, ''),
  ];
}

/** With every pod ejected, requests reach nobody: the canary's own figures go quiet instead of bad. */
function ejectsAll(
  { value, rule, field }: Setting,
  version: Version,
  words: string,
  unless: string,
): readonly CheckResult[] {
  const most = numberIn(value, 'maxEjectionPercent');
  if (most === null || most < 100) return [];
  const least = numberIn(value, 'minHealthPercent') ?? 0;
  const health =
    least > 0
      ? `minHealthPercent ${least} stops that where fewer than ${least} % of the pods are left`
      : 'minHealthPercent 0 lets it go on to the last pod';
  return [
    warn(
      `DestinationRule ${nameOf(rule)} has ${field}.maxEjectionPercent ${most} for ${words}, which has ${version.replicas} ${version.replicas === 1 ? 'pod' : 'pods'}: when all of them fail all are ejected, and ${health}. Callers then get 503 without any pod being asked (UH), and the version's own metrics go quiet instead of showing errors${unless}`,
      {
        role: version.role,
        object: nameOf(rule),
        field: `${field}.maxEjectionPercent`,
        maxEjectionPercent: most,
        minHealthPercent: least,
        replicas: version.replicas,
      },
      `Set ${field}.maxEjectionPercent: 50 and ${field}.minHealthPercent: 50 in DestinationRule ${nameOf(rule)}`,
    ),
  ];
}

const LIMITS = [
  ['http', 'http1MaxPendingRequests'],
  ['http', 'http2MaxRequests'],
  ['tcp', 'maxConnections'],
] as const;

/** Limits are of each caller's proxy towards each subset, however many pods that has. */
function limits(judged: Judged): readonly CheckResult[] {
  const found = settingOf(judged.inForce, judged.subset, 'connectionPool');
  if (found === null)
    return [
      absent(
        judged,
        'connectionPool',
        POOL,
        'Requests to a version that is slow pile up in its callers without a limit',
      ),
    ];
  const { value, rule, field } = found;
  const { version, words } = judged;
  return LIMITS.flatMap(([group, name]) => {
    const limit = numberIn(recordAt(value, group), name);
    // Absent or 0: Envoy's own, which is as good as none.
    if (limit === null || limit === 0 || limit >= version.replicas) return [];
    const at = `${field}.${group}.${name}`;
    return [
      warn(
        `DestinationRule ${nameOf(rule)} has ${at} ${limit} for ${words}, which has ${version.replicas} pods: the limit is of each caller's proxy for the whole subset, so less than one for each pod, and the rest is refused with 503 (UO)`,
        { role: version.role, object: nameOf(rule), field: at, limit, replicas: version.replicas },
        `Set ${at}: ${10 * version.replicas} or more, by what each of ${version.replicas} pods can bear`,
      ),
    ];
  });
}

/** What stands in a policy that Istio ignores is not in force, and would be if the older one went. */
function ignored({ inForce, version, words }: Judged): readonly CheckResult[] {
  const [first, ...others] = inForce.rules.filter(hasPolicy);
  return others.flatMap((rule) => {
    const value = recordAt(policyOf(rule), 'outlierDetection');
    const unless = `. It is not in force, as spec.trafficPolicy of ${first === undefined ? 'another' : nameOf(first)} is older, and would be without that one`;
    return ejectsAll({ value, rule, field: 'spec.trafficPolicy.outlierDetection' }, version, words, unless);
  });
}

function passed(judged: Judged): CheckResult {
  const setting = (group: string): Setting | null => settingOf(judged.inForce, judged.subset, group);
  const [outliers, pool] = [setting('outlierDetection'), setting('connectionPool')];
  const place = (found: Setting | null): string => (found === null ? '' : `${nameOf(found.rule)} ${found.field}`);
  const pending = numberIn(recordAt(pool?.value, 'http'), 'http1MaxPendingRequests');
  return pass(`${judged.words} (${judged.version.role}) has a circuit breaker: ${place(outliers)}, ${place(pool)}`, {
    role: judged.version.role,
    outlierDetection: place(outliers),
    connectionPool: place(pool),
    maxEjectionPercent: numberIn(outliers?.value, 'maxEjectionPercent'),
    http1MaxPendingRequests: pending,
    pendingPerPod: pending === null ? null : pending / Math.max(1, judged.version.replicas),
  });
}

export default defineCheck({
  name: 'circuit-breaker',
  about:
    'The subset that is routed to has no circuit breaker, or one that ejects every pod, none, or refuses what its pods can bear.',
  meshes: ['istio'],
  scope: 'target',
  rbac: lists(DESTINATION_RULES, DEPLOYMENTS),
  async run(around) {
    const target = istioTarget(around);
    const versions = target === null ? null : await versionsOf(around, target);
    if (target === null || versions === null) return [];
    const found = await Promise.all(
      (['canary', 'stable'] as const).map(async (role): Promise<Judged> => {
        const host = expandHost(target[role].host, target.namespace);
        const subset = target[role].subset ?? null;
        const inForce = await rulesFor(around, host, target.namespace);
        const words = subset === null ? `host ${host}` : `subset ${subset} of host ${host}`;
        return { version: versions[role], words, inForce, subset };
      }),
    );
    const [canary] = found;
    return [
      ...found.flatMap((judged) => {
        const results = [...ejections(judged), ...limits(judged)];
        return results.length === 0 ? [passed(judged)] : results;
      }),
      ...(canary === undefined ? [] : ignored(canary)),
      ...twoPolicies(found),
    ];
  },
});

/** A breaker in a second DestinationRule is not added to the first: it is not there. */
function twoPolicies(found: readonly Judged[]): readonly CheckResult[] {
  const hosts = new Map(found.map(({ inForce }) => [inForce.host, inForce.rules.filter(hasPolicy)]));
  return [...hosts].flatMap(([host, [first, ...others]]: [string, readonly KubeObject[]]) => {
    const breakers = others.filter((rule) =>
      ['outlierDetection', 'connectionPool'].some((group) => isRecord(policyOf(rule)[group])),
    );
    if (first === undefined || breakers.length === 0) return [];
    return [
      fail(
        `the circuit breaker of DestinationRule ${breakers.map(nameOf).join(', ')} (spec.trafficPolicy) for host ${host} is not in force: Istio uses spec.trafficPolicy of the older ${nameOf(first)} alone`,
        { host, field: 'spec.trafficPolicy', inForce: nameOf(first), ignored: breakers.map(nameOf) },
        `Move outlierDetection and connectionPool into spec.trafficPolicy of ${nameOf(first)}, then ${breakers.map((rule) => `kubectl delete destinationrule ${rule.metadata.name} -n ${rule.metadata.namespace ?? 'default'}`).join('; ')}`,
      ),
    ];
  });
}
