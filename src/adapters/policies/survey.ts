/** What stands around a scope before its migration: the Deployment, its policies, and whether they may be written. */
import type { AskedScope, PolicySurvey } from '../../app/migration/ports.ts';
import type { Finding } from '../../app/usecases.ts';
import type { Scope } from '../../domain/migration/migration.ts';
import { scopeWords } from '../../domain/migration/migration.ts';
import { effectiveMode, sourceWords } from '../inspect/istio/mtls.ts';
import { nameOf, names, namespaceOf, PEER_AUTHENTICATIONS } from '../inspect/istio/objects.ts';
import { includes, type Labels, selectorOf } from '../inspect/istio/workloads.ts';
import type { KubeClient, KubeObject } from '../kubernetes/kube.ts';
import { recordAt } from '../routes/json.ts';
import { stampOn } from './decision.ts';
import { MIGRATION_RIGHTS, policiesIn, policiesOfScope } from './peer-authentication.ts';

export interface Surveyed {
  readonly kube: KubeClient;
  /** Namespace of the control plane: policies without a selector in it are for the whole mesh. */
  readonly root: string;
  /** false: workers with an account of their own write. */
  readonly writesHere: boolean;
}

const finding = (level: Finding['level'], check: string, message: string, remediation?: string): Finding => ({
  check,
  level,
  message,
  ...(remediation === undefined ? {} : { remediation }),
});

/** The survey, or why there can be none. */
export async function surveyScope(
  surveyed: Surveyed,
  asked: AskedScope,
  name: string,
): Promise<PolicySurvey | readonly Finding[]> {
  const { kube, root } = surveyed;
  const space = asked.namespace ?? root;
  const deployments =
    asked.workload === undefined
      ? { ok: true as const, value: [] }
      : await kube.list({ group: 'apps', version: 'v1', plural: 'deployments', namespace: space });
  if (!deployments.ok) return [finding('fail', 'mtls.workload', deployments.message)];
  const scope = scopeOf(asked, space, root, deployments.value);
  if (scope === null)
    return [
      finding(
        'fail',
        'mtls.workload',
        `scope.workload: wanted the Deployment ${space}/${asked.workload}, by whose labels its pods are selected; found ${deployments.value.map(({ metadata }) => metadata.name).join(', ') || 'none'}`,
        'Name one of them in scope.workload, correct scope.namespace, or leave scope.workload out to migrate the whole namespace',
      ),
    ];
  const [own, wide] = await Promise.all([policiesIn(kube, space), space === root ? null : policiesIn(kube, root)]);
  if (!own.ok) return [finding('fail', 'mtls.policy', own.message)];
  const policies = [...own.value.policies, ...(wide?.ok === true ? wide.value.policies : [])];
  const [present, ...ignored] = policiesOfScope(policies, scope, root);
  const policy =
    present === undefined
      ? { namespace: space, name, made: true }
      : { namespace: space, name: present.metadata.name, made: false };
  const findings = [
    modeFinding(policies, scope, root),
    ...(present === undefined ? [] : aboutPresent(present, ignored, scope, deployments.value)),
    ...narrower(policies, scope),
    ...(await rights(surveyed, policy)),
  ];
  return { scope, policy, findings, epoch: present === undefined ? 0 : (stampOn(present)?.epoch ?? 0) };
}

function scopeOf(asked: AskedScope, space: string, root: string, deployments: readonly KubeObject[]): Scope | null {
  const { workload } = asked;
  if (workload === undefined)
    return space === root ? { kind: 'mesh', namespace: root } : { kind: 'namespace', namespace: space };
  const found = deployments.find(({ metadata }) => metadata.name === workload);
  if (found === undefined) return null;
  return {
    kind: 'workload',
    namespace: space,
    deployment: workload,
    selector: selects(found),
    labels: labelsOf(found),
  };
}

const selects = ({ spec }: KubeObject): Labels => recordAt(recordAt(spec, 'selector'), 'matchLabels') as Labels;
const labelsOf = ({ spec }: KubeObject): Labels =>
  recordAt(recordAt(recordAt(spec, 'template'), 'metadata'), 'labels') as Labels;

/** Only from PERMISSIVE: where nothing is encrypted, everybody would be refused at once. */
function modeFinding(policies: readonly KubeObject[], scope: Scope, root: string): Finding {
  const labels = scope.kind === 'workload' ? scope.labels : null;
  const found = effectiveMode(policies, scope.namespace, root, labels);
  const says = `${scopeWords(scope)} has mTLS mode ${found.mode} (${sourceWords(found)})`;
  if (found.mode === 'PERMISSIVE') return finding('pass', 'mtls.mode', says);
  if (found.mode === 'STRICT')
    return finding(
      'fail',
      'mtls.mode',
      `${says} in spec.mtls.mode: there is nothing to migrate`,
      'Leave this scope out. To have STRICT proven by a watch, set spec.mtls.mode to PERMISSIVE there first, and migrate then',
    );
  return finding(
    'fail',
    'mtls.mode',
    `${says}: wanted PERMISSIVE`,
    'Set spec.mtls.mode to PERMISSIVE first, and see that callers use mTLS',
  );
}

function aboutPresent(
  present: KubeObject,
  ignored: readonly KubeObject[],
  scope: Scope,
  deployments: readonly KubeObject[],
): readonly Finding[] {
  const others =
    scope.kind === 'workload'
      ? deployments.filter(
          (other) => other.metadata.name !== scope.deployment && includes(labelsOf(other), selectorOf(present)),
        )
      : [];
  const ports = Object.entries(recordAt(present.spec, 'portLevelMtls')).map(
    ([port, mtls]) => `${port} (${String((mtls as Labels)['mode'] ?? 'UNSET')})`,
  );
  return [
    ...(others.length === 0
      ? []
      : [
          finding(
            'fail',
            'mtls.policy',
            `PeerAuthentication ${nameOf(present)} is in force for ${scopeWords(scope)}, and selects ${names(others)} too: STRICT would be for all of them`,
            'Migrate the namespace, or give each workload a PeerAuthentication of its own',
          ),
        ]),
    ...(ignored.length === 0
      ? []
      : [
          finding(
            'warn',
            'mtls.policy',
            `several PeerAuthentications are for ${scopeWords(scope)}: the oldest, ${nameOf(present)}, is in force and is written; ${names(ignored)} stay without effect`,
          ),
        ]),
    ...(ports.length === 0
      ? []
      : [
          finding(
            'warn',
            'mtls.ports',
            `PeerAuthentication ${nameOf(present)} sets ports apart (spec.portLevelMtls), which are left as they are: ${ports.join(', ')}`,
          ),
        ]),
  ];
}

/** Policies of a narrower scope win over ours and stay as they are. */
function narrower(policies: readonly KubeObject[], scope: Scope): readonly Finding[] {
  const own = policies.filter(
    (policy) =>
      scope.kind === 'namespace' &&
      namespaceOf(policy) === scope.namespace &&
      Object.keys(selectorOf(policy)).length > 0,
  );
  if (scope.kind === 'mesh')
    return [
      finding('warn', 'mtls.narrower', 'namespaces and workloads with a PeerAuthentication of their own keep its mode'),
    ];
  if (own.length === 0) return [];
  return [
    finding('warn', 'mtls.narrower', `workloads with a PeerAuthentication of their own keep its mode: ${names(own)}`),
  ];
}

async function rights(
  { kube, writesHere }: Surveyed,
  policy: { readonly namespace: string; readonly made: boolean },
): Promise<readonly Finding[]> {
  if (!writesHere) return [];
  const verbs = policy.made ? ['create', 'patch', 'delete'] : ['patch'];
  const answers = await Promise.all(
    verbs.map((verb) =>
      kube.canI(verb, { ...PEER_AUTHENTICATIONS, version: '', namespace: policy.namespace, name: '' }),
    ),
  );
  const missing = verbs.filter((_, index) => {
    const answer = answers[index];
    return answer?.ok === true && !answer.value;
  });
  if (missing.length === 0) return [];
  const [rule] = MIGRATION_RIGHTS;
  return [
    finding(
      'fail',
      'mtls.rights',
      `this service may not ${missing.join(', ')} peerauthentications in namespace ${policy.namespace}`,
      `Grant it in a Role there: apiGroups: ["${PEER_AUTHENTICATIONS.group}"], resources: ["${PEER_AUTHENTICATIONS.plural}"], verbs: [${rule?.verbs.map((verb) => `"${verb}"`).join(', ')}]`,
    ),
  ];
}
