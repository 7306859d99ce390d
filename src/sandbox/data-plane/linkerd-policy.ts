/**
 * Who may call a pod behind a Linkerd proxy: Servers with AuthorizationPolicies by MeshTLSAuthentication or ServiceAccount,
 * and without a Server the default of the pod (`config.linkerd.io/default-inbound-policy`).
 */
import type { KubeObject } from '../../adapters/kubernetes/kube.ts';
import type { Identity } from './authorization-policy.ts';
import type { Endpoint } from './endpoints.ts';
import { selects } from './peer-authentication.ts';

export interface InboundVerdict {
  readonly allowed: boolean;
  /** What decided, as metrics name it. */
  readonly srv_kind: 'default' | 'server';
  readonly srv_name: string;
}

interface Ref {
  readonly kind?: string;
  readonly name?: string;
  readonly namespace?: string;
}

interface ServerSpec {
  readonly podSelector?: { readonly matchLabels?: Readonly<Record<string, string>> };
  readonly accessPolicy?: string;
}

interface AuthorizationSpec {
  readonly targetRef?: Ref;
  readonly requiredAuthenticationRefs?: readonly Ref[];
}

interface MeshTlsSpec {
  readonly identities?: readonly string[];
  readonly identityRefs?: readonly Ref[];
}

interface Objects {
  readonly linkerdServers: readonly KubeObject[];
  readonly linkerdAuthorizations: readonly KubeObject[];
  readonly linkerdMeshTls: readonly KubeObject[];
}

const DEFAULT = 'config.linkerd.io/default-inbound-policy';

export const identityText = (identity: Identity): string =>
  identity === null
    ? ''
    : `${identity.serviceAccount}.${identity.namespace}.serviceaccount.identity.linkerd.cluster.local`;

export function compileInbound(objects: Objects): (identity: Identity, pod: Endpoint) => InboundVerdict {
  const { linkerdServers, linkerdAuthorizations, linkerdMeshTls } = objects;
  return (identity, pod) => {
    const server = linkerdServers.find(
      ({ metadata, spec }) =>
        metadata.namespace === pod.namespace &&
        selects((spec as ServerSpec | undefined)?.podSelector?.matchLabels ?? {}, pod.labels),
    );
    if (server === undefined) return byDefault(pod.annotations[DEFAULT] ?? 'all-unauthenticated', identity);
    const named = { srv_kind: 'server', srv_name: server.metadata.name } as const;
    const policies = linkerdAuthorizations.filter(
      ({ metadata, spec }) =>
        metadata.namespace === pod.namespace &&
        isTarget((spec as AuthorizationSpec | undefined)?.targetRef, server.metadata.name, pod.namespace),
    );
    const passes = policies.some(({ spec, metadata }) =>
      ((spec as AuthorizationSpec).requiredAuthenticationRefs ?? []).every((ref) =>
        authenticates(ref, metadata.namespace ?? '', identity, linkerdMeshTls),
      ),
    );
    const open = byDefault((server.spec as ServerSpec | undefined)?.accessPolicy ?? 'deny', identity).allowed;
    return { ...named, allowed: passes || (policies.length === 0 && open) };
  };
}

/** One cluster: everybody with an identity is of it. */
function byDefault(policy: string, identity: Identity): InboundVerdict {
  const known = identity !== null || !policy.endsWith('-authenticated');
  return { srv_kind: 'default', srv_name: policy, allowed: policy !== 'deny' && known };
}

const isTarget = (ref: Ref | undefined, server: string, namespace: string): boolean =>
  (ref?.kind === 'Server' && ref.name === server) || (ref?.kind === 'Namespace' && ref.name === namespace);

function authenticates(
  ref: Ref,
  namespace: string,
  identity: Identity,
  authentications: readonly KubeObject[],
): boolean {
  if (ref.kind === 'ServiceAccount') return isAccount(ref, namespace, identity);
  const found = authentications.find(
    ({ metadata }) => metadata.name === ref.name && metadata.namespace === (ref.namespace ?? namespace),
  );
  const { identities = [], identityRefs = [] } = (found?.spec ?? {}) as MeshTlsSpec;
  if (identity === null) return false;
  const own = identityText(identity);
  return (
    identities.some((one) => one === '*' || one === own || (one.startsWith('*.') && own.endsWith(one.slice(1)))) ||
    identityRefs.some((one) => isAccount(one, namespace, identity))
  );
}

const isAccount = (ref: Ref, namespace: string, identity: Identity): boolean =>
  identity !== null &&
  ((ref.kind === 'ServiceAccount' &&
    ref.name === identity.serviceAccount &&
    (ref.namespace ?? namespace) === identity.namespace) ||
    (ref.kind === 'Namespace' && ref.name === identity.namespace));
