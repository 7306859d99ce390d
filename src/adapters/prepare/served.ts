/**
 * Whose pods a version's own Service selects. A plan names Service and Deployment apart from each other: by mistake, or
 * for somebody else's workload, the two may have nothing to do with one another.
 */
import type { PreparationTask } from '../../domain/preparation.ts';
import type { KubeClient, KubeObject } from '../kubernetes/kube.ts';
import type { ServiceRef } from '../mesh.ts';
import { refused, type Seen, unread } from '../preparation.ts';
import { recordAt, textAt } from '../routes/json.ts';
import { canaryDeployment } from './replicas.ts';

export type Served =
  | { readonly kind: 'selected'; readonly selector: string }
  /** The Service's requests go to other pods than the Deployment's. */
  | {
      readonly kind: 'foreign';
      /** What was found, as a sentence without its beginning capital. */
      readonly message: string;
      /** Label pairs, "app=myapp"; empty: the Service selects elsewhere. */
      readonly selector: string;
      readonly labels: string;
    }
  /** The Service's pods are chosen by something else than labels, or nobody can see by what. */
  | { readonly kind: 'untold'; readonly message: string };

type Labels = Readonly<Record<string, unknown>>;

export const serviceWords = ({ namespace, name }: ServiceRef): string => `Service ${namespace}/${name}`;

/** `service` null: there is none of that name. */
export function servedBy(ref: ServiceRef | null, service: KubeObject | null, deployment: KubeObject): Served {
  const untold = (message: string): Served => ({ kind: 'untold', message });
  if (ref === null) return untold('the host in the plan is no name of a Service of this cluster');
  const { name, namespace = '' } = deployment.metadata;
  const labels = recordAt(recordAt(recordAt(deployment.spec, 'template'), 'metadata'), 'labels') as Labels;
  const words = serviceWords(ref);
  const foreign = (message: string, selector: string): Served => ({
    kind: 'foreign',
    message,
    selector,
    labels: pairs(labels),
  });
  if (ref.namespace !== namespace)
    return foreign(`${words} selects pods of its own namespace, and Deployment ${name} is in ${namespace}`, '');
  if (service === null) return untold(`${words} does not exist`);
  if (textAt(service.spec, 'type') === 'ExternalName') return untold(`${words} is of type ExternalName`);
  const selector = recordAt(service.spec, 'selector') as Labels;
  if (Object.keys(selector).length === 0) return untold(`${words} has no spec.selector`);
  const fits = Object.entries(selector).every(([key, value]) => labels[key] === value);
  return fits
    ? { kind: 'selected', selector: pairs(selector) }
    : foreign(
        `${words} (spec.selector: ${pairs(selector)}) does not select the pods of Deployment ${name}, whose template has ${pairs(labels) || 'no labels'}`,
        pairs(selector),
      );
}

const pairs = (labels: Labels): string =>
  Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(', ');

/** null: the canary's Service selects the pods of its Deployment. Read anew each time: labels change. */
export async function notServed(kube: KubeClient, task: PreparationTask, ref: ServiceRef | null): Promise<Seen | null> {
  const deployment = await canaryDeployment(kube, task);
  if (!deployment.ok) return unread(deployment);
  const service = ref === null ? null : await kube.get({ group: '', version: 'v1', plural: 'services', ...ref });
  if (service?.ok === false && service.code !== 'not_found') return unread(service);
  const served = servedBy(ref, service?.ok === true ? service.value : null, deployment.value);
  const about = `deployment ${deployment.value.metadata.name} is not scaled`;
  switch (served.kind) {
    case 'selected':
      return null;
    case 'foreign':
      return refused(
        `${about}: ${served.message}. Name in target.canary.deployment the Deployment whose pods that Service selects`,
      );
    case 'untold':
      return refused(
        `${about}: that its pods are the canary's cannot be told, for ${served.message}. Leave the scale step out, or route the canary to a Service with spec.selector`,
      );
    default:
      return served satisfies never;
  }
}
