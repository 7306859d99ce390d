/** What must hold in every run, whatever failed: the replay of all commits and all writes, Jepsen style. */

import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import { DECISION_ANNOTATION, OUTCOME_ANNOTATION, stampOn } from '../../src/adapters/routes/decision.ts';
import { ours as ownRule } from '../../src/adapters/routes/temporary-rules.ts';
import type { Commit } from '../../src/app/ports.ts';
import { affinityAt, divisions } from '../../src/domain/affinity.ts';
import { alertsOf } from '../../src/domain/alert.ts';
import { gatesBefore } from '../../src/domain/gates.ts';
import { weightAt } from '../../src/domain/plan.ts';
import type { Rollout } from '../../src/domain/rollout.ts';
import { compareStamps, desiredTemporary, desiredWeight, isLive, statusOf, stepOf } from '../../src/domain/rollout.ts';
import type { Temporary } from '../../src/domain/temporary.ts';
import { isJudgedAt, sameKinds } from '../../src/domain/temporary.ts';
import { evidenceViolations } from './evidence.ts';
import type { World } from './world.ts';

interface Rule {
  readonly name?: string;
  readonly route?: readonly { readonly weight?: number }[];
  readonly backendRefs?: readonly { readonly weight?: number }[];
  readonly filters?: readonly unknown[];
}

/** Of a VirtualService or an HTTPRoute. */
const rulesOf = (object: KubeObject): { readonly http?: readonly Rule[]; readonly rules?: readonly Rule[] } =>
  object.spec as { http?: Rule[]; rules?: Rule[] };

const ROUTES = ['VirtualService', 'HTTPRoute'];
export const isRoute = ({ kind }: KubeObject): boolean => ROUTES.includes(kind);

export const weightsOf = (object: KubeObject): { stable: number; canary: number } => {
  const { http, rules } = rulesOf(object);
  const rule = (http ?? rules)?.find((r) => r.name === 'api');
  const [stable, canary] = rule?.route ?? rule?.backendRefs ?? [];
  return { stable: stable?.weight ?? Number.NaN, canary: canary?.weight ?? Number.NaN };
};

/** Nothing but how a rollout ended was written: weights are then whatever others have made of them. */
const onlyConcludes = ({ before, after }: World['kube']['journal'][number]): boolean =>
  before.metadata.annotations?.[DECISION_ANNOTATION] === after.metadata.annotations?.[DECISION_ANNOTATION] &&
  before.metadata.generation === after.metadata.generation;

/**
 * One per thing that was added, however many rules it took. An HTTPRoute began with one rule and no filter: all that is more
 * is ours, whatever the mark on it says.
 */
const kindsOn = (object: KubeObject): readonly Temporary['kind'][] => {
  const { http, rules = [] } = rulesOf(object);
  const own = (http ?? []).flatMap(({ name }) => ownRule(name ?? null) ?? []);
  if (http !== undefined) return [...new Map(own.map(({ kind, place }) => [`${kind} ${place}`, kind])).values()];
  return rules.flatMap(({ name, filters = [] }) =>
    name === 'api' ? filters.map(() => 'mirror' as const) : ['headerRoute' as const],
  );
};

/** Canary's part of what each rule that keeps users divides, in their order. */
const keepersOn = (object: KubeObject): readonly number[] => {
  const { http = [] } = object.spec as {
    http?: { name?: string; route: { destination: { subset: string }; weight?: number }[] }[];
  };
  return http
    .filter(({ name }) => ownRule(name ?? null)?.kind === 'sessionAffinity')
    .map(({ route }) => {
      const parts = route.map(({ destination, weight = 100 }) => ({ canary: destination.subset === 'v2', weight }));
      const sum = parts.reduce((all, { weight }) => all + weight, 0);
      return parts.reduce((part, { canary, weight }) => part + (canary ? weight / sum : 0), 0);
    });
};

const keepersWanted = ({ id, plan, phase }: Rollout): readonly number[] => {
  const affinity = 'step' in phase && phase.name !== 'rolling_back' ? affinityAt(plan, phase.step) : null;
  return affinity === null
    ? []
    : divisions(id, affinity.weights).map(({ stable, canary }) => canary / (stable + canary));
};

export function violations(world: World): string[] {
  const { store, kube, script } = world;
  const commits = store.commits.filter((c) => c.next.reverts === undefined);
  const back = store.commits.filter((c) => c.next.reverts !== undefined);
  const final = commits.at(-1)?.next;
  if (final === undefined) return ['no commit at all'];
  const found: string[] = [];
  const claim = (holds: boolean, what: string): void => {
    if (!holds) found.push(what);
  };
  const written = kube.journal.filter((write) => write.by === 'sluice');
  const routes = written.filter(({ after }) => isRoute(after));
  const ours = routes.filter((write) => !onlyConcludes(write));
  found.push(
    ...revertViolations(
      back,
      ours.map((write) => write.after),
      final,
    ),
  );

  // I1: whole weights that add up, and only those of the plan or 0 or 100.
  const planned = new Set([0, 100, ...script.plan.steps.map((s) => s.weight)]);
  for (const { after } of ours) {
    const { stable, canary } = weightsOf(after);
    claim(stable + canary === 100, `I1: weights ${stable}/${canary}`);
    claim(planned.has(canary), `I1: weight ${canary} is not in the plan`);
  }

  // I2: after an end in weight 0 nothing of ours raises it again, and the object says 0 (unless a person edits later).
  const ended = commits.findIndex((c) => !isLive(c.next));
  const end = ended < 0 ? null : statusOf(final);
  if (end === 'rolled_back' || end === 'aborted') {
    const last = ours.at(-1);
    if (last !== undefined)
      claim(
        weightsOf(last.after).canary === 0,
        `I2: last write of a ${end} rollout has weight ${weightsOf(last.after).canary}`,
      );
  }
  claim(ended < 0 || ended === commits.length - 1, 'I2: a commit after the end');

  // I3: a step is left upward only after its hold with passing checks, or by a person's word.
  for (const commit of commits)
    claim(mayMove(commit), `I3: ${stepOf(commit.previous)} -> ${stepOf(commit.next)} without verdict or word`);

  // I4: stamps on the object never go back, and every write belongs to a committed decision that came before it.
  let stamp = { rollout: '', epoch: 0, generation: 0 };
  for (const { after } of ours) {
    const next = stampOn(after);
    if (next === null) {
      found.push('I4: a write without a stamp');
      continue;
    }
    claim(compareStamps(next, stamp) >= 0, `I4: stamp went back from ${stamp.generation} to ${next.generation}`);
    stamp = next;
    const decided = store.commits.some(
      (c) =>
        c.next.id === next.rollout &&
        c.next.generation === next.generation &&
        desiredWeight(c.next) === weightsOf(after).canary,
    );
    claim(decided, `I4: weight ${weightsOf(after).canary} of generation ${next.generation} was never committed`);
  }

  // An end is said only once it is committed, beside the decision that it ends, and as the row has it.
  for (const { after } of routes.filter(onlyConcludes)) {
    const said = JSON.parse(after.metadata.annotations?.[OUTCOME_ANNOTATION] ?? '{}') as Record<string, unknown>;
    const row = store.commits.find((c) => c.next.id === said['rollout'] && !isLive(c.next))?.next;
    claim(
      row !== undefined && statusOf(row) === said['status'],
      `said to have ended as ${said['status']}, and has not`,
    );
    claim(stampOn(after)?.rollout === said['rollout'], 'an end beside the decision of another rollout');
  }

  // I5: facts without gaps; every change of status or step has its fact.
  const facts = store.row(final.id)?.facts ?? [];
  claim(
    facts.every((fact, i) => fact.seq === i + 1),
    'I5: facts have gaps or repeats',
  );
  for (const { previous, next, facts: with_ } of commits) {
    const moved = statusOf(previous) !== statusOf(next) || stepOf(previous) !== stepOf(next);
    claim(!moved || with_.length > 0, `I5: ${statusOf(previous)} -> ${statusOf(next)} without a fact`);
    claim(next.version === previous.version + 1, 'I5: version skipped');
  }

  // I6: at rest: ended, or paused with a reason.
  claim(
    !isLive(final) || (final.phase.name === 'paused' && final.phase.message !== ''),
    `I6: still ${statusOf(final)} at the end`,
  );

  // I7: a canary that was bad from the start with data all along is never promoted but by a person.
  const forced = script.commands.some((c) => c.command.name === 'promote');
  if (script.badFrom === 0 && !forced) claim(end !== 'succeeded', 'I7: a bad canary was promoted');

  // I8: who edits nothing is accused of nothing, and a canary that runs is not called crashed: copies that are behind lie.
  const edited = script.edits.some((edit) => edit.weight !== null);
  const accused = facts.find((f) => f.type === 'drift_seen' || (f.type === 'paused' && BY_OTHERS.has(f.data['cause'])));
  claim(edited || accused === undefined, `I8: nobody edited anything: ${accused?.message}`);
  const called = facts.find((f) => f.type === 'rollback_started' && BY_PODS.has(f.data['reason']));
  claim(script.crashAt !== null || called === undefined, `I8: no pod crashed: ${called?.message}`);

  // I9: where nothing else fails, a crash is answered within one interval, whether or not metrics answer.
  const { crashAt } = script;
  if (crashAt !== null && isCalm(script)) {
    const answered = facts.some(
      (f) => (f.type === 'rollback_started' || f.type === 'ended') && f.at <= crashAt + 20_000,
    );
    claim(answered, `I9: the canary crashed at ${crashAt}, and nothing came of it within 20 s`);
  }

  // I10: what stands beside the weights is what the decision of that write wants, and nothing is left at an end.
  for (const { after } of ours) {
    const { rollout, generation } = stampOn(after) ?? {};
    const decided = store.commits.find(
      (c) => c.next.id === rollout && c.next.generation === generation && desiredWeight(c.next) !== null,
    );
    const wanted = decided === undefined ? [] : desiredTemporary(decided.next).map(({ kind }) => kind);
    claim(
      sameKinds(kindsOn(after), wanted),
      `I10: generation ${generation} has ${kindsOn(after).join()} beside the weights, not ${wanted.join()}`,
    );
  }
  // I11: users are divided exactly as the weight of that write says, whoever edited the rules in between.
  for (const { after } of ours) {
    const { rollout, generation } = stampOn(after) ?? {};
    const decided = store.commits.find(
      (c) => c.next.id === rollout && c.next.generation === generation && desiredWeight(c.next) !== null,
    );
    const wanted = decided === undefined ? [] : keepersWanted(decided.next);
    claim(
      JSON.stringify(keepersOn(after)) === JSON.stringify(wanted),
      `I11: generation ${generation} divides users by ${keepersOn(after).join()}, not by ${wanted.join()}`,
    );
  }
  const lastWrite = ours.at(-1);
  if (end !== null && end !== 'failed' && lastWrite !== undefined)
    claim(kindsOn(lastWrite.after).length === 0, `I10: ${kindsOn(lastWrite.after).join()} is left after the end`);

  found.push(...besideViolations(world, final));
  found.push(...evidenceViolations(world, commits));

  // I11: a step is entered only with the approval of each of its gates, given by that gate, or past it by a person's word;
  // and nothing on the way back waits for one.
  for (const { previous, next } of commits) {
    const [before, to] = [stepOf(previous), stepOf(next)];
    if (to === null || to === before || next.phase.name !== 'progressing') continue;
    for (const { id, tally } of gatesBefore(previous, to)) {
      const approved = world.asked.some(({ question, decision }) => question === id && decision === 'approve');
      claim(approved || (tally?.waivedBy ?? null) !== null, `I11: entered ${to} without the word of ${id}`);
    }
  }

  // I12: every end and every need for a person is told by exactly one fact of the commit that brought it about.
  for (const commit of store.commits) {
    const told = alertsOf(commit.previous, commit.next, commit.facts).map(({ type }) => type);
    for (const [type, due] of Object.entries(duties(commit)))
      claim(told.filter((one) => one === type).length === (due ? 1 : 0), `I12: ${type} told ${told.join()} times`);
  }

  // An end says the truth about the object at the time of the end.
  if (end === 'succeeded')
    claim(
      ours.length > 0 && ours.some((w) => weightsOf(w.after).canary === 100),
      'succeeded without 100 % ever written',
    );
  return found;
}

/** Which alerts the change of one commit calls for, by the states alone. */
function duties({ previous, next, facts }: Commit): Readonly<Record<string, boolean>> {
  const [before, after] = [previous.phase, next.phase];
  const stands = (phase: Rollout['phase']) => (phase.name === 'paused' && phase.cause !== 'gate' ? phase.cause : null);
  // One that takes another back is born on its way: its first look tells.
  const born = before.name === 'rolling_back' && facts.some(({ type }) => type === 'rollback_started');
  return {
    ended: after.name === 'ended' && before.name !== 'ended',
    rollback_started: (after.name === 'rolling_back' && before.name !== 'rolling_back') || born,
    paused: stands(after) !== null && stands(after) !== stands(before),
  };
}

/** R: what took the promotion back went only down, once, after the promotion, and came to its end. */
function revertViolations(back: readonly Commit[], writes: readonly KubeObject[], first: Rollout): string[] {
  const last = back.at(-1)?.next;
  if (last === undefined) return [];
  const found: string[] = [];
  if (statusOf(first) !== 'succeeded') found.push(`R1: a rollout that is ${statusOf(first)} was taken back`);
  if (new Set(back.map((c) => c.next.id)).size > 1) found.push('R2: it was taken back twice');
  if (statusOf(last) !== 'rolled_back') found.push(`R3: what takes it back is ${statusOf(last)} at the end`);
  const from = writes.findIndex((object) => stampOn(object)?.rollout === last.id);
  const raised = from < 0 ? undefined : writes.slice(from).find((object) => weightsOf(object).canary > 0);
  if (raised !== undefined) found.push(`R4: raised to ${weightsOf(raised).canary} % after it was taken back`);
  if (from < 0) found.push('R5: it ended without a write of its own');
  return found;
}

const NOTES = ['sluice.dev/scale', 'sluice.dev/subsets'];
const leastOf = ({ spec }: KubeObject): number => {
  const { minReplicas, minReplicaCount, replicas } = spec as Readonly<Record<string, number | undefined>>;
  return minReplicas ?? minReplicaCount ?? replicas ?? 0;
};
const subsetsOf = ({ spec }: KubeObject): readonly string[] =>
  ((spec as { subsets?: { name: string }[] }).subsets ?? []).map(({ name }) => name);

/** B: what stands beside the route comes before the traffic, goes after it, and is gone at the end. */
function besideViolations({ kube, script, store }: World, final: Rollout): string[] {
  const found: string[] = [];
  const kinds = new Set(script.plan.steps.flatMap(({ prepares }) => prepares?.kind ?? []));
  let decided = 0;
  for (const write of kube.journal) {
    const { after, before, by } = write;
    if (by !== 'sluice') continue;
    if (isRoute(after)) {
      if (onlyConcludes(write)) continue;
      decided = weightsOf(after).canary;
      if (kinds.has('ensureSubset') && decided > 0 && !definedBefore(kube, after).includes('v2'))
        found.push(`B1: ${decided} % to subset v2, which is not there`);
    } else if (after.kind === 'DestinationRule') {
      if (subsetsOf(after).length < subsetsOf(before).length && decided !== 0)
        found.push(`B2: a subset was removed while ${decided} % were led to it`);
    } else if (leastOf(after) < leastOf(before) && decided !== 0 && !(after.kind !== 'Deployment' && decided === 100))
      found.push(`B2: pods were taken away at ${decided} %`);
  }
  const end = isLive(final) ? null : statusOf(final);
  const left = final.prepared?.some(({ state }) => state === 'left') === true;
  if (end === null || end === 'failed' || left) return found;
  for (const plural of ['deployments', 'horizontalpodautoscalers', 'scaledobjects', 'destinationrules']) {
    for (const name of ['myapp', 'myapp-v2']) {
      const object = kube.object(name, plural);
      const notes = NOTES.filter((note) => object?.metadata.annotations?.[note] !== undefined);
      if (notes.length > 0) found.push(`B3: ${plural} ${name} has ${notes.join()} after the end`);
    }
  }
  for (const plural of ['horizontalpodautoscalers', 'scaledobjects']) {
    const object = kube.object('myapp-v2', plural);
    if (object !== undefined && leastOf(object) !== 2) found.push(`B4: ${plural} is left at ${leastOf(object)}`);
  }
  const went = store.commits.some(({ next }) => next.phase.name === 'rolling_back' && next.reverts === undefined);
  if (went && end !== 'succeeded') {
    const pods = leastOf(kube.object('myapp-v2', 'deployments') as KubeObject);
    const autoscaled = kube.object('myapp-v2', 'horizontalpodautoscalers') ?? kube.object('myapp-v2', 'scaledobjects');
    // With an autoscaler the pods stay as it has them; without one they are as before, or none.
    if (autoscaled === undefined && pods !== 2 && pods !== 0) found.push(`B5: the canary is left with ${pods} pods`);
    if (kinds.has('ensureSubset') && subsetsOf(kube.object('myapp', 'destinationrules') as KubeObject).includes('v2'))
      found.push('B6: subset v2 is left');
  }
  return found;
}

/** Subsets at the time of a write to the route. */
function definedBefore({ journal }: World['kube'], route: KubeObject): readonly string[] {
  const at = journal.findIndex(({ after }) => after === route);
  const rule = journal.slice(0, at).findLast(({ after }) => after.kind === 'DestinationRule');
  return rule === undefined ? [] : subsetsOf(rule.after);
}

const BY_OTHERS: ReadonlySet<unknown> = new Set([
  'drift',
  'fighting',
  'foreign_rollout',
  'target_missing',
  'route_refused',
]);
const BY_PODS: ReadonlySet<unknown> = new Set(['canary_crashed', 'canary_unready']);

const isCalm = ({ crashRate, stallRate, failRate, lostWakes, outage }: World['script']): boolean =>
  crashRate + stallRate + failRate + lostWakes === 0 && outage === null;

function mayMove({ previous, next, measurements }: Commit): boolean {
  const [from, to] = [stepOf(previous), stepOf(next)];
  if (from === null || to === null || to <= from) return true;
  if (next.phase.name !== 'progressing') return false;
  const { phase, plan } = previous;
  if (phase.name !== 'progressing' && phase.name !== 'paused') return false;
  if (phase.go !== null) return true;
  const lastOf = (check: string): string | null | undefined =>
    measurements.find((m) => m.check === check)?.verdict ?? previous.tallies[check]?.last;
  const passed = !isJudgedAt(plan, from) || plan.analysis.checks.every((check) => lastOf(check.name) === 'pass');
  const beside = [plan.steps[from]?.adds, plan.steps[from]?.prepares, plan.steps[to]?.prepares];
  const rises = weightAt(plan, to) > weightAt(plan, from) || beside.some((one) => one !== undefined);
  const held = phase.reachedAt !== null && to === from + 1 && rises;
  return passed && held;
}

export const summary = (final: Rollout): string =>
  `${statusOf(final)}${final.phase.name === 'paused' ? ` (${final.phase.cause})` : ''}`;
