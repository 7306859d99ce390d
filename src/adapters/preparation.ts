/** What one file in `preparations/` provides: one way of making something ready beside a route. A new way is one such file. */
import type { PreparationWritten } from '../app/ports.ts';
import type { PreparationLook } from '../domain/observation.ts';
import type { Preparation, PreparationTask } from '../domain/preparation.ts';
import type { Kube, KubeClient, KubeObject, KubeTrouble, KubeTroubleCode } from './kubernetes/kube.ts';
import type { PolicyRule } from './mesh.ts';

/** What one look found; the caller adds whose look it was. */
export type Seen =
  | (Omit<Extract<PreparationLook, { ok: true }>, 'kind' | 'leaving' | 'step' | 'replicas' | 'way'> & {
      /** The object itself, for what the preflight says of its other owners; null: there is none yet. */
      readonly read: KubeObject | null;
    })
  | { readonly ok: false; readonly code: KubeTroubleCode | 'refused'; readonly message: string };

export interface PreparationModule {
  /** The file's name. */
  readonly name: string;
  /** One sentence: what it writes. */
  readonly about: string;
  readonly prepares: Preparation['kind'];
  /** Of several ways the lowest that has something to say carries it out. */
  readonly order: number;
  /** Kubernetes rights that the worker needs for it beside those to look at Deployments and routes. */
  readonly rbac: readonly PolicyRule[];
  /** The field of the spec that it writes: who else applies it would put it back. */
  readonly field: string;
  /** null: nothing here is this one's to do. */
  look(kube: KubeClient, task: PreparationTask): Promise<Seen | null>;
  bring(kube: KubeClient, task: PreparationTask, token: string): Promise<PreparationWritten>;
  takeBack(kube: KubeClient, task: PreparationTask, token: string): Promise<PreparationWritten>;
  fence(kube: KubeClient, task: PreparationTask, token: string): Promise<PreparationWritten>;
}

export const definePreparation = (preparation: PreparationModule): PreparationModule => preparation;

export const unread = ({ code, message }: KubeTrouble): Seen => ({ ok: false, code, message });
export const refused = (message: string): Seen => ({ ok: false, code: 'refused', message });

/** What became of a write. `kept` says whether the answer holds what was written: 200 is not proof, webhooks change objects. */
export function writtenOf<T>(answer: Kube<T>, kept: (value: T) => string | null): PreparationWritten {
  if (!answer.ok)
    return answer.code === 'conflict' ? { kind: 'conflict' } : { kind: 'trouble', message: answer.message };
  const wrong = kept(answer.value);
  return wrong === null
    ? { kind: 'written' }
    : { kind: 'trouble', message: `${wrong}; look for a webhook or a controller that changes it` };
}

export const CONFLICT: PreparationWritten = { kind: 'conflict' };
export const tokenOf = ({ metadata }: KubeObject): string => metadata.resourceVersion ?? '';
