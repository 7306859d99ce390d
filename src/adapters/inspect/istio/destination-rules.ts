/** Which DestinationRules are in force for a host, and what they say together. */
import type { KubeObject } from '../../kubernetes/kube.ts';
import { coversHost, expandHost, namespaceOfHost } from '../../routes/hosts.ts';
import { isRecord, type Json, listAt, recordAt, textAt } from '../../routes/json.ts';
import type { Surroundings } from '../check.ts';
import { DESTINATION_RULES, isExportedTo, listIn, namespaceOf, oldestFirst } from './objects.ts';

export interface InForce {
  /** Full name. */
  readonly host: string;
  /** Oldest first. Istio joins them: all of their subsets, the first of each name, and the first traffic policy. */
  readonly rules: readonly KubeObject[];
  /** Namespaces that were looked at, in the order of the look-up. */
  readonly looked: readonly string[];
}

/**
 * Istio looks in the caller's namespace, then in the service's, then in the control plane's; the first that holds one for
 * the host decides alone. A DestinationRule anywhere else is ignored, however it is exported. Throws Unread.
 */
export async function rulesFor(around: Surroundings, host: string, caller: string): Promise<InForce> {
  const looked: string[] = [];
  for (const namespace of new Set([caller, namespaceOfHost(host) ?? caller, around.controlPlane])) {
    looked.push(namespace);
    const rules = mostSpecific(await listIn(around, DESTINATION_RULES, [namespace]), host, caller);
    if (rules.length > 0) return { host, rules: oldestFirst(rules), looked };
  }
  return { host, rules: [], looked };
}

export const hostOf = (rule: KubeObject): string => expandHost(textAt(rule.spec, 'host') ?? '', namespaceOf(rule));

function mostSpecific(all: readonly KubeObject[], host: string, caller: string): readonly KubeObject[] {
  const covering = all.filter(
    // One with a workloadSelector is for some callers only, and is never joined with the others.
    (rule) => coversHost(hostOf(rule), host) && isExportedTo(rule, caller) && !isForSomeCallers(rule),
  );
  const longest = Math.max(...covering.map((rule) => hostOf(rule).length));
  return covering.filter((rule) => hostOf(rule).length === longest);
}

const isForSomeCallers = (rule: KubeObject): boolean => Object.keys(recordAt(rule.spec, 'workloadSelector')).length > 0;

export interface Subset {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly policy: Json;
  readonly rule: KubeObject;
  /** Position in its rule. */
  readonly index: number;
}

/** All definitions, those that are in force first. */
export const subsetsOf = (rules: readonly KubeObject[]): readonly Subset[] =>
  rules.flatMap((rule) =>
    listAt(rule.spec, 'subsets').map((subset, index) => ({
      name: textAt(subset, 'name') ?? '',
      labels: textMap(recordAt(subset, 'labels')),
      policy: recordAt(subset, 'trafficPolicy'),
      rule,
      index,
    })),
  );

const textMap = (map: Json): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(map).map(([key, value]) => [key, String(value)]));

export const policyOf = (rule: KubeObject): Json => recordAt(rule.spec, 'trafficPolicy');
export const hasPolicy = (rule: KubeObject): boolean => Object.keys(policyOf(rule)).length > 0;

/** One group of settings (connectionPool, outlierDetection, tls ...), and where it is written. */
export interface Setting {
  readonly value: Json;
  readonly rule: KubeObject;
  /** "spec.trafficPolicy.tls", "spec.subsets[1].trafficPolicy.tls" */
  readonly field: string;
}

/**
 * The group that holds for a subset: its own replaces that of the rule as a whole, field by field of the policy.
 * `subset` null: the host is routed to without one. null: nowhere written.
 */
export function settingOf({ rules }: InForce, subset: string | null, group: string): Setting | null {
  const own = subset === null ? undefined : subsetsOf(rules).find(({ name }) => name === subset);
  if (own !== undefined && isRecord(own.policy[group]))
    return {
      value: recordAt(own.policy, group),
      rule: own.rule,
      field: `spec.subsets[${own.index}].trafficPolicy.${group}`,
    };
  const first = rules.find(hasPolicy);
  if (first === undefined || !isRecord(policyOf(first)[group])) return null;
  return { value: recordAt(policyOf(first), group), rule: first, field: `spec.trafficPolicy.${group}` };
}
