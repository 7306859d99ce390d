/**
 * The kubeconfig of a cluster out of the Secret by which an Istio of another cluster reaches it. `istioctl
 * create-remote-secret --name=<cluster>` makes it: istio-remote-secret-<cluster> in the control plane's namespace, with
 * the kubeconfig under the cluster's name.
 */
import type { KubeClient } from './kube.ts';

export interface RemoteSecret {
  /** Cluster that holds it, by its name in the list. */
  readonly in: string;
  readonly namespace: string;
  readonly name: string;
  /** Entry of its `data`. */
  readonly key: string;
}

/** YAML text. Throws where it cannot be had, with what to do: it is asked for again by the next call. */
export async function kubeconfigIn(kube: Pick<KubeClient, 'get'>, secret: RemoteSecret): Promise<string> {
  const { namespace, name, key } = secret;
  const words = `Secret ${namespace}/${name} of cluster ${secret.in}`;
  const found = await kube.get({ group: '', version: 'v1', plural: 'secrets', namespace, name });
  if (!found.ok) throw new Error(`${words} cannot be read: ${found.message}`);
  const { data = {} } = found.value as unknown as { readonly data?: Readonly<Record<string, unknown>> };
  const held = data[key];
  if (typeof held !== 'string')
    throw new Error(
      `${words} has no entry ${JSON.stringify(key)}; it has ${Object.keys(data).join(', ') || 'none'}. Name one in remoteSecret.key`,
    );
  return Buffer.from(held, 'base64').toString('utf8');
}
