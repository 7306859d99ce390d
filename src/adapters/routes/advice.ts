/** Who else writes a mesh object, for every kind of route. Pure. */
import type { CheckResult } from '../inspect/check.ts';
import type { KubeObject } from '../kubernetes/kube.ts';
import { FIELD_MANAGER } from '../kubernetes/kube.ts';
import type { Naming } from './refusals.ts';
import { ownsField, writersOf } from './writers.ts';

export const warn = (message: string, remediation: string): CheckResult => ({ status: 'warn', message, remediation });
export const fail = (message: string, remediation: string): CheckResult => ({ status: 'fail', message, remediation });

/** What the GitOps recipes need to know of a kind. */
export interface Owned {
  readonly naming: Naming;
  readonly group: string;
  readonly kind: string;
  /** jq path of the weights. */
  readonly weights: string;
  /** Field of the spec that holds the weights. */
  readonly field: string;
}

/** A tool that keeps the object as it is in Git will put every weight back. */
export function owners(object: KubeObject, owned: Owned): readonly CheckResult[] {
  return [...argoCd(object, owned), ...flux(object, owned), ...applied(object, owned)];
}

const hasPrefix = (map: Readonly<Record<string, string>> | undefined, prefix: string): boolean =>
  Object.keys(map ?? {}).some((key) => key.startsWith(prefix));

const marked = ({ metadata }: KubeObject, prefix: string): boolean =>
  hasPrefix(metadata.labels, prefix) || hasPrefix(metadata.annotations, prefix);

function argoCd(object: KubeObject, { naming, group, kind, weights }: Owned): readonly CheckResult[] {
  if (!marked(object, 'argocd.argoproj.io/')) return [];
  return [
    warn(
      `Argo CD owns ${naming.object} and reverts weights when it heals itself`,
      `In its Application set ignoreDifferences: [{ group: ${group}, kind: ${kind}, jqPathExpressions: ['${weights}'] }] together with syncOptions: [RespectIgnoreDifferences=true]`,
    ),
  ];
}

const FLUX = ['kustomize.toolkit.fluxcd.io/', 'helm.toolkit.fluxcd.io/'];

function flux(object: KubeObject, { naming, field }: Owned): readonly CheckResult[] {
  if (!FLUX.some((prefix) => marked(object, prefix))) return [];
  const { annotations } = object.metadata;
  const handsOff =
    annotations?.['kustomize.toolkit.fluxcd.io/ssa'] === 'IfNotPresent' ||
    annotations?.['kustomize.toolkit.fluxcd.io/reconcile'] === 'disabled';
  if (handsOff) return [];
  return [
    warn(
      `Flux owns ${naming.object} and applies it with force, which reverts weights`,
      `Annotate the object in Git with kustomize.toolkit.fluxcd.io/ssa: IfNotPresent, or leave spec.${field} out of Git`,
    ),
  ];
}

/** Any other tool that uses server-side apply. Where the owner is not known, a warning too many costs less than a fight. */
function applied(object: KubeObject, { naming, field }: Owned): readonly CheckResult[] {
  if (marked(object, 'argocd.argoproj.io/') || FLUX.some((prefix) => marked(object, prefix))) return [];
  const owner = writersOf(object).find(
    (writer) => writer.operation === 'Apply' && writer.manager !== FIELD_MANAGER && ownsField(writer, field) !== false,
  );
  if (owner === undefined) return [];
  return [
    warn(
      `"${owner.manager}" keeps spec.${field} of ${naming.object} by server-side apply: its next apply conflicts with the weights or, with force, reverts them`,
      `Take spec.${field} out of what "${owner.manager}" applies while a rollout runs`,
    ),
  ];
}
