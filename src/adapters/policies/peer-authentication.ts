/**
 * One PeerAuthentication of one migration. Each write is one request on condition of the resourceVersion that was read,
 * and holds nothing but the mode and the decision. STRICT is never created, only patched: a create has no condition, so
 * one that was delayed past the way back must be harmless.
 */
import type { PolicyDecision, PolicyObject, PolicyWritten } from '../../app/migration/ports.ts';
import type { MigrationPlan, Scope } from '../../domain/migration/migration.ts';
import { compareStamps, policyWords, scopeWords } from '../../domain/migration/migration.ts';
import type { Beyond, Heard, PolicyNow, PolicyReading, PolicyRefusal } from '../../domain/migration/observation.ts';
import { modeOf, ofScope } from '../inspect/istio/mtls.ts';
import { nameOf, PEER_AUTHENTICATIONS } from '../inspect/istio/objects.ts';
import { type Labels, selectorOf } from '../inspect/istio/workloads.ts';
import { DEPLOYMENTS, PODS } from '../inspect/kinds.ts';
import type { Kube, KubeClient, KubeObject, KubeTrouble, ObjectRef, PatchOp } from '../kubernetes/kube.ts';
import type { PolicyRule } from '../mesh.ts';
import { DECISION_ANNOTATION } from '../routes/decision.ts';
import { isRecord, recordAt } from '../routes/json.ts';
import { pointer } from '../routes/pointer.ts';
import { lastWriter } from '../routes/writers.ts';
import { encodeDecision, stampOn } from './decision.ts';
import { type Neighbours, selectedBeside } from './selection.ts';

/** What a worker needs beside the right to list. */
export const MIGRATION_RIGHTS: readonly PolicyRule[] = [
  {
    apiGroups: [PEER_AUTHENTICATIONS.group],
    resources: [PEER_AUTHENTICATIONS.plural],
    verbs: ['list', 'create', 'patch', 'delete'],
  },
];

/** The same request will be refused again until somebody changes something. */
const PERMANENT: ReadonlySet<string> = new Set(['forbidden', 'rejected', 'invalid', 'kind_not_served', 'not_kept']);

export const refusalOf = ({
  code,
  message,
}: Pick<KubeTrouble, 'message'> & { readonly code: string }): PolicyRefusal => ({
  ok: false,
  code,
  message,
  permanent: PERMANENT.has(code),
});

/** The policies of a namespace, and the version that they were read in. */
export async function policiesIn(
  kube: KubeClient,
  namespace: string,
): Promise<Kube<{ readonly version: string; readonly policies: readonly KubeObject[] }>> {
  const versions = await kube.versions(PEER_AUTHENTICATIONS.group);
  if (!versions.ok) return versions;
  for (const version of versions.value) {
    const found = await kube.list({ ...PEER_AUTHENTICATIONS, version, namespace });
    if (found.ok) return { ok: true, value: { version, policies: found.value } };
    if (found.code !== 'kind_not_served') return found;
  }
  const message = `cluster ${kube.cluster} does not serve peerauthentications.${PEER_AUTHENTICATIONS.group}; is Istio installed?`;
  return { ok: false, code: 'kind_not_served', status: null, message };
}

/** What runs, or may run, in a namespace: straight from the API server, since a policy is for them in that moment. */
export async function neighboursIn(kube: KubeClient, namespace: string): Promise<Kube<Neighbours>> {
  const [deployments, pods] = await Promise.all([
    kube.list({ ...DEPLOYMENTS, version: 'v1', namespace }),
    kube.list({ ...PODS, version: 'v1', namespace }),
  ]);
  if (!deployments.ok) return deployments;
  if (!pods.ok) return pods;
  return { ok: true, value: { deployments: deployments.value, pods: pods.value } };
}

export const policiesOfScope = (policies: readonly KubeObject[], scope: Scope, root: string): readonly KubeObject[] =>
  ofScope(policies, scope.kind, scope.namespace, root, scope.kind === 'workload' ? scope.labels : {});

export function openPolicy(plan: MigrationPlan, kube: KubeClient, root: string): PolicyObject {
  const { scope, policy } = plan;
  let version = 'v1beta1';
  const ref = (): ObjectRef => ({ ...PEER_AUTHENTICATIONS, version, namespace: policy.namespace, name: policy.name });

  const patch = async (decision: PolicyDecision, read: PolicyNow): Promise<PolicyWritten> => {
    const found = await kube.get(ref());
    if (!found.ok) return refused(found);
    // On the way back it is written whatever it selects.
    if (decision.mode === 'STRICT' && isForAll(scope, selectorOf(found.value))) return wholeNamespace(plan);
    const newer = newerThan(found.value, decision);
    if (newer !== null) return newer;
    if (found.value.metadata.resourceVersion !== read.token) return { kind: 'conflict' };
    const answer = await kube.patch(ref(), opsOf(found.value, decision));
    return answer.ok ? kept(answer.value, decision, plan) : refused(answer);
  };

  return {
    object: policyWords(plan),
    async read(): Promise<PolicyReading> {
      const found = await policiesIn(kube, policy.namespace);
      if (!found.ok) return refusalOf(found);
      version = found.value.version;
      const own = found.value.policies.find(({ metadata }) => metadata.name === policy.name) ?? null;
      const same = policiesOfScope(found.value.policies, scope, root);
      const at = own === null ? same.length : same.indexOf(own);
      // Somebody may have given it another selector: then it is for nobody of the scope.
      const before = (at < 0 ? same : same.slice(0, at)).map((other) => `PeerAuthentication ${nameOf(other)}`);
      return { ok: true, policy: own === null ? null : nowOf(own), before };
    },
    async beyond(): Promise<Heard<Beyond>> {
      if (scope.kind !== 'workload') return { ok: true, workloads: [] };
      const [found, around] = await Promise.all([
        policiesIn(kube, policy.namespace),
        neighboursIn(kube, scope.namespace),
      ]);
      if (!found.ok) return refusalOf(found);
      if (!around.ok) return refusalOf(around);
      const own = found.value.policies.find(({ metadata }) => metadata.name === policy.name);
      const labels = own === undefined ? scope.selector : selectorOf(own);
      return { ok: true, workloads: selectedBeside(labels, scope.deployment, around.value) };
    },
    async create(decision) {
      if (scope.kind === 'workload' && isForAll(scope, scope.selector)) return wholeNamespace(plan);
      const spec = {
        ...(scope.kind === 'workload' ? { selector: { matchLabels: scope.selector } } : {}),
        mtls: { mode: 'UNSET' },
      };
      const annotations = { [DECISION_ANNOTATION]: encodeDecision({ ...decision, mode: 'UNSET' }, null) };
      const metadata = { name: policy.name, namespace: policy.namespace, annotations };
      const answer = await kube.create(ref(), { kind: 'PeerAuthentication', metadata, spec });
      if (answer.ok) return { kind: 'written' };
      // Of a create it is the namespace that is not found.
      return answer.code === 'not_found' ? { kind: 'trouble', trouble: refusalOf(answer) } : refused(answer);
    },
    setMode: patch,
    async remove(decision, read) {
      const newer = read.stamp === null ? null : newerStamp(read.stamp, decision);
      if (newer !== null) return newer;
      const answer = await kube.delete(ref(), read.token);
      return answer.ok ? { kind: 'written' } : refused(answer);
    },
  };
}

/** No label selects every workload of the namespace. */
const isForAll = ({ kind }: Scope, selector: Labels): boolean =>
  kind === 'workload' && Object.keys(selector).length === 0;

const wholeNamespace = (plan: MigrationPlan): PolicyWritten => ({
  kind: 'trouble',
  trouble: refusalOf({
    code: 'invalid',
    message: `${policyWords(plan)}: wanted spec.selector.matchLabels, since it is for ${scopeWords(plan.scope)} alone; found none, which selects the whole namespace. Nothing was written: give it a label that only the pods of that workload have`,
  }),
});

const nowOf = (object: KubeObject): PolicyNow => ({
  mode: writtenMode(object),
  stamp: stampOn(object),
  token: object.metadata.resourceVersion ?? '',
  lastWriter: lastWriter(object, 'mtls'),
});

/** As it is written: UNSET is not the same text as nothing, though it means the same. */
function writtenMode(object: KubeObject): string | null {
  const { mode } = recordAt(object.spec, 'mtls');
  return modeOf(object) ?? (mode === 'UNSET' ? 'UNSET' : null);
}

function opsOf(object: KubeObject, decision: PolicyDecision): readonly PatchOp[] {
  const value = encodeDecision(decision, writtenMode(object));
  return [
    // `replace`, not `test`: a stale one answers 409 instead of a 422 that does not say which operation failed.
    { op: 'replace', path: '/metadata/resourceVersion', value: object.metadata.resourceVersion },
    ...modeOps(object, decision.mode),
    ...(object.metadata.annotations === undefined
      ? [{ op: 'add', path: '/metadata/annotations', value: {} } as const]
      : []),
    { op: 'add', path: pointer('metadata', 'annotations', DECISION_ANNOTATION), value },
  ];
}

function modeOps({ spec }: KubeObject, mode: string | null): readonly PatchOp[] {
  const mtls = isRecord(spec) ? spec['mtls'] : undefined;
  if (mode === null)
    return isRecord(mtls) && mtls['mode'] !== undefined ? [{ op: 'remove', path: '/spec/mtls/mode' }] : [];
  if (!isRecord(spec)) return [{ op: 'add', path: '/spec', value: { mtls: { mode } } }];
  if (!isRecord(mtls)) return [{ op: 'add', path: '/spec/mtls', value: { mode } }];
  return [{ op: 'add', path: '/spec/mtls/mode', value: mode }];
}

/** 200 is not proof: webhooks change objects. */
function kept(answer: KubeObject, decision: PolicyDecision, plan: MigrationPlan): PolicyWritten {
  const stamp = stampOn(answer);
  if (writtenMode(answer) === decision.mode && stamp !== null && compareStamps(stamp, decision.stamp) === 0)
    return { kind: 'written' };
  const message = `${policyWords(plan)}: mode ${decision.mode ?? 'of its own: none'} was written and the API server kept ${writtenMode(answer) ?? 'none'}; look for a webhook or a controller that changes it`;
  return { kind: 'trouble', trouble: refusalOf({ code: 'not_kept', message }) };
}

function newerThan(object: KubeObject, decision: PolicyDecision): PolicyWritten | null {
  const seen = stampOn(object);
  return seen === null ? null : newerStamp(seen, decision);
}

const newerStamp = (seen: NonNullable<PolicyNow['stamp']>, { stamp }: PolicyDecision): PolicyWritten | null =>
  compareStamps(seen, stamp) > 0 ? { kind: 'superseded', by: seen } : null;

const refused = (answer: KubeTrouble): PolicyWritten =>
  answer.code === 'conflict' || answer.code === 'not_found'
    ? { kind: 'conflict' }
    : { kind: 'trouble', trouble: refusalOf(answer) };
