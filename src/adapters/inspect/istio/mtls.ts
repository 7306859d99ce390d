/** Which mode of mTLS a workload's proxy asks of its callers. Pure. */
import type { KubeObject } from '../../kubernetes/kube.ts';
import { recordAt, textAt } from '../../routes/json.ts';
import { nameOf, namespaceOf, oldestFirst } from './objects.ts';
import { includes, type Labels, selectorOf } from './workloads.ts';

export type Scope = 'workload' | 'namespace' | 'mesh';

export interface Mode {
  readonly mode: string;
  /** The PeerAuthentication that says so, and for whom; null: none does, and Istio's default is PERMISSIVE. */
  readonly from: { readonly policy: KubeObject; readonly scope: Scope } | null;
  /** By port, where one differs. */
  readonly ports: Readonly<Record<string, string>>;
}

const hasSelector = (policy: KubeObject): boolean => Object.keys(selectorOf(policy)).length > 0;

/** null: it leaves the mode to the wider scope. */
export const modeOf = (policy: KubeObject): string | null => {
  const mode = textAt(recordAt(policy.spec, 'mtls'), 'mode');
  return mode === 'UNSET' ? null : mode;
};

/** Policies of one scope, the one in force first: the oldest. */
export function ofScope(
  policies: readonly KubeObject[],
  scope: Scope,
  namespace: string,
  root: string,
  labels: Labels = {},
): readonly KubeObject[] {
  const space = scope === 'mesh' ? root : namespace;
  return oldestFirst(
    policies.filter(
      (policy) =>
        namespaceOf(policy) === space &&
        (scope === 'workload'
          ? hasSelector(policy) && includes(labels, selectorOf(policy))
          : !hasSelector(policy) && (scope === 'mesh' || namespace !== root)),
    ),
  );
}

/** The workload's own mode, else its namespace's, else the mesh's, else PERMISSIVE. `labels` null: of the namespace. */
export function effectiveMode(
  policies: readonly KubeObject[],
  namespace: string,
  root: string,
  labels: Labels | null,
): Mode {
  const scopes: readonly Scope[] = labels === null ? ['namespace', 'mesh'] : ['workload', 'namespace', 'mesh'];
  for (const scope of scopes) {
    const [policy] = ofScope(policies, scope, namespace, root, labels ?? {});
    const mode = policy === undefined ? null : modeOf(policy);
    if (policy !== undefined && mode !== null)
      return { mode, from: { policy, scope }, ports: portsOf(scopes, policies, namespace, root, labels) };
  }
  return { mode: 'PERMISSIVE', from: null, ports: portsOf(scopes, policies, namespace, root, labels) };
}

/** Only a workload's own policy can set a port apart. */
function portsOf(
  scopes: readonly Scope[],
  policies: readonly KubeObject[],
  namespace: string,
  root: string,
  labels: Labels | null,
): Readonly<Record<string, string>> {
  if (!scopes.includes('workload')) return {};
  const [own] = ofScope(policies, 'workload', namespace, root, labels ?? {});
  return Object.fromEntries(
    Object.entries(recordAt(own?.spec, 'portLevelMtls')).flatMap(([port, mtls]) => {
      const mode = textAt(mtls, 'mode');
      return mode === null || mode === 'UNSET' ? [] : [[port, mode]];
    }),
  );
}

/** "PeerAuthentication production/default, for the whole namespace" */
export const sourceWords = ({ from }: Mode): string =>
  from === null
    ? 'no PeerAuthentication says anything: the default'
    : `PeerAuthentication ${nameOf(from.policy)}, ${FOR[from.scope]}`;

const FOR: Readonly<Record<Scope, string>> = {
  workload: 'for this workload',
  namespace: 'for the whole namespace',
  mesh: 'for the whole mesh',
};
