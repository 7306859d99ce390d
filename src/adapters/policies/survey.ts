/** What stands around a scope before its migration: the Deployment, whom its policy selects, and whether it may be written. */
import type { AskedScope, PolicySurvey } from '../../app/migration/ports.ts';
import type { Finding } from '../../app/usecases.ts';
import type { Scope } from '../../domain/migration/migration.ts';
import { scopeWords } from '../../domain/migration/migration.ts';
import { effectiveMode, sourceWords } from '../inspect/istio/mtls.ts';
import { nameOf, names, namespaceOf, PEER_AUTHENTICATIONS } from '../inspect/istio/objects.ts';
import { type Labels, selectorOf } from '../inspect/istio/workloads.ts';
import type { KubeClient, KubeObject } from '../kubernetes/kube.ts';
import { recordAt } from '../routes/json.ts';
import { stampOn } from './decision.ts';
import { MIGRATION_RIGHTS, neighboursIn, policiesIn, policiesOfScope } from './peer-authentication.ts';
import type { Neighbours } from './selection.ts';
import { labelWords, selectedBeside, selectionOf, templateLabelsOf } from './selection.ts';

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
  const around = asked.workload === undefined ? NOBODY : await neighboursIn(kube, space);
  if (!around.ok)
    return [
      finding(
        'fail',
        'mtls.workload',
        `scope.workload: ${around.message}`,
        `See that this service may list deployments.apps and pods in namespace ${space}, and try again`,
      ),
    ];
  const { deployments } = around.value;
  const deployment = deployments.find(({ metadata }) => metadata.name === asked.workload);
  if (asked.workload !== undefined && deployment === undefined)
    return [
      finding(
        'fail',
        'mtls.workload',
        `scope.workload: wanted the Deployment ${space}/${asked.workload}, by whose labels its pods are selected; found ${deployments.map(({ metadata }) => metadata.name).join(', ') || 'none'}`,
        'Name one of them in scope.workload, correct scope.namespace, or leave scope.workload out to migrate the whole namespace',
      ),
    ];
  const [own, wide] = await Promise.all([policiesIn(kube, space), space === root ? null : policiesIn(kube, root)]);
  if (!own.ok) return [finding('fail', 'mtls.policy', own.message)];
  const policies = [...own.value.policies, ...(wide?.ok === true ? wide.value.policies : [])];
  const bare = bareScope(deployment, space, root);
  const [present, ...ignored] = policiesOfScope(policies, bare, root);
  const { scope, findings: selecting } = selected(bare, deployment, present, around.value);
  const policy =
    present === undefined
      ? { namespace: space, name, made: true }
      : { namespace: space, name: present.metadata.name, made: false };
  const findings = [
    modeFinding(policies, scope, root),
    ...selecting,
    ...(present === undefined ? [] : aboutPresent(present, ignored, scope)),
    ...narrower(policies, scope),
    ...(await rights(surveyed, policy)),
  ];
  return { scope, policy, findings, epoch: present === undefined ? 0 : (stampOn(present)?.epoch ?? 0) };
}

const NOBODY = { ok: true, value: { deployments: [], pods: [] } } as const;

/** Without the labels that its policy selects by. */
function bareScope(deployment: KubeObject | undefined, space: string, root: string): Scope {
  if (deployment === undefined)
    return space === root ? { kind: 'mesh', namespace: root } : { kind: 'namespace', namespace: space };
  const { name } = deployment.metadata;
  return { kind: 'workload', namespace: space, deployment: name, selector: {}, labels: templateLabelsOf(deployment) };
}

interface Selected {
  readonly scope: Scope;
  readonly findings: readonly Finding[];
}

/** Exactly the workload's pods, by the policy that is there or by one that is to be made; or who else would be hit. */
function selected(
  scope: Scope,
  deployment: KubeObject | undefined,
  present: KubeObject | undefined,
  around: Neighbours,
): Selected {
  if (scope.kind !== 'workload' || deployment === undefined) return { scope, findings: [] };
  if (present !== undefined) {
    const selector = selectorOf(present);
    return {
      scope: { ...scope, selector },
      findings: tooWide(present, scope, selectedBeside(selector, scope.deployment, around)),
    };
  }
  const found = selectionOf(deployment, around);
  const who = `Deployment ${scope.namespace}/${scope.deployment}`;
  if (found.ok)
    return {
      scope: { ...scope, selector: found.labels },
      findings:
        found.loose.length === 0
          ? []
          : [
              finding(
                'warn',
                'mtls.selector',
                `the policy selects by ${labelWords(found.labels)}: spec.selector.matchLabels of ${who} alone would select ${found.others.join(', ')} too. ${found.loose.join(', ')} is of its pod template, which may change: pods without it are not STRICT`,
              ),
            ],
    };
  const what =
    found.others.length === 0
      ? 'has no matchLabels, and a PeerAuthentication selects by nothing else: with none, STRICT would be for the whole namespace'
      : `and the labels of its pod template also select ${found.others.join(', ')}: STRICT would be for them too`;
  return {
    scope,
    findings: [finding('fail', 'mtls.selector', `${who}: spec.selector ${what}`, remedyOf(scope, found.others))],
  };
}

const remedyOf = (
  { namespace, deployment }: Extract<Scope, { kind: 'workload' }>,
  others: readonly string[],
): string =>
  others.length === 0
    ? `Give the pod template a label of its own and spec.selector.matchLabels with it (a new Deployment: the selector cannot be changed), or make a PeerAuthentication with mode PERMISSIVE that selects that label, which is then migrated; or migrate the namespace: scope {namespace: ${namespace}}`
    : `Give the pod template a label of its own, spec.template.metadata.labels: { workload: ${deployment} } for one, or migrate the namespace: scope {namespace: ${namespace}}`;

function tooWide(present: KubeObject, scope: Scope, others: readonly string[]): readonly Finding[] {
  if (others.length === 0) return [];
  return [
    finding(
      'fail',
      'mtls.policy',
      `PeerAuthentication ${nameOf(present)} is in force for ${scopeWords(scope)}, and its spec.selector selects ${others.join(', ')} too: STRICT would be for all of them`,
      'Migrate the namespace, or give each workload a PeerAuthentication of its own, by a label that only its pods have',
    ),
  ];
}

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

function aboutPresent(present: KubeObject, ignored: readonly KubeObject[], scope: Scope): readonly Finding[] {
  const ports = Object.entries(recordAt(present.spec, 'portLevelMtls')).map(
    ([port, mtls]) => `${port} (${String((mtls as Labels)['mode'] ?? 'UNSET')})`,
  );
  return [
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
