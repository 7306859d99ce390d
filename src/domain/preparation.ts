/**
 * What has to stand beside the mesh's route before traffic comes: pods of the canary, the subset that a route names. Like
 * the weight it is derived from the phase, as a level. Unlike the weight it stands on other objects, so what was there
 * before is kept in the row, committed before anything is written.
 */
import type { Workloads } from './observation.ts';
import type { Instant, Millis, Plan, Target } from './plan.ts';
import { weightAt } from './plan.ts';
import type { Rollout } from './rollout.ts';

export type Preparation = Scale | EnsureSubset;

/** The canary has at least so many pods, ready and settled. It never takes pods away on the way forward. */
export interface Scale {
  readonly kind: 'scale';
  readonly to: ScaleTo;
  /** What becomes of the pods after a rollback: as many as before, or none. */
  readonly onRollback: 'restore' | 'zero';
}

/** `percent` of what the stable version's Deployment wants; `match`: the canary's share of it at the next weight. */
export type ScaleTo = { readonly replicas: number } | { readonly percent: number } | { readonly match: 'nextWeight' };

/** The subsets that the target names are defined. */
export interface EnsureSubset {
  readonly kind: 'ensureSubset';
  /** Of the canary's pods; null: what tells its pod template from the stable's. */
  readonly labels: Readonly<Record<string, string>> | null;
  /** How long a new subset must stand before anything is led to it: proxies learn of it a moment later. */
  readonly settle: Millis;
}

export const PREPARATIONS = ['scale', 'ensureSubset'] as const satisfies readonly Preparation['kind'][];

const WORDS: Readonly<Record<Preparation['kind'], string>> = {
  scale: 'scale the canary',
  ensureSubset: 'ensure subset',
};
export const preparationWords = ({ kind }: Preparation): string => WORDS[kind];

/** What is kept in the row of one preparation, from before its first write until it is gone or may stay. */
export interface Prepared {
  readonly kind: Preparation['kind'];
  /** Step that wanted it. */
  readonly step: number;
  /** Pods that are wanted, chosen once for the step; null: it is not about pods. */
  readonly replicas: number | null;
  /** Who carries it out (adapters/preparations), and the object that it writes, for people. */
  readonly way: string;
  readonly object: string;
  /** What stood on the object before this rollout, in the words of who carries it out. */
  readonly before: unknown;
  /** Numbers of pods that this rollout may have written: anything else that is found is somebody else's. */
  readonly wrote: readonly number[];
  /**
   * `wanted`: to be written; `standing`: read back; `withdrawn`: to be taken away, or let go; `released`: let go at 100 %,
   * its notes are gone; `left`: that could not be done in time.
   */
  readonly state: 'wanted' | 'standing' | 'withdrawn' | 'released' | 'left';
  /** It was to be let go once: a rollback after that may find no notes of its own. Absent: it was not. */
  readonly released?: true;
  /** Of the state. */
  readonly since: Instant;
  /** A write of this rollout may be on its way, or stand. */
  readonly touched: boolean;
  /** Version of the object that a write is conditional on: only the one that was committed here. '': there is none. */
  readonly token: string;
  /** The write of that token has landed: no other one can. */
  readonly landed: boolean;
  /** Looks in a row that found it in the way of going on: drives the back-off. */
  readonly tries: number;
  /** Why it is not as wanted, for people; null: it is, or nothing is known. */
  readonly trouble: string | null;
}

/** A preparation and the step that wants it. */
export interface Wish {
  readonly step: number;
  readonly preparation: Preparation;
}

/** What stands at a step: of each kind the last one that was asked for. */
export function wishesAt({ steps }: Plan, step: number): readonly Wish[] {
  const asked = steps
    .slice(0, step + 1)
    .flatMap(({ prepares }, index): readonly Wish[] =>
      prepares === undefined ? [] : [{ step: index, preparation: prepares }],
    );
  return PREPARATIONS.flatMap((kind) => asked.findLast(({ preparation }) => preparation.kind === kind) ?? []);
}

/** What must stand beside the route now. On the way back nothing does, once the traffic is back. */
export const desiredPreparations = ({ phase, plan }: Rollout): readonly Wish[] =>
  phase.name === 'progressing' || phase.name === 'paused' ? wishesAt(plan, phase.step) : [];

/** Pods that a step wants of the canary; null: what it is measured by was not read. At least one. */
export function replicasFor({ to }: Scale, plan: Plan, step: number, workloads: Workloads | null): number | null {
  if ('replicas' in to) return to.replicas;
  const stable = workloads?.stable;
  if (stable === undefined || !stable.ok) return null;
  const part = 'percent' in to ? to.percent : nextWeight(plan, step);
  return Math.max(1, Math.ceil((stable.replicas * part) / 100));
}

function nextWeight(plan: Plan, step: number): number {
  const now = weightAt(plan, step);
  return plan.steps.slice(step + 1).find(({ weight }) => weight > now)?.weight ?? 100;
}

export const preparedOf = ({ prepared }: Rollout, kind: Preparation['kind']): Prepared | null =>
  prepared?.find((one) => one.kind === kind) ?? null;

/** How a preparation goes: put back, down to no pods, or it stays and only the notes on the object go. */
export type Leaving = 'restore' | 'zero' | 'keep';

/** One question to who carries it out, and one order: what is wanted of one preparation. */
export interface PreparationTask {
  readonly rollout: string;
  readonly target: Target;
  readonly step: number;
  readonly preparation: Preparation;
  readonly replicas: number | null;
  /** null: nothing is known of it yet. */
  readonly prepared: Prepared | null;
  /** null: it is to stand. */
  readonly leaving: Leaving | null;
}

/** What is let go at 100 % is as it should be there, also while that is under way. */
export const stands = ({ state, released }: Prepared): boolean => state === 'standing' || released === true;

/** Nothing more is done about it: it is gone or given up, or at 100 % let go. */
export const isSettled = ({ touched, state }: Prepared, promoted: boolean): boolean =>
  !touched || state === 'left' || (promoted && state === 'released');

/**
 * Preparations of the step that were not read back yet, and those that others may take away from under the traffic: a
 * subset. (Pods are counted wherever a weight goes up.) A paused rollout stays where it is.
 */
export function tasksForward(rollout: Rollout, workloads: Workloads | null): readonly PreparationTask[] {
  if (rollout.phase.name !== 'progressing') return [];
  return desiredPreparations(rollout).flatMap(({ step, preparation }) => {
    const prepared = preparedOf(rollout, preparation.kind);
    const known = prepared?.step === step ? prepared : null;
    if (known !== null && stands(known) && (preparation.kind !== 'ensureSubset' || known.released === true)) return [];
    const replicas =
      preparation.kind !== 'scale'
        ? null
        : (known?.replicas ?? replicasFor(preparation, rollout.plan, step, workloads));
    if (preparation.kind === 'scale' && replicas === null) return [];
    return [{ ...taskOf(rollout, step, preparation), replicas, prepared, leaving: null }];
  });
}

/** What is to go, or to be let go: asked only once the traffic is where it should be. */
export const tasksBack = (rollout: Rollout, promoted: boolean): readonly PreparationTask[] =>
  (rollout.prepared ?? []).flatMap((prepared) => {
    const preparation = rollout.plan.steps[prepared.step]?.prepares;
    if (preparation === undefined || isSettled(prepared, promoted)) return [];
    const { step, replicas } = prepared;
    const back: Leaving = preparation.kind === 'scale' ? preparation.onRollback : 'restore';
    return [{ ...taskOf(rollout, step, preparation), replicas, prepared, leaving: promoted ? 'keep' : back }];
  });

/** The first step brings the canary's pods: it may begin with none. */
export const bringsPods = ({ steps }: Plan): boolean => steps[0]?.prepares?.kind === 'scale';

const taskOf = ({ id, plan }: Rollout, step: number, preparation: Preparation) => ({
  rollout: id,
  target: plan.target,
  step,
  preparation,
});
