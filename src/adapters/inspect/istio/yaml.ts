/** Lines that a person can apply as they stand. */
import { namespaceOfHost } from '../../routes/hosts.ts';

/** The name within its namespace: "myapp" of "myapp.production.svc.cluster.local". */
export const shortHost = (host: string): string =>
  namespaceOfHost(host) === null ? host : (host.split('.')[0] ?? host);

/** A DestinationRule with these subsets, each by the label that versions usually have. */
export const subsetLines = (host: string, namespace: string, subsets: readonly string[]): string =>
  [
    'apiVersion: networking.istio.io/v1beta1',
    'kind: DestinationRule',
    `metadata: { name: ${shortHost(host)}, namespace: ${namespace} }`,
    'spec:',
    `  host: ${namespaceOfHost(host) === namespace ? shortHost(host) : host}`,
    '  subsets:',
    ...subsets.map((name) => subsetLine(name, { version: name })),
  ].join('\n');

/** One entry of spec.subsets. */
export const subsetLine = (name: string, labels: Readonly<Record<string, string>>): string =>
  `    - { name: ${name}, labels: { ${Object.entries(labels)
    .map(([key, value]) => `${key}: ${value}`)
    .join(', ')} } }`;
