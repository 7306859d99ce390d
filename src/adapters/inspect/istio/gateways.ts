/** Which gateways a VirtualService is bound to, and which hosts they serve. Pure. */
import type { KubeObject } from '../../kubernetes/kube.ts';
import { coversHost, expandHost } from '../../routes/hosts.ts';
import { type Json, listAt, numberAt, recordAt, textAt } from '../../routes/json.ts';
import { namespaceOf, textsAt } from './objects.ts';

/** "production/myapp-gateway" for each gateway that the object or one of its rules names; "mesh" is none. */
export function gatewaysOf(object: KubeObject, rules: readonly unknown[] = []): readonly string[] {
  const written = [
    ...textsAt(object.spec, 'gateways'),
    ...rules.flatMap((rule) => listAt(rule, 'match').flatMap((match) => textsAt(match, 'gateways'))),
  ];
  const full = written.filter((name) => name !== 'mesh').map((name) => fullName(name, namespaceOf(object)));
  return [...new Set(full)];
}

export const fullName = (gateway: string, namespace: string): string =>
  gateway.includes('/') ? gateway : `${namespace}/${gateway}`;

export interface Server {
  readonly index: number;
  readonly port: number | null;
  readonly hosts: readonly string[];
  /** true: HTTP requests are answered with a redirect to HTTPS. */
  readonly redirects: boolean;
  readonly tlsMode: string | null;
  readonly credentialName: string | null;
  /** A certificate in a file of the gateway's pods. */
  readonly certificate: string | null;
}

export const serversOf = (gateway: KubeObject): readonly Server[] =>
  listAt(gateway.spec, 'servers').map((server, index) => {
    const tls: Json = recordAt(server, 'tls');
    return {
      index,
      port: numberAt(recordAt(server, 'port'), 'number'),
      hosts: textsAt(server, 'hosts'),
      redirects: tls['httpsRedirect'] === true,
      tlsMode: textAt(tls, 'mode'),
      credentialName: textAt(tls, 'credentialName') ?? textsAt(tls, 'credentialNames')[0] ?? null,
      certificate: textAt(tls, 'serverCertificate'),
    };
  });

/**
 * Does a server with these hosts take a VirtualService of that namespace for that host? `production/shop.example.com` is
 * for VirtualServices of that namespace only, `./` for those of the gateway's; either side may hold a wildcard.
 */
export function serves(gateway: KubeObject, { hosts }: Server, host: string, namespace: string): boolean {
  return hosts.some((entry) => {
    const [space, name] = entry.includes('/') ? entry.split('/', 2) : ['*', entry];
    const wanted = space === '.' ? namespaceOf(gateway) : space;
    if (wanted !== '*' && wanted !== namespace) return false;
    const served = expandHost(name ?? '', namespaceOf(gateway));
    return name === '*' || coversHost(served, host) || coversHost(host, served);
  });
}
