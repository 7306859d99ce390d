/**
 * The least number of pods of an autoscaler, raised for a rollout. The autoscaler stays in charge: it may always have more
 * pods, and whoever writes spec.replicas beside it only fights it. What it was is noted on the autoscaler.
 */
import type { PreparationWritten } from '../../app/ports.ts';
import type { PreparationTask } from '../../domain/preparation.ts';
import type { Kube, KubeClient, KubeObject, ObjectRef, PatchOp } from '../kubernetes/kube.ts';
import { CONFLICT, refused, type Seen, tokenOf, unread, writtenOf } from '../preparation.ts';
import { numberAt } from '../routes/json.ts';
import { pointer } from '../routes/pointer.ts';
import { type Mark, markOn, onCondition, removeMark, setMark } from './mark.ts';
import { canaryDeployment, replicasOf, scales, setReplicas } from './replicas.ts';

export const SCALE_ANNOTATION = 'sluice.dev/scale';

export interface Autoscaler {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  /** For people. */
  readonly kind: string;
  /** Fields of the spec, and what an absent one means. */
  readonly least: { readonly field: string; readonly usual: number };
  readonly most: { readonly field: string; readonly usual: number };
  /** Can it be left without pods? With KEDA no: it scales up from 0 by itself. */
  readonly canRest: boolean;
  /** Why it may not be raised, with what to do; null: it may. */
  objection(object: KubeObject): string | null;
}

const refOf = ({ group, version, plural }: Autoscaler, { target }: PreparationTask, name: string): ObjectRef => ({
  group,
  version,
  plural,
  namespace: target.namespace,
  name,
});

/** The autoscaler of the canary; null: it has none. Once a rollout has written to one, it is that one. */
async function find(how: Autoscaler, kube: KubeClient, task: PreparationTask): Promise<Kube<KubeObject | null>> {
  const { target, prepared } = task;
  if (prepared !== null) return kube.get(refOf(how, task, prepared.object.split('/').at(-1) ?? ''));
  const { group, version, plural } = how;
  const all = await kube.list({ group, version, plural, namespace: target.namespace });
  if (!all.ok) return all.code === 'kind_not_served' ? { ok: true, value: null } : all;
  const own = all.value.find((one) => scales(one, target.canary.deployment));
  return { ok: true, value: own ?? null };
}

const leastOf = ({ least }: Autoscaler, { spec }: KubeObject): number => numberAt(spec, least.field) ?? least.usual;

export async function lookAtFloor(how: Autoscaler, kube: KubeClient, task: PreparationTask): Promise<Seen | null> {
  const found = await find(how, kube, task);
  if (!found.ok) return unread(found);
  const object = found.value;
  if (object === null) return null;
  if (task.leaving !== null) return back(how, kube, task, object);
  const asleep = await asleepUnder(how, kube, task);
  return asleep === null ? forward(how, task, object) : asleep;
}

/** An autoscaler that does not wake a Deployment of 0 pods: nothing would ever come of its new least number. */
async function asleepUnder(
  { canRest, kind }: Autoscaler,
  kube: KubeClient,
  task: PreparationTask,
): Promise<Seen | null> {
  if (!canRest) return null;
  const found = await canaryDeployment(kube, task);
  if (!found.ok) return unread(found);
  if (replicasOf(found.value) > 0) return null;
  const { namespace, canary } = task.target;
  return refused(
    `deployment ${canary.deployment} is scaled to 0, and a ${kind} leaves it there. Run: kubectl scale deployment ${canary.deployment} -n ${namespace} --replicas=1`,
  );
}

const words = ({ kind }: Autoscaler, { target }: PreparationTask, { metadata }: KubeObject): string =>
  `${kind} ${target.namespace}/${metadata.name}`;

function forward(how: Autoscaler, task: PreparationTask, object: KubeObject): Seen {
  const name = words(how, task, object);
  const { least, most } = how;
  const wanted = task.replicas ?? 1;
  const highest = numberAt(object.spec, most.field) ?? most.usual;
  const objection = how.objection(object);
  if (objection !== null) return refused(`${name}: ${objection}`);
  if (highest < wanted)
    return refused(
      `${name} scales deployment ${task.target.canary.deployment}, of which the step wants ${wanted} pods, and its spec.${most.field} is ${highest}: raise spec.${most.field} to at least ${wanted}, or ask for fewer pods`,
    );
  const now = leastOf(how, object);
  const mark = markOn(object, SCALE_ANNOTATION);
  const standing = now >= wanted && (mark === null || mark.rollout === task.rollout);
  return {
    ok: true,
    object: name,
    token: tokenOf(object),
    before: beforeOf(how, object, mark),
    standing,
    ours: mark?.rollout === task.rollout,
    message: standing ? `spec.${least.field} is ${now}` : `spec.${least.field} ${now} -> ${Math.max(now, wanted)}`,
    read: object,
  };
}

/** Notes of another rollout are of one that is gone: its number is the one to put back. */
const beforeOf = ({ least }: Autoscaler, object: KubeObject, mark: Mark | null): number | null =>
  numberAt(mark ?? object.spec, mark === null ? least.field : 'before');

async function back(how: Autoscaler, kube: KubeClient, task: PreparationTask, object: KubeObject): Promise<Seen> {
  const ours = markOn(object, SCALE_ANNOTATION)?.rollout === task.rollout;
  const token = tokenOf(object);
  const seen = {
    ok: true as const,
    object: words(how, task, object),
    token,
    before: null,
    standing: false,
    ours,
    message: `spec.${how.least.field} is ${leastOf(how, object)}`,
    read: object,
  };
  const fenced = task.prepared?.landed === true || token !== task.prepared?.token;
  if (ours || !fenced || !rests(how, task)) return seen;
  const pods = await canaryDeployment(kube, task);
  if (!pods.ok) return pods.code === 'not_found' ? seen : unread(pods);
  const none = replicasOf(pods.value) === 0;
  return none
    ? { ...seen, message: `${seen.message}, and the deployment has no pods` }
    : { ...seen, ours: true, token: tokenOf(pods.value) };
}

const rests = ({ canRest }: Autoscaler, { leaving }: PreparationTask): boolean => leaving === 'zero' && canRest;

export async function raiseFloor(
  how: Autoscaler,
  kube: KubeClient,
  task: PreparationTask,
  token: string,
): Promise<PreparationWritten> {
  const found = await find(how, kube, task);
  if (!found.ok) return writtenOf(found, () => null);
  const object = found.value;
  if (object === null || tokenOf(object) !== token) return CONFLICT;
  const before = beforeOf(how, object, markOn(object, SCALE_ANNOTATION));
  const wanted = Math.max(task.replicas ?? 1, before ?? how.least.usual);
  const mark = { rollout: task.rollout, before };
  return patch(how, kube, task, object, [...setMark(object, SCALE_ANNOTATION, mark), setLeast(how, wanted)], (kept) =>
    leastOf(how, kept) === wanted && markOn(kept, SCALE_ANNOTATION)?.rollout === task.rollout
      ? null
      : `spec.${how.least.field} ${wanted} was written and the API server kept ${leastOf(how, kept)}`,
  );
}

const setLeast = ({ least }: Autoscaler, value: number): PatchOp => ({
  op: 'add',
  path: pointer('spec', least.field),
  value,
});

/** Somebody else's number stays; our notes go. */
export async function lowerFloor(
  how: Autoscaler,
  kube: KubeClient,
  task: PreparationTask,
  token: string,
): Promise<PreparationWritten> {
  const found = await find(how, kube, task);
  if (!found.ok) return writtenOf(found, () => null);
  const object = found.value;
  if (object === null) return CONFLICT;
  const mark = markOn(object, SCALE_ANNOTATION);
  if (mark?.rollout !== task.rollout) return rests(how, task) ? setReplicas(kube, task, 0, token) : { kind: 'written' };
  if (tokenOf(object) !== token) return CONFLICT;
  const before = numberAt(mark, 'before');
  const isOurs = task.prepared?.wrote.includes(leastOf(how, object)) === true;
  const undo: readonly PatchOp[] = !isOurs
    ? []
    : before === null
      ? [{ op: 'remove', path: pointer('spec', how.least.field) }]
      : [setLeast(how, before)];
  return patch(how, kube, task, object, [...undo, ...removeMark(object, SCALE_ANNOTATION)], (kept) =>
    markOn(kept, SCALE_ANNOTATION) === null ? null : `annotation ${SCALE_ANNOTATION} was removed and is still there`,
  );
}

/** The note alone. */
export async function fenceFloor(
  how: Autoscaler,
  kube: KubeClient,
  task: PreparationTask,
  token: string,
): Promise<PreparationWritten> {
  const found = await find(how, kube, task);
  if (!found.ok) return writtenOf(found, () => null);
  const object = found.value;
  if (object === null || tokenOf(object) !== token) return CONFLICT;
  const mark = { rollout: task.rollout, before: beforeOf(how, object, null) };
  return patch(how, kube, task, object, setMark(object, SCALE_ANNOTATION, mark), () => null);
}

async function patch(
  how: Autoscaler,
  kube: KubeClient,
  task: PreparationTask,
  object: KubeObject,
  ops: readonly PatchOp[],
  kept: (answer: KubeObject) => string | null,
): Promise<PreparationWritten> {
  const answer = await kube.patch(refOf(how, task, object.metadata.name), [onCondition(tokenOf(object)), ...ops]);
  return writtenOf(answer, (value) => {
    const wrong = kept(value);
    return wrong === null ? null : `${words(how, task, object)}: ${wrong}`;
  });
}
