/** What stands around a TrafficSplit or HTTPRoute and would make Linkerd ignore it. Pure functions over listed objects. */
import type { CheckResult } from '../inspect/check.ts';
import type { KubeObject } from '../kubernetes/kube.ts';
import { fail, warn } from './advice.ts';
import { listAt, textAt } from './json.ts';
import type { Naming } from './refusals.ts';

export const PROFILES = { group: 'linkerd.io', version: 'v1alpha2', plural: 'serviceprofiles' } as const;

/** Annotation of a ServiceProfile that the SMI adaptor is to leave as it is. */
export const SKIP = 'smi.linkerd.io/skip';

const firstLabel = (host: string): string => host.split('.')[0] ?? host;

export const nameOf = (object: KubeObject): string =>
  `${object.metadata.namespace ?? 'default'}/${object.metadata.name}`;

/** Short name of the Service that a TrafficSplit divides. */
export const apexOf = (split: KubeObject): string => firstLabel(textAt(split.spec, 'service') ?? '');

/** Profiles are named by the full name of their Service. */
export const profileOf = (
  profiles: readonly KubeObject[],
  service: string,
  namespace: string,
): KubeObject | undefined =>
  profiles.find((profile) => profile.metadata.name.startsWith(`${service}.${namespace}.svc.`));

export function otherApex(split: KubeObject, service: string, naming: Naming): readonly CheckResult[] {
  const apex = apexOf(split);
  if (apex === service) return [];
  return [
    warn(
      `${naming.object} divides the service ${apex}, and the plan says ${service}: calls to ${service} are not moved`,
      'Correct target.service in the plan, or spec.service of the TrafficSplit',
    ),
  ];
}

/** The adaptor copies each of them into the same ServiceProfile. */
export function rivalSplits(split: KubeObject, all: readonly KubeObject[], naming: Naming): readonly CheckResult[] {
  return all
    .filter((other) => nameOf(other) !== nameOf(split) && apexOf(other) === apexOf(split))
    .map((other) =>
      fail(
        `TrafficSplit ${nameOf(other)} divides the service ${apexOf(split)} as ${naming.object} does: each overwrites the other`,
        `Delete one of them: kubectl delete trafficsplit ${other.metadata.name} -n ${other.metadata.namespace ?? 'default'}`,
      ),
    );
}

/** The adaptor carries a TrafficSplit out by writing the ServiceProfile, unless told to leave it. */
export function skippedProfile(
  split: KubeObject,
  profiles: readonly KubeObject[],
  naming: Naming,
): readonly CheckResult[] {
  const namespace = split.metadata.namespace ?? 'default';
  const profile = profileOf(profiles, apexOf(split), namespace);
  if (profile === undefined) {
    return [
      warn(
        `the SMI adaptor has made no ServiceProfile for ${apexOf(split)} in ${namespace}: ${naming.object} is not in force, and no rollout begins before it is`,
        'Check that linkerd-smi runs: linkerd smi check. Where something else carries TrafficSplits out: target.trafficSplit.adaptor: false',
      ),
    ];
  }
  if (profile.metadata.annotations?.[SKIP] === undefined) return [];
  return [
    fail(
      `ServiceProfile ${nameOf(profile)} has the annotation ${SKIP}: ${naming.object} is not carried out`,
      `kubectl annotate serviceprofile ${profile.metadata.name} -n ${namespace} ${SKIP}-`,
    ),
  ];
}

export function leafServices(
  services: readonly KubeObject[],
  wanted: readonly string[],
  naming: Naming,
): readonly CheckResult[] {
  return wanted.flatMap((name) => {
    const service = services.find((s) => s.metadata.name === name);
    if (service === undefined)
      return [
        fail(`service ${name}, to which ${naming.object} routes, does not exist`, `Create the service ${name} first`),
      ];
    if (textAt(service.spec, 'clusterIP') !== 'None') return [];
    return [
      fail(
        `service ${name}, to which ${naming.object} routes, is headless (clusterIP: None): Linkerd does not split those`,
        `Make the service ${name} anew without clusterIP: None`,
      ),
    ];
  });
}

/** A ServiceProfile wins over every HTTPRoute of its Service for as long as it exists. */
export function overridingProfile(
  profiles: readonly KubeObject[],
  service: string,
  namespace: string,
  naming: Naming,
): readonly CheckResult[] {
  const profile = profileOf(profiles, service, namespace);
  if (profile === undefined) return [];
  return [
    fail(
      `ServiceProfile ${nameOf(profile)} makes Linkerd ignore ${naming.object} for the service ${service}`,
      `Delete the profile: kubectl delete serviceprofile ${profile.metadata.name} -n ${namespace}`,
    ),
  ];
}

/** Filters that make Linkerd reject the route. */
const FILTERS: ReadonlySet<string> = new Set(['RequestHeaderModifier', 'ResponseHeaderModifier', 'RequestRedirect']);

export function filters(route: KubeObject, naming: Naming): readonly CheckResult[] {
  const used = listAt(route.spec, 'rules').flatMap((rule) => [
    ...listAt(rule, 'filters'),
    ...listAt(rule, 'backendRefs').flatMap((backend) => listAt(backend, 'filters')),
  ]);
  const refused = new Set(used.map((filter) => textAt(filter, 'type') ?? '').filter((type) => !FILTERS.has(type)));
  if (refused.size === 0) return [];
  return [
    fail(
      `${naming.object} has the filter ${[...refused].join(', ')}, with which Linkerd rejects the route`,
      `Remove the filter ${[...refused].join(', ')}; Linkerd knows ${[...FILTERS].join(', ')}`,
    ),
  ];
}
