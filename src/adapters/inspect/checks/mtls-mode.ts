import type { KubeObject } from '../../kubernetes/kube.ts';
import { type CheckResult, defineCheck, type Surroundings } from '../check.ts';
import { type Mode, ofScope, type Scope, sourceWords } from '../istio/mtls.ts';
import { nameOf, names, namespaceOf, PEER_AUTHENTICATIONS } from '../istio/objects.ts';
import { type PeerAuthentications, peerAuthentications } from '../istio/peer-authentications.ts';
import { pass, warn } from '../istio/results.ts';
import { type Labels, selectorOf, versionsOf } from '../istio/workloads.ts';
import { DEPLOYMENTS, lists } from '../kinds.ts';

const strictly = (name: string, namespace: string, labels: Labels | null): string =>
  [
    'apiVersion: security.istio.io/v1beta1',
    'kind: PeerAuthentication',
    `metadata: { name: ${name}, namespace: ${namespace} }`,
    'spec:',
    ...(labels === null ? [] : [`  selector: { matchLabels: { ${inline(labels)} } }`]),
    '  mtls: { mode: STRICT }',
  ].join('\n');

const inline = (labels: Labels): string =>
  Object.entries(labels)
    .map(([key, value]) => `${key}: ${value}`)
    .join(', ');

/** `who`: "workload myapp-v1", "namespace production". */
function judged(who: string, found: Mode, strict: string): CheckResult {
  const { mode, from, ports } = found;
  const apart = Object.entries(ports).filter(([, own]) => own !== mode);
  const evidence = {
    who,
    mode,
    policy: from === null ? null : nameOf(from.policy),
    scope: from?.scope ?? 'default',
    field: 'spec.mtls.mode',
    ports: apart.map(([port, own]) => `${port} ${own}`),
  };
  const says = `${who} has mTLS mode ${mode} (${sourceWords(found)}, spec.mtls.mode)${apart.length === 0 ? '' : `, and by spec.portLevelMtls ${apart.map(([port, own]) => `${own} at port ${port}`).join(', ')}`}`;
  const weak = apart.find(([, own]) => own !== 'STRICT');
  if (mode === 'STRICT' && weak === undefined) return pass(says, evidence);
  if (mode === 'DISABLE')
    return warn(
      `${says}: nothing is encrypted, and no policy can tell callers apart`,
      evidence,
      `Apply, once no caller needs plain text:\n${strict}`,
    );
  return warn(
    `${says}: callers without mTLS are let in. Start permissive, migrate to strict`,
    evidence,
    `When no request comes in plain text any more (connection_security_policy="none" in istio_requests_total), apply:\n${strict}`,
  );
}

/** Of two policies for the same, only the oldest is in force. */
function conflict(scope: Scope, whom: string, policies: readonly KubeObject[]): readonly CheckResult[] {
  const [first, ...others] = policies;
  if (first === undefined || others.length === 0) return [];
  return [
    warn(
      `${policies.length} PeerAuthentications are for ${whom}: ${names(policies)}. Istio uses the oldest, ${nameOf(first)}, and ignores spec.mtls of the others`,
      { scope, inForce: nameOf(first), ignored: others.map(nameOf), field: 'spec.mtls' },
      `Keep one: ${others.map((other) => `kubectl delete peerauthentication ${other.metadata.name} -n ${namespaceOf(other)}`).join('; ')}`,
    ),
  ];
}

const widerConflicts = ({ policies }: PeerAuthentications, namespace: string, root: string): readonly CheckResult[] => [
  ...conflict('namespace', `namespace ${namespace}`, ofScope(policies, 'namespace', namespace, root)),
  ...conflict('mesh', 'the mesh', ofScope(policies, 'mesh', namespace, root)),
];

/** The namespace, the workloads in it that have a policy of their own, and the mesh. */
function ofNamespace(found: PeerAuthentications, namespace: string, root: string): readonly CheckResult[] {
  const mode = found.mode(null);
  const own = found.policies.filter(
    (policy) => namespaceOf(policy) === namespace && Object.keys(selectorOf(policy)).length > 0,
  );
  return [
    judged(`namespace ${namespace}`, mode, strictly('default', namespace, null)),
    ...own.map((policy) => {
      const labels = selectorOf(policy);
      const workloads = found.mode(labels);
      return judged(
        `every workload of namespace ${namespace} with ${inline(labels)}`,
        workloads,
        strictly(policy.metadata.name, namespace, labels),
      );
    }),
    ...widerConflicts(found, namespace, root),
  ];
}

async function ofTarget(around: Surroundings, found: PeerAuthentications): Promise<readonly CheckResult[]> {
  const { target, controlPlane: root } = around;
  const versions = target === null ? null : await versionsOf(around, target);
  if (target === null || versions === null) return [];
  const { namespace } = target;
  const [stable, canary] = [versions.stable, versions.canary].map((version) => ({
    version,
    mode: found.mode(version.labels),
  }));
  if (stable === undefined || canary === undefined) return [];
  const differ: readonly CheckResult[] =
    stable.mode.mode === canary.mode.mode
      ? []
      : [
          warn(
            `the canary ${canary.version.name} has mTLS mode ${canary.mode.mode} (${sourceWords(canary.mode)}) and the stable ${stable.version.name} ${stable.mode.mode} (${sourceWords(stable.mode)}), in spec.mtls.mode: callers that one lets in the other may refuse`,
            { stable: stable.mode.mode, canary: canary.mode.mode, field: 'spec.mtls.mode' },
            'Let one PeerAuthentication select both versions, by a label that both have in spec.selector.matchLabels',
          ),
        ];
  return [
    ...[stable, canary].map(({ version, mode }) =>
      judged(`${version.role} workload ${namespace}/${version.name}`, mode, strictly('default', namespace, null)),
    ),
    ...differ,
    ...[stable, canary].flatMap(({ version }) =>
      conflict(
        'workload',
        `the workload ${namespace}/${version.name}`,
        ofScope(found.policies, 'workload', namespace, root, version.labels),
      ),
    ),
    ...widerConflicts(found, namespace, root),
  ];
}

export default defineCheck({
  name: 'mtls.mode',
  about:
    'The mTLS mode of the workloads and where it comes from; other than STRICT lets callers in that nobody can name.',
  meshes: ['istio', 'gateway-api'],
  scope: 'namespace',
  rbac: lists(PEER_AUTHENTICATIONS, DEPLOYMENTS),
  async run(around) {
    const { namespace, controlPlane } = around;
    if (around.proxy !== 'istio' || namespace === null) return [];
    const found = await peerAuthentications(around, namespace);
    return around.target === null ? ofNamespace(found, namespace, controlPlane) : ofTarget(around, found);
  },
});
