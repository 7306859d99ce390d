/** Host names of Istio routes. */

/** Only what a short name becomes; a cluster with another domain changes both sides of a comparison alike. */
const DOMAIN = 'cluster.local';

/**
 * The name that Istio makes of a host: a short one belongs to the namespace of the object that holds it; one with a dot
 * stands as it is, so `myapp.production` is not `myapp.production.svc.cluster.local`.
 */
export const expandHost = (host: string, namespace: string): string =>
  host.includes('.') ? host : `${host}.${namespace}.svc.${DOMAIN}`;

/** Namespace of a service's full name; null: not a service's. */
export const namespaceOfHost = (expanded: string): string | null => {
  const [, namespace, svc] = expanded.split('.');
  return svc === 'svc' && namespace !== undefined ? namespace : null;
};

/** The Service that a host of an object in `namespace` is the name of; null: it is no Service's. */
export function serviceOfHost(
  host: string,
  namespace: string,
): { readonly namespace: string; readonly name: string } | null {
  const expanded = expandHost(host, namespace);
  const space = namespaceOfHost(expanded);
  const [name = ''] = expanded.split('.');
  return space === null ? null : { namespace: space, name };
}

/** Does a host entry, which may start with a wildcard, cover that name? */
export const coversHost = (entry: string, expanded: string): boolean =>
  entry === '*' || entry === expanded || (entry.startsWith('*.') && expanded.endsWith(entry.slice(1)));
