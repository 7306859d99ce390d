/** Where a mesh is asked to put its proxy into pods: on the namespace, or on the pod template itself. */
import type { KubeObject } from '../kubernetes/kube.ts';
import type { Surroundings } from './check.ts';
import { Unread } from './check.ts';
import { NAMESPACES } from './kinds.ts';
import { proxyIn, templateOf } from './workload-pods.ts';

/** Throws Unread, also where namespaces cannot be listed. null: it does not exist. */
export async function namespaceObject(around: Surroundings, name: string): Promise<KubeObject | null> {
  const all = await around.list({ ...NAMESPACES, namespace: '' });
  if (all === null)
    throw new Unread(`cluster ${around.cluster} serves no namespaces; is its address that of a cluster?`);
  return all.find(({ metadata }) => metadata.name === name) ?? null;
}

/** Istio's ambient mode: no proxies in the pods. */
export const isAmbient = ({ metadata }: KubeObject): boolean =>
  metadata.labels?.['istio.io/dataplane-mode'] === 'ambient';

/** true: asked for; false: forbidden; null: nothing is said. */
export type Wish = boolean | null;

/** What the namespace says. Istio: labels; Linkerd: an annotation. */
export function wishOfNamespace({ metadata: { labels, annotations } }: KubeObject, proxy: 'istio' | 'linkerd'): Wish {
  if (proxy === 'linkerd') return wishOf(annotations?.['linkerd.io/inject']);
  const written = labels?.['istio-injection'];
  if (written !== undefined) return written === 'enabled';
  return (labels?.['istio.io/rev'] ?? '') === '' ? null : true;
}

/** What the pod template says, which goes before the namespace; a proxy that is written into it is asked for. */
export function wishOfTemplate(deployment: KubeObject, around: Pick<Surroundings, 'proxy'>): Wish {
  const { labels, annotations, spec } = templateOf(deployment);
  if (proxyIn(spec, around) !== null) return true;
  if (around.proxy === 'linkerd') return wishOf(annotations['linkerd.io/inject']);
  const written = labels['sidecar.istio.io/inject'] ?? annotations['sidecar.istio.io/inject'];
  if (written !== undefined) return written === 'true';
  return (labels['istio.io/rev'] ?? '') === '' ? null : true;
}

const wishOf = (written: unknown): Wish =>
  written === 'enabled' || written === 'ingress' ? true : written === 'disabled' ? false : null;

/** The command that asks for injection in a whole namespace. */
export const enableIn = (namespace: string, proxy: 'istio' | 'linkerd'): string =>
  proxy === 'istio'
    ? `kubectl label namespace ${namespace} istio-injection=enabled --overwrite`
    : `kubectl annotate namespace ${namespace} linkerd.io/inject=enabled --overwrite`;
