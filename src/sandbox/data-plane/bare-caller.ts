/** A caller without a proxy: any ready pod of the Service, as kube-proxy finds one, in plaintext. No routes, no retries, no metrics. */
import { arrive as arriveIstio } from './istio-inbound.ts';
import { arrive as arriveLinkerd } from './linkerd-inbound.ts';
import type { Context, Sidecar } from './sidecar.ts';
import type { Proxies } from './table.ts';

export function bareCaller(context: Context, proxies: Proxies): Sidecar {
  return {
    async serve(asked, raw) {
      const table = context.table();
      const destination = table.service(asked.host);
      const endpoints = table.endpoints(destination);
      if (typeof endpoints === 'string') return null;
      const endpoint = endpoints[Math.floor(context.random() * endpoints.length)];
      if (endpoint === undefined) return null;
      const arrival = { endpoint, destination, tls: null, asked, raw, timeout: null };
      const attempt = await (proxies === 'istio' ? arriveIstio : arriveLinkerd)(context, arrival);
      return attempt.kind === 'answered' ? attempt.answer : null;
    },
  };
}
