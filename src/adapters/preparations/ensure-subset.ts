/**
 * The subsets that a target names, in the DestinationRule of its host: there before anything is led to them, gone after
 * what led to them. Only their entries are written.
 */
import type { PreparationWritten } from '../../app/ports.ts';
import type { PreparationTask } from '../../domain/preparation.ts';
import type { Kube, KubeClient, KubeObject, ObjectRef, PatchOp } from '../kubernetes/kube.ts';
import { CONFLICT, definePreparation, refused, type Seen, tokenOf, unread, writtenOf } from '../preparation.ts';
import { onCondition, removeMark, setMark } from '../prepare/mark.ts';
import { addedBy, SUBSETS_ANNOTATION, subsetMark } from '../prepare/subset-mark.ts';
import {
  DESTINATION_RULES,
  labelsOf,
  ledTo,
  NETWORKING,
  podLabelsOf,
  type RulesNow,
  rulesNow,
  subsetNames,
  subsetsFor,
  type Wanted,
  wantedOf,
} from '../prepare/subsets.ts';
import { pointer } from '../routes/pointer.ts';

/** On a DestinationRule that a rollout made: it goes when it has no subset left. */
const MADE = { 'app.kubernetes.io/managed-by': 'sluice' } as const;

export default definePreparation({
  name: 'ensure-subset',
  about: 'subsets of the DestinationRule of the host; made where there is none, taken away after a rollback.',
  prepares: 'ensureSubset',
  order: 1,
  rbac: [{ apiGroups: [NETWORKING], resources: [DESTINATION_RULES], verbs: ['list', 'create', 'patch', 'delete'] }],
  field: 'subsets',
  async look(kube, task) {
    const wanted = wantedOf(task);
    if (wanted === null)
      return refused('an ensureSubset step is for a canary that is a subset: name it in target.canary.subset');
    const now = await rulesNow(kube, wanted);
    if (!now.ok) return unread(now);
    return task.leaving === null ? forward(kube, task, wanted, now.value) : back(kube, task, wanted, now.value);
  },
  bring: async (kube, task, token) => {
    const [wanted, now] = await read(kube, task);
    if (wanted === null || !now.ok) return now.ok ? CONFLICT : writtenOf(now, () => null);
    const rule = ruleFor(task, now.value);
    if (rule === null) return token === '' ? make(kube, task, wanted, now.value.version) : CONFLICT;
    if (tokenOf(rule) !== token) return CONFLICT;
    const missing = missingIn(wanted, now.value);
    const subsets = await subsetsFor(kube, task, wanted.names);
    if (!subsets.ok) return writtenOf(subsets, () => null);
    if (typeof subsets.value === 'string') return { kind: 'trouble', message: subsets.value };
    const added = subsets.value.filter(({ name }) => missing.includes(name));
    const mark = { rollout: task.rollout, added: [...addedBy(subsetMark(rule)), ...missing] };
    const ops: readonly PatchOp[] = [
      ...setMark(rule, SUBSETS_ANNOTATION, mark),
      ...(hasList(rule) ? [] : [{ op: 'add', path: '/spec/subsets', value: [] } as const]),
      ...added.map((value) => ({ op: 'add', path: '/spec/subsets/-', value }) as const),
    ];
    return patch(kube, wanted, now.value.version, rule, ops, (kept) =>
      missing.every((name) => subsetNames(kept).includes(name)) && isMarked(task, kept)
        ? null
        : `subsets ${missing.join(', ')} were added and the API server kept ${subsetNames(kept).join(', ') || 'none'}`,
    );
  },
  takeBack: async (kube, task, token) => {
    const [wanted, now] = await read(kube, task);
    if (wanted === null || !now.ok) return now.ok ? CONFLICT : writtenOf(now, () => null);
    const { version } = now.value;
    const going = await goingFrom(kube, task, wanted, now.value);
    if (!going.ok) return writtenOf(going, () => null);
    const { rule, gone } = going.value;
    if (rule === null || tokenOf(rule) !== token) return CONFLICT;
    const left = subsetNames(rule).filter((name) => !gone.includes(name));
    if (isMade(rule) && left.length === 0 && task.leaving !== 'keep')
      return writtenOf(await kube.delete(refOf(wanted, version, rule.metadata.name), token), () => null);
    const ops = [...removals(rule, gone), ...removeMark(rule, SUBSETS_ANNOTATION)];
    return patch(kube, wanted, version, rule, ops, (kept) =>
      subsetNames(kept).some((name) => gone.includes(name)) || isMarked(task, kept)
        ? `subsets ${gone.join(', ')} were removed and the API server kept ${subsetNames(kept).join(', ')}`
        : null,
    );
  },
  fence: async (kube, task, token) => {
    const [wanted, now] = await read(kube, task);
    if (wanted === null || !now.ok) return now.ok ? CONFLICT : writtenOf(now, () => null);
    const rule = ruleFor(task, now.value);
    if (rule === null || tokenOf(rule) !== token) return CONFLICT;
    const mark = { rollout: task.rollout, added: [] };
    return patch(kube, wanted, now.value.version, rule, setMark(rule, SUBSETS_ANNOTATION, mark), () => null);
  },
});

async function read(kube: KubeClient, task: PreparationTask) {
  const wanted = wantedOf(task);
  const now = await rulesNow(kube, wanted ?? { host: '', namespace: task.target.namespace, names: [] });
  return [wanted, now] as const;
}

/** Ours, or else the oldest: of a name that two of them define Istio keeps that one's. */
const ruleFor = (task: PreparationTask, now: RulesNow): KubeObject | null =>
  markedIn(task, now) ?? now.own.find((rule) => subsetMark(rule) !== null) ?? now.own[0] ?? null;

const markedIn = (task: PreparationTask, { own }: RulesNow): KubeObject | undefined =>
  own.find((rule) => isMarked(task, rule));
const isMarked = ({ rollout }: PreparationTask, rule: KubeObject): boolean => subsetMark(rule)?.rollout === rollout;
const isMade = ({ metadata }: KubeObject): boolean =>
  Object.entries(MADE).every(([label, value]) => metadata.labels?.[label] === value);

const missingIn = ({ names }: Wanted, { own }: RulesNow): readonly string[] => {
  const defined = new Set(own.flatMap(subsetNames));
  return names.filter((name) => !defined.has(name));
};

const hasList = ({ spec }: KubeObject): boolean => Array.isArray((spec as { subsets?: unknown }).subsets);

const words = ({ namespace }: Wanted, name: string): string => `DestinationRule ${namespace}/${name}`;

async function forward(kube: KubeClient, task: PreparationTask, wanted: Wanted, now: RulesNow): Promise<Seen> {
  const rule = ruleFor(task, now);
  const [wide] = now.wider;
  if (rule === null && wide !== undefined)
    return refused(
      `${words(wanted, wide.metadata.name)} is for more hosts than ${wanted.host}, and one of the host's own would take its spec.trafficPolicy from it: make a DestinationRule for ${wanted.host} with that policy, or define subsets ${wanted.names.join(', ')} by hand`,
    );
  if (rule === null && now.taken.includes(task.target.service))
    return refused(
      `${words(wanted, task.target.service)} is for another host than ${wanted.host}, so no DestinationRule of that name can be made: define subsets ${wanted.names.join(', ')} in one for ${wanted.host} by hand`,
    );
  const missing = missingIn(wanted, now);
  const mark = rule === null ? null : subsetMark(rule);
  const standing = rule !== null && missing.length === 0 && (mark === null || mark.rollout === task.rollout);
  if (missing.length > 0) {
    const subsets = await subsetsFor(kube, task, wanted.names);
    if (!subsets.ok) return unread(subsets);
    if (typeof subsets.value === 'string') return refused(`${wanted.host}: ${subsets.value}`);
  } else if (task.prepared?.state !== 'standing') {
    const strange = await strangeIn(kube, task, wanted, now);
    if (!strange.ok) return unread(strange);
    if (strange.value !== null) return refused(strange.value);
  }
  return {
    ok: true,
    object: words(wanted, rule?.metadata.name ?? task.target.service),
    token: rule === null ? '' : tokenOf(rule),
    before: [...addedBy(mark), ...missing],
    standing,
    ours: mark?.rollout === task.rollout,
    message: standing
      ? `it has subsets ${wanted.names.join(' and ')}`
      : `${rule === null ? 'is made with' : 'gets'} ${missing.length === 1 ? 'subset' : 'subsets'} ${missing.join(' and ') || 'of an earlier rollout'}`,
    read: rule,
  };
}

/** A subset of that name that an earlier release left may be for pods of that one. null: each is for the version's own. */
async function strangeIn(
  kube: KubeClient,
  task: PreparationTask,
  wanted: Wanted,
  { own }: RulesNow,
): Promise<Kube<string | null>> {
  const versions = await podLabelsOf(kube, task);
  if (!versions.ok) return versions;
  for (const [at, name] of wanted.names.entries()) {
    const { deployment, labels } = versions.value[at === 0 ? 'canary' : 'stable'];
    const rule = own.find((one) => subsetNames(one).includes(name));
    const wrong = Object.entries(labelsOf(rule, name)).find(([key, value]) => labels[key] !== value);
    if (rule === undefined || wrong === undefined) continue;
    const [key, value] = wrong;
    return {
      ok: true,
      value: `${words(wanted, rule.metadata.name)} defines subset ${name} with ${key}: ${value}, and the pods of deployment ${deployment} have ${labels[key] ?? 'none'}: requests would go to others. Remove that subset, or correct its labels`,
    };
  }
  return { ok: true, value: null };
}

async function back(kube: KubeClient, task: PreparationTask, wanted: Wanted, now: RulesNow): Promise<Seen> {
  const going = await goingFrom(kube, task, wanted, now);
  if (!going.ok) return unread(going);
  const rule = going.value.rule ?? ruleFor(task, now);
  const left = wanted.names.filter((name) => now.own.flatMap(subsetNames).includes(name));
  const stays = left.length === 0 ? 'none of the subsets is left' : `subsets ${left.join(' and ')} stay`;
  return {
    ok: true,
    object: words(wanted, rule?.metadata.name ?? task.target.service),
    token: rule === null ? '' : tokenOf(rule),
    before: null,
    standing: false,
    ours: going.value.rule !== null,
    message: rule === null ? 'it is gone' : stays,
    read: rule,
  };
}

/**
 * The rule that has something of this rollout, and the subsets that go from it: those that it added and no route leads to.
 * Its notes tell; once they were let go, at 100 %, the row does.
 */
async function goingFrom(
  kube: KubeClient,
  task: PreparationTask,
  wanted: Wanted,
  now: RulesNow,
): Promise<Kube<{ readonly rule: KubeObject | null; readonly gone: readonly string[] }>> {
  const marked = markedIn(task, now);
  const { leaving, prepared } = task;
  if (leaving === 'keep') return { ok: true, value: { rule: marked ?? null, gone: [] } };
  const led = await ledTo(kube, task, wanted, now.version);
  if (!led.ok) return led;
  const free = (names: readonly unknown[], rule: KubeObject): readonly string[] =>
    subsetNames(rule).filter((name) => names.includes(name) && !led.value.has(name));
  if (marked !== undefined)
    return { ok: true, value: { rule: marked, gone: free(addedBy(subsetMark(marked)), marked) } };
  const absent = prepared?.released === true && Array.isArray(prepared.before) ? prepared.before : [];
  const rule = now.own.find((one) => free(absent, one).length > 0);
  return { ok: true, value: rule === undefined ? { rule: null, gone: [] } : { rule, gone: free(absent, rule) } };
}

const refOf = ({ namespace }: Wanted, version: string, name: string): ObjectRef => ({
  group: NETWORKING,
  version,
  plural: DESTINATION_RULES,
  namespace,
  name,
});

/** Without a subset: a create has no condition, so one that comes late must change nothing. */
async function make(
  kube: KubeClient,
  task: PreparationTask,
  wanted: Wanted,
  version: string,
): Promise<PreparationWritten> {
  const name = task.target.service;
  const mark = { rollout: task.rollout, added: [] };
  const annotations = { [SUBSETS_ANNOTATION]: JSON.stringify(mark) };
  const metadata = { name, namespace: wanted.namespace, labels: { ...MADE }, annotations };
  const object = { kind: 'DestinationRule', metadata, spec: { host: wanted.host } };
  const answer = await kube.create(refOf(wanted, version, name), object);
  return writtenOf(answer, () => null);
}

/** From the last on: each one that goes moves those after it. An empty list goes with its last entry. */
function removals(rule: KubeObject, gone: readonly string[]): readonly PatchOp[] {
  const names = subsetNames(rule);
  if (names.length > 0 && names.every((name) => gone.includes(name))) return [{ op: 'remove', path: '/spec/subsets' }];
  return names
    .map((name, at) => ({ name, at }))
    .filter(({ name }) => gone.includes(name))
    .toReversed()
    .flatMap(({ name, at }): readonly PatchOp[] => [
      { op: 'test', path: pointer('spec', 'subsets', at, 'name'), value: name },
      { op: 'remove', path: pointer('spec', 'subsets', at) },
    ]);
}

async function patch(
  kube: KubeClient,
  wanted: Wanted,
  version: string,
  rule: KubeObject,
  ops: readonly PatchOp[],
  kept: (answer: KubeObject) => string | null,
): Promise<PreparationWritten> {
  const answer = await kube.patch(refOf(wanted, version, rule.metadata.name), [onCondition(tokenOf(rule)), ...ops]);
  return writtenOf(answer, (value) => {
    const wrong = kept(value);
    return wrong === null ? null : `${words(wanted, rule.metadata.name)}: ${wrong}`;
  });
}
