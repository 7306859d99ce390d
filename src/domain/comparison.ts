/** What the comparison of canary and stable does to a rollout: it rolls back, it holds, and without its proof nothing is promoted. */
import type { Change } from './change.ts';
import { patch, record } from './change.ts';
import type { Finding } from './evidence/verdict.ts';
import { inForce } from './in-force.ts';
import type { EvidenceLook, Observation } from './observation.ts';
import type { EvidencePlan, Instant, Millis, Plan, Weight } from './plan.ts';
import { weightAt } from './plan.ts';
import type { Judgement, Rollout } from './rollout.ts';

/** Enters what one look's count came to, and records what changed. */
export function compared(change: Change, { evidence, at }: Observation): Change {
  const { phase } = change.rollout;
  if (evidence === null || (phase.name !== 'progressing' && phase.name !== 'paused')) return change;
  const before = change.rollout.judgement;
  const after = evidence.ok ? heard(before, evidence, at) : deaf(before, evidence, at, change.rollout, phase.reachedAt);
  const entered = patch(change, { judgement: after });
  return sourceChanged(verdictChanged(entered, before, after, at), before, after, evidence, at);
}

function heard(before: Judgement | null, look: Extract<EvidenceLook, { ok: true }>, at: Instant): Judgement {
  const { ledger, closed, dueAt } = look;
  const began = ledger.began ?? at;
  const base: Judgement = before ?? nothingYet(began, dueAt, ledger.source.provider);
  const next = { ...base, began, dueAt, provider: ledger.source.provider };
  // An answer without a complete block ends no blindness and begins none.
  if (closed === null) return next;
  const { block, finding, weight, began: mixedWith } = closed;
  const both =
    block.groups.some(({ canary }) => canary.requests > 0) && block.groups.some(({ stable }) => stable.requests > 0);
  // A block with requests of two weights is no look at the canary at the new one.
  const heard = { at, weight: mixedWith ?? weight };
  if (both) return { ...next, finding, heard, blindSince: null, blindReason: '' };
  const silent = block.groups.some(({ canary }) => canary.requests > 0) ? 'stable version' : 'canary';
  const blindSince = base.blindSince ?? base.heard?.at ?? began;
  return { ...next, finding, blindSince, blindReason: `the ${silent} had no requests` };
}

function deaf(
  before: Judgement | null,
  { message, dueAt }: Extract<EvidenceLook, { ok: false }>,
  at: Instant,
  rollout: Rollout,
  reachedAt: Instant | null,
): Judgement {
  const base = before ?? nothingYet(reachedAt ?? at, dueAt, rollout.plan.analysis.evidence?.provider ?? '');
  return { ...base, dueAt, blindSince: base.blindSince ?? at, blindReason: message };
}

const nothingYet = (began: Instant, dueAt: Instant, provider: string): Judgement => ({
  finding: null,
  heard: null,
  began,
  dueAt,
  blindSince: null,
  blindReason: '',
  provider,
});

function verdictChanged(change: Change, before: Judgement | null, { finding }: Judgement, at: Instant): Change {
  if (finding === null || (before?.finding?.verdict === finding.verdict && before.finding.code === finding.code))
    return change;
  const { verdict, code, evidence, needed, safety, safetyNeeded, atLeast, canary, stable } = finding;
  const message = `evidence: ${verdict}: ${finding.sentence}`;
  const data = { verdict, code, evidence, needed, safety, safetyNeeded, atLeast, canary, stable };
  return record(change, at, 'evidence_changed', message, data);
}

function sourceChanged(
  change: Change,
  before: Judgement | null,
  after: Judgement,
  look: EvidenceLook,
  at: Instant,
): Change {
  const from = before?.provider ?? change.rollout.plan.analysis.evidence?.provider ?? after.provider;
  if (!look.ok || from === after.provider) return change;
  const why = look.fallback === null ? 'it counts again' : look.fallback;
  const message = `the evidence is counted by metrics provider ${after.provider}, no longer by ${from}: ${why}`;
  return record(change, at, 'evidence_source_changed', message, { from, to: after.provider });
}

/** The finding that rolls back; null: none does. */
export const provenBad = ({ judgement }: Rollout): Finding | null =>
  judgement?.finding?.verdict === 'bad' ? judgement.finding : null;

/** Why the comparison has been blind for at least `patience`; null: it has not. */
export function comparisonBlind({ judgement }: Rollout, at: Instant, patience: Millis): string | null {
  const since = judgement?.blindSince ?? null;
  return judgement !== null && since !== null && at - since >= patience ? judgement.blindReason : null;
}

/** What a look finds where the ledger is gone or cannot be gone on with: the comparison is blind, and says so. */
export const withoutLedger = ({ plan }: Rollout, at: Instant): EvidenceLook => ({
  ok: false,
  code: 'unavailable',
  message:
    'what was counted for this rollout is not there, or was written by another version of this service: start it anew, or promote or abort it by hand',
  dueAt: at + plan.analysis.interval,
});

/** Have both versions requests at that weight? Without one the canary has none, and at 100 % the stable version. */
export const compares = (weight: Weight): boolean => weight > 0 && weight < 100;

/** No step gives the comparison anything to compare. */
export const neverCompares = ({ steps }: Plan): boolean => !steps.some(({ weight }) => compares(weight));

/** Nothing keeps the comparison from being heard now. Where it has nothing to compare, nobody waits for it. */
export function isHeard(rollout: Rollout): boolean {
  const { plan, judgement } = rollout;
  const now = weightInForce(rollout);
  if ((plan.analysis.evidence ?? null) === null || (now !== null && !compares(now.weight))) return true;
  return judgement !== null && judgement.blindSince === null;
}

export type Gate =
  /** `note`: what the promotion rests on, for people; '' where there is nothing to tell. */
  | { readonly kind: 'open'; readonly note: string }
  | { readonly kind: 'wait' }
  /** The time for a proof is over. */
  | { readonly kind: 'unproven'; readonly sentence: string; readonly policy: EvidencePlan['unproven'] };

/**
 * May the rollout leave its present step, as far as the comparison goes? Never without a block of both versions' requests
 * counted at this weight, never while nothing is heard or the canary is suspicious, and not to 100 % without the proof of
 * safety. Where it has nothing to compare it is silent: before the first weight, and at 100 %, where the checks' own limits
 * judge (a plan without any is refused). `heldSince`: when the step's own hold was over.
 */
export function gate(rollout: Rollout, at: Instant, heldSince: Instant): Gate {
  const { plan, judgement, phase } = rollout;
  const evidence = plan.analysis.evidence ?? null;
  if (evidence === null || (phase.name !== 'progressing' && phase.name !== 'paused')) return { kind: 'open', note: '' };
  if (!compares(weightAt(plan, phase.step))) return { kind: 'open', note: '' };
  // How long that may last is a matter of the plan's noData.
  if (judgement === null || judgement.blindSince !== null) return { kind: 'wait' };
  const { finding, began, heard } = judgement;
  // Not of a time before the weight was in force (again): somebody may have had another one there.
  const here = heard?.weight === weightAt(plan, phase.step) && heard.at > (phase.reachedAt ?? at);
  const last = weightAt(plan, phase.step + 1) >= 100;
  const verdict = finding?.verdict ?? 'undecided';
  const enough = verdict === 'safe' || (verdict === 'undecided' && !last);
  if (here && enough && finding !== null) return { kind: 'open', note: last ? finding.sentence : '' };
  const { after, then } = evidence.unproven;
  // Before the last step only a held weight is meant: the proof has time until the last one.
  const since = last ? Math.min(began, heldSince) : heldSince;
  if (at - since < after) return { kind: 'wait' };
  // Only what is merely not known may be promoted all the same; what looks bad, or was not seen at all, is for a person.
  const policy = { after, then: then === 'promote' && !(here && verdict === 'undecided') ? 'pause' : then } as const;
  return { kind: 'unproven', sentence: finding?.sentence ?? 'nothing was counted', policy };
}

/** How long the present step is held: at the last one, with the bake. */
export function holdOf({ plan }: Pick<Rollout, 'plan'>, step: number): Millis {
  const hold = plan.steps[step]?.hold ?? 0;
  return step === plan.steps.length - 1 ? hold + (plan.analysis.evidence?.bake ?? 0) : hold;
}

/**
 * The weight that the comparison counts by: the one in force; after others have changed it, when that is not known, the one
 * that the step was entered from, since the canary's first. null: none was in force yet.
 */
export function weightInForce(rollout: Rollout): { readonly weight: number; readonly since: Instant } | null {
  const known = inForce(rollout);
  if (known !== null) return known;
  const { phase, plan, judgement } = rollout;
  if ((phase.name !== 'progressing' && phase.name !== 'paused') || phase.step === 0 || judgement === null) return null;
  return { weight: phase.from ?? weightAt(plan, phase.step - 1), since: judgement.began };
}

/** Is the comparison to be counted at `at`? Whenever the canary has a weight, also while the rollout is paused there. */
export function comparisonDue(rollout: Rollout, at: Instant): boolean {
  const { plan, judgement } = rollout;
  if ((plan.analysis.evidence ?? null) === null) return false;
  const now = weightInForce(rollout);
  if (now === null || !compares(now.weight)) return false;
  if (provenBad(rollout) !== null) return false;
  return judgement === null || at >= judgement.dueAt - EARLY;
}

/** A job may come some milliseconds early. */
const EARLY: Millis = 50;
