/**
 * What Linkerd's proxies go by where a TrafficSplit divides a Service: `spec.dstOverrides` of the Service's ServiceProfile,
 * which the SMI adaptor writes. Shares are compared, never numbers: the units on both sides may differ.
 */
import type { KubeObject } from '../kubernetes/kube.ts';
import { listAt, textAt } from './json.ts';
import { milliOf } from './quantity.ts';

/** Share of each Service, by "name.namespace", in percent; empty: nothing is divided. */
export type Shares = ReadonlyMap<string, number>;

const namespaceOf = (object: KubeObject): string => object.metadata.namespace ?? 'default';

/** "myapp-v1.production" of "myapp-v1.production.svc.cluster.local:80", in whatever domain; any other host as it stands. */
function serviceIn(authority: string): string {
  const host = authority.replace(/:\d+$/, '');
  const [name, namespace, svc] = host.split('.');
  return svc === 'svc' ? `${name}.${namespace}` : host;
}

export function sharesOfSplit(split: KubeObject): Shares {
  const namespace = namespaceOf(split);
  return shares(listAt(split.spec, 'backends'), (backend) => {
    const service = textAt(backend, 'service') ?? '';
    return service.includes('.') ? serviceIn(service) : `${service}.${namespace}`;
  });
}

export const sharesOfProfile = (profile: KubeObject): Shares =>
  shares(listAt(profile.spec, 'dstOverrides'), (override) => serviceIn(textAt(override, 'authority') ?? ''));

function shares(entries: readonly unknown[], nameOf: (entry: unknown) => string): Shares {
  const weights = new Map<string, number>();
  for (const entry of entries) {
    const weight = milliOf((entry as Readonly<Record<string, unknown>> | null)?.['weight']) ?? 0;
    weights.set(nameOf(entry), (weights.get(nameOf(entry)) ?? 0) + weight);
  }
  const total = [...weights.values()].reduce((sum, weight) => sum + weight, 0);
  return new Map(total === 0 ? [] : [...weights].map(([name, weight]) => [name, (100 * weight) / total]));
}

/** A twentieth of the smallest step of a plan, for quantities that were rounded on the way. */
const TOLERANCE = 0.05;

export const sameShares = (a: Shares, b: Shares): boolean =>
  [...new Set([...a.keys(), ...b.keys()])].every(
    (name) => Math.abs((a.get(name) ?? 0) - (b.get(name) ?? 0)) <= TOLERANCE,
  );

/** "myapp-v1 75 %, myapp-v2 25 %"; Services of other namespaces with theirs. */
export const shareWords = (all: Shares, namespace: string): string =>
  [...all].map(([name, share]) => `${shortIn(name, namespace)} ${percent(share)}`).join(', ') || 'nothing';

const shortIn = (name: string, namespace: string): string =>
  name.endsWith(`.${namespace}`) ? name.slice(0, -namespace.length - 1) : name;

export const percent = (share: number): string => `${Math.round(share * 10) / 10} %`;
