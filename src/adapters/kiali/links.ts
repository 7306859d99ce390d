/** Addresses of Kiali's pages. Pure; the same in Kiali 1 and 2, but for those of Istio objects. */
import type { KialiLinks } from '../../app/usecases.ts';
import type { Target } from '../../domain/plan.ts';
import { below } from '../get-json.ts';
import type { ObjectPath } from './object.ts';
import { objectOf, objectPathOf } from './object.ts';

export interface KialiPages {
  /** As browsers reach it, with the web root. */
  readonly url: string;
  readonly objectPath: ObjectPath;
}

/** Seconds that a page looks back, and milliseconds between its refreshes. */
const LOOK_BACK = '600';
const REFRESH = '15000';

/** The edges show how the traffic is divided in fact: what a canary is about. */
const GRAPH = {
  graphType: 'versionedApp',
  duration: LOOK_BACK,
  refresh: REFRESH,
  traffic: 'http,httpRequest',
  edges: 'trafficDistribution,rt95',
  badgeVS: 'true',
  badgeSecurity: 'true',
} as const;

const page = ({ url }: KialiPages, parts: readonly string[], query: Readonly<Record<string, string>> = {}): string =>
  below(url, `/console/${parts.map(encodeURIComponent).join('/')}`, query).href;

export const graphLink = (kiali: KialiPages, namespace: string): string =>
  page(kiali, ['graph', 'namespaces'], { namespaces: namespace, ...GRAPH });

export const workloadLink = (kiali: KialiPages, namespace: string, deployment: string): string =>
  page(kiali, ['namespaces', namespace, 'workloads', deployment], { tab: 'info', duration: LOOK_BACK });

export const serviceLink = (kiali: KialiPages, namespace: string, service: string): string =>
  page(kiali, ['namespaces', namespace, 'services', service]);

/** `traceId`: that trace; without it, all of the workload. */
export const tracesLink = (kiali: KialiPages, namespace: string, deployment: string, traceId?: string): string =>
  page(kiali, ['namespaces', namespace, 'workloads', deployment], {
    tab: 'traces',
    ...(traceId === undefined ? {} : { traceId }),
  });

/** What belongs to a rollout; null: Kiali does not show this mesh. */
export function kialiLinks(kiali: KialiPages, target: Target): KialiLinks | null {
  const object = objectOf(target);
  if (object === null) return null;
  const { namespace, service, canary } = target;
  return {
    graph: graphLink(kiali, namespace),
    service: serviceLink(kiali, namespace, service),
    canary: workloadLink(kiali, namespace, canary.deployment),
    traces: tracesLink(kiali, namespace, canary.deployment),
    object: below(
      kiali.url,
      `/console/namespaces/${encodeURIComponent(namespace)}/istio/${objectPathOf(object, kiali.objectPath)}`,
    ).href,
  };
}
