/** Advice that suits every kind of route: who else writes the object, and what could not be looked at. */
import type { Advice } from '../../app/ports.ts';
import type { Kube, KubeObject, KubeTrouble } from '../kubernetes/kube.ts';
import { FIELD_MANAGER } from '../kubernetes/kube.ts';
import type { Naming } from './refusals.ts';
import { ownsField, writersOf } from './writers.ts';

export const warn = (check: string, message: string): Advice => ({ check, level: 'warn', message });
export const fail = (check: string, message: string): Advice => ({ check, level: 'fail', message });

/** What could not be listed is said, never taken for "nothing found". */
export const noticeUnread = (check: string, trouble: KubeTrouble): Advice =>
  warn(check, `not checked: ${trouble.message}`);

/** Judges the union of lists; a list that could not be read is said instead of judging a part. */
export function listed(
  lists: readonly Kube<readonly KubeObject[]>[],
  check: string,
  judge: (objects: readonly KubeObject[]) => readonly Advice[],
): readonly Advice[] {
  const objects: KubeObject[] = [];
  for (const list of lists) {
    if (!list.ok) return [noticeUnread(check, list)];
    objects.push(...list.value);
  }
  return judge(objects);
}

/** What the GitOps recipes need to know of a kind. */
export interface Owned {
  readonly naming: Naming;
  readonly group: string;
  readonly kind: string;
  /** jq path of the weights. */
  readonly weights: string;
  /** Field of the spec that holds the weights. */
  readonly owned: string;
}

/** A tool that keeps the object as it is in Git will put every weight back. */
export function objectAdvice(object: KubeObject, owned: Owned): readonly Advice[] {
  return [...argoCd(object, owned), ...flux(object, owned), ...applied(object, owned)];
}

const hasPrefix = (map: Readonly<Record<string, string>> | undefined, prefix: string): boolean =>
  Object.keys(map ?? {}).some((key) => key.startsWith(prefix));

const marked = ({ metadata }: KubeObject, prefix: string): boolean =>
  hasPrefix(metadata.labels, prefix) || hasPrefix(metadata.annotations, prefix);

function argoCd(object: KubeObject, { naming, group, kind, weights }: Owned): readonly Advice[] {
  if (!marked(object, 'argocd.argoproj.io/')) return [];
  return [
    warn(
      'gitops',
      `Argo CD owns ${naming.object} and reverts weights when it heals itself. In its Application set ignoreDifferences: [{ group: ${group}, kind: ${kind}, jqPathExpressions: ['${weights}'] }] together with syncOptions: [RespectIgnoreDifferences=true]`,
    ),
  ];
}

const FLUX = ['kustomize.toolkit.fluxcd.io/', 'helm.toolkit.fluxcd.io/'];

function flux(object: KubeObject, { naming, owned }: Owned): readonly Advice[] {
  if (!FLUX.some((prefix) => marked(object, prefix))) return [];
  const { annotations } = object.metadata;
  const handsOff =
    annotations?.['kustomize.toolkit.fluxcd.io/ssa'] === 'IfNotPresent' ||
    annotations?.['kustomize.toolkit.fluxcd.io/reconcile'] === 'disabled';
  if (handsOff) return [];
  return [
    warn(
      'gitops',
      `Flux owns ${naming.object} and applies it with force, which reverts weights. Annotate the object in Git with kustomize.toolkit.fluxcd.io/ssa: IfNotPresent, or leave spec.${owned} out of Git`,
    ),
  ];
}

/** Any other tool that uses server-side apply. Where the owner is not known, a warning too many costs less than a fight. */
function applied(object: KubeObject, { naming, owned }: Owned): readonly Advice[] {
  if (marked(object, 'argocd.argoproj.io/') || FLUX.some((prefix) => marked(object, prefix))) return [];
  const owner = writersOf(object).find(
    (writer) => writer.operation === 'Apply' && writer.manager !== FIELD_MANAGER && ownsField(writer, owned) !== false,
  );
  if (owner === undefined) return [];
  return [
    warn(
      'gitops',
      `"${owner.manager}" keeps spec.${owned} of ${naming.object} by server-side apply. Its next apply conflicts with the weights or, with force, reverts them: take spec.${owned} out of what it applies while a rollout runs`,
    ),
  ];
}
