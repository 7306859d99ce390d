/** What stands around a VirtualService and would make a canary go wrong in silence. Pure functions over listed objects. */
import type { CheckResult } from '../inspect/check.ts';
import type { KubeObject } from '../kubernetes/kube.ts';
import { warn } from './advice.ts';
import { expandHost } from './hosts.ts';
import { listAt } from './json.ts';
import type { Naming } from './refusals.ts';

const texts = (value: readonly unknown[]): readonly string[] => value.filter((v): v is string => typeof v === 'string');

const namespaceOf = (object: KubeObject): string => object.metadata.namespace ?? 'default';

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

/** What a split of connections can and cannot show. */
export const connectionsOnly = (protocol: string, naming: Naming): readonly CheckResult[] => [
  warn(
    `${naming.object}: ${protocol} rules divide new connections; those that are open stay where they are, and there are no request counts to judge`,
    'Use checks of kind prometheus',
  ),
];
