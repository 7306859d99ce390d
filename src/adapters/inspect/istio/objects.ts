/** Istio's objects as checks list, name and order them. */
import type { KubeObject } from '../../kubernetes/kube.ts';
import { listAt } from '../../routes/json.ts';
import type { Listed, Surroundings } from '../check.ts';
import { Unread } from '../check.ts';

type Kind = Omit<Listed, 'namespace'>;

const NETWORKING = 'networking.istio.io';
const SECURITY = 'security.istio.io';

export const VIRTUAL_SERVICES: Kind = { group: NETWORKING, plural: 'virtualservices' };
export const DESTINATION_RULES: Kind = { group: NETWORKING, plural: 'destinationrules' };
export const GATEWAYS: Kind = { group: NETWORKING, plural: 'gateways' };
export const SIDECARS: Kind = { group: NETWORKING, plural: 'sidecars' };
export const PEER_AUTHENTICATIONS: Kind = { group: SECURITY, plural: 'peerauthentications' };
export const AUTHORIZATION_POLICIES: Kind = { group: SECURITY, plural: 'authorizationpolicies' };
export const TELEMETRIES: Kind = { group: 'telemetry.istio.io', plural: 'telemetries' };

export const namespaceOf = (object: KubeObject): string => object.metadata.namespace ?? 'default';
/** "production/myapp" */
export const nameOf = (object: KubeObject): string => `${namespaceOf(object)}/${object.metadata.name}`;
export const names = (objects: readonly KubeObject[]): string => objects.map(nameOf).join(', ');

/** Istio's order: creation time, then name, then namespace. The oldest is the one that counts. */
export const isOlder = (a: KubeObject, b: KubeObject): boolean => age(a) < age(b);
export const oldestFirst = (objects: readonly KubeObject[]): readonly KubeObject[] =>
  objects.toSorted((a, b) => (age(a) < age(b) ? -1 : 1));

const age = (object: KubeObject): string =>
  [object.metadata.creationTimestamp ?? '', object.metadata.name, namespaceOf(object)].join('\n');

export const textsAt = (value: unknown, field: string): readonly string[] =>
  listAt(value, field).filter((entry): entry is string => typeof entry === 'string');

/** May proxies of that namespace see the object? "." is its own namespace, "*" or nothing every one. */
export function isExportedTo(object: KubeObject, namespace: string): boolean {
  const exportTo = textsAt(object.spec, 'exportTo');
  if (exportTo.length === 0 || exportTo.includes('*') || exportTo.includes(namespace)) return true;
  return exportTo.includes('.') && namespaceOf(object) === namespace;
}

const INSTALL = 'is Istio installed? istioctl install --set profile=default -y';

/** Objects of a kind in these namespaces. Throws Unread, also where the cluster does not serve the kind. */
export async function listIn(
  around: Surroundings,
  kind: Kind,
  namespaces: readonly string[],
): Promise<readonly KubeObject[]> {
  const lists = await Promise.all([...new Set(namespaces)].map((namespace) => around.list({ ...kind, namespace })));
  return lists.flatMap((list) => {
    if (list !== null) return list;
    const resource = kind.group === '' ? kind.plural : `${kind.plural}.${kind.group}`;
    throw new Unread(`cluster ${around.cluster} does not serve ${resource}; ${INSTALL}`);
  });
}

export interface Seen {
  readonly objects: readonly KubeObject[];
  /** false: only the namespaces that were named could be looked at. */
  readonly everywhere: boolean;
}

/**
 * Objects of a kind in the whole cluster, or, where this service may look at some namespaces only, in these.
 * Throws Unread where these cannot be read either.
 */
export async function listWide(around: Surroundings, kind: Kind, namespaces: readonly string[]): Promise<Seen> {
  try {
    return { objects: await listIn(around, kind, ['']), everywhere: true };
  } catch (error) {
    if (!(error instanceof Unread)) throw error;
    return { objects: await listIn(around, kind, namespaces), everywhere: false };
  }
}

/** The answer, or what kept it from being given. */
export async function orUnread<T>(asked: Promise<T>): Promise<T | Unread> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof Unread) return error;
    throw error;
  }
}
