/**
 * Webhooks that are asked before a rollout starts, takes a step or is promoted. Which ones, and when, follows from where
 * the rollout stands; answers come in with the observation. Only `approve` opens a gate: silence and answers that make no
 * sense are no approval. On the way back nothing is ever asked.
 */
import type { Change } from './change.ts';
import { patch, record, stepWords } from './change.ts';
import { duration } from './format.ts';
import type { Observation } from './observation.ts';
import type { GateWebhook, Instant, Plan, Weight } from './plan.ts';
import { isPromotionStep, weightAt } from './plan.ts';
import type { GateDecision, GateTally, PauseCause, Rollout } from './rollout.ts';

export interface GateQuestion {
  /** The same however often it is asked: "<rollout>:<webhook>:<place>". */
  readonly id: string;
  readonly webhook: GateWebhook;
  /** The step that is to be entered; plan.steps.length: the promotion. */
  readonly to: number;
  /** Counts from 1. */
  readonly attempt: number;
}

/** Pauses in which a gate is waited for: short of its deadline, and beyond it. */
const GATE_PAUSES: ReadonlySet<PauseCause> = new Set(['gate', 'gate_overdue']);
export const isGatePause = (cause: PauseCause): boolean => GATE_PAUSES.has(cause);

/** The step that would be entered next; null: none, or it is not for gates to say. */
export function stepAhead({ phase, plan }: Rollout): number | null {
  switch (phase.name) {
    case 'pending':
      return phase.behind === null ? 0 : null;
    case 'progressing':
    case 'paused':
      if (isPromotionStep(plan, phase.step)) return null;
      return phase.go?.full === true ? plan.steps.length : phase.step + 1;
    case 'rolling_back':
    case 'ended':
      return null;
    default:
      return phase satisfies never;
  }
}

/** What is asked before step `to`, where the canary has `now` of the traffic until then. */
export function guarding(plan: Plan, now: Weight, to: number): readonly GateWebhook[] {
  const { webhooks = [], steps } = plan;
  // All traffic moves with this step, and not before: the promotion, or a step of 100 %.
  const movesAll = weightAt(plan, to) >= 100 && now < 100;
  return webhooks
    .filter((webhook) => webhook.gate !== 'after')
    .filter(({ gate }) => {
      switch (gate) {
        case 'beforeStart':
          return to === 0;
        case 'beforeStep':
          return to < steps.length;
        case 'beforePromotion':
          return movesAll;
        default:
          return gate satisfies never;
      }
    });
}

const weightNow = ({ phase, plan }: Rollout): Weight =>
  phase.name === 'progressing' || phase.name === 'paused' ? weightAt(plan, phase.step) : 0;

function placeOf({ gate }: GateWebhook, to: number): string {
  if (gate === 'beforeStart') return 'start';
  return gate === 'beforePromotion' ? 'promotion' : `step-${to + 1}`;
}

const idOf = (rollout: Rollout, webhook: GateWebhook, to: number): string =>
  `${rollout.id}:${webhook.name}:${placeOf(webhook, to)}`;

export interface Gate {
  readonly id: string;
  readonly webhook: GateWebhook;
  readonly to: number;
  /** null: not asked for yet. */
  readonly tally: GateTally | null;
}

/** The gates before step `to`, with what is known of each. */
export const gatesBefore = (rollout: Rollout, to: number): readonly Gate[] =>
  guarding(rollout.plan, weightNow(rollout), to).map((webhook) => {
    const id = idOf(rollout, webhook, to);
    return { id, webhook, to, tally: rollout.gates?.[id] ?? null };
  });

/** It lets the step be entered. */
const isOpen = ({ tally }: Gate): boolean =>
  tally !== null && (tally.decision === 'approve' || tally.waivedBy !== null);

const isRefusing = ({ tally, webhook }: Gate): boolean =>
  tally !== null &&
  tally.waivedBy === null &&
  (tally.decision === 'refuse' || (tally.decision === 'unavailable' && webhook.onUnavailable === 'refuse'));

/** The gates whose word is wanted where the rollout stands now. A pause for another reason asks nobody. */
function wanted(rollout: Rollout): readonly (Gate & { readonly tally: GateTally })[] {
  const { phase } = rollout;
  const to = stepAhead(rollout);
  if (to === null || (phase.name === 'paused' && phase.go === null && !isGatePause(phase.cause))) return [];
  return gatesBefore(rollout, to).flatMap((gate) => {
    const { tally } = gate;
    return tally === null || isOpen(gate) || isRefusing(gate) ? [] : [{ ...gate, tally }];
  });
}

/** A job may come some milliseconds early. */
const EARLY = 50;

/** What is to be asked at `at`. */
export const questionsDue = (rollout: Rollout, at: Instant): readonly GateQuestion[] =>
  wanted(rollout)
    .filter(({ tally, webhook }) => tally.askedAt === null || at - tally.askedAt >= webhook.interval - EARLY)
    .map(({ id, webhook, to, tally }) => ({ id, webhook, to, attempt: tally.asked + 1 }));

/** When the next question is due; null: none is. */
export function questionAt(rollout: Rollout): Instant | null {
  const times = wanted(rollout).map(({ tally, webhook }) =>
    tally.askedAt === null ? 0 : tally.askedAt + webhook.interval,
  );
  return times.length === 0 ? null : Math.min(...times);
}

/** Wants the word of every gate before step `to`. The next tick asks: what is asked stands on the row before. */
export function wantGates(change: Change, at: Instant, to: number): Change {
  const fresh = gatesBefore(change.rollout, to).filter(({ tally }) => tally === null);
  if (fresh.length === 0) return change;
  const none: GateTally = {
    since: at,
    askedAt: null,
    asked: 0,
    decision: null,
    message: '',
    waivedBy: null,
    overdue: false,
  };
  const added = Object.fromEntries(fresh.map(({ id }) => [id, none]));
  return patch(change, { gates: { ...change.rollout.gates, ...added } });
}

/** Enters the answers of one look; a decision that is new is told. */
export function answered(change: Change, { gates: answers = [], at }: Observation): Change {
  const to = stepAhead(change.rollout);
  if (to === null || answers.length === 0) return change;
  return gatesBefore(change.rollout, to).reduce((next, gate) => {
    const answer = answers.find(({ question }) => question === gate.id);
    const { tally } = gate;
    if (answer === undefined || tally === null) return next;
    const { decision, message } = answer;
    const heard = { ...tally, askedAt: at, asked: tally.asked + 1, decision, message };
    const entered = patch(next, { gates: { ...next.rollout.gates, [gate.id]: heard } });
    if (decision === tally.decision) return entered;
    const data = { gate: gate.webhook.name, question: gate.id, decision };
    return record(entered, at, 'gate_answered', sayingOf(entered.rollout, { ...gate, tally: heard }), data);
  }, change);
}

export type Standing =
  | { readonly kind: 'open' }
  /** They are asked by the next tick. */
  | { readonly kind: 'asked' }
  /** `words` name the gate and what it says. */
  | { readonly kind: 'waits' | 'overdue'; readonly gate: Gate; readonly words: string };

/** How the gates before step `to` stand. */
export function standingBefore(rollout: Rollout, to: number, at: Instant): Standing {
  const shut = gatesBefore(rollout, to).filter((gate) => !isOpen(gate));
  if (shut.length === 0) return { kind: 'open' };
  const heard = shut.filter(({ tally }) => tally !== null && tally.decision !== null);
  const overdue = heard.find(({ tally, webhook }) => tally !== null && at - tally.since >= webhook.deadline);
  const gate = overdue ?? heard[0];
  if (gate === undefined) return { kind: 'asked' };
  return { kind: overdue === undefined ? 'waits' : 'overdue', gate, words: sayingOf(rollout, gate) };
}

/** The gate that refuses the next step; null: none does. */
export function refusalAhead(rollout: Rollout): { readonly gate: Gate; readonly words: string } | null {
  const to = stepAhead(rollout);
  const gate = to === null ? undefined : gatesBefore(rollout, to).find(isRefusing);
  return gate === undefined ? null : { gate, words: sayingOf(rollout, gate) };
}

/** A pause says what the gate said last. Without times: it would be another sentence at every look. */
export const overdueWords = ({ webhook }: Gate): string => `has not been opened within ${duration(webhook.deadline)}`;

/** It is told once that the time of a gate is over where nothing can be paused yet. */
export function tellOverdue(change: Change, at: Instant, { id, tally }: Gate, message: string): Change {
  if (tally === null || tally.overdue) return change;
  const marked = patch(change, { gates: { ...change.rollout.gates, [id]: { ...tally, overdue: true } } });
  return record(marked, at, 'gate_overdue', message, { question: id });
}

/** A person has gone on past every gate before the next step that does not approve, after it was asked. */
export function isWaived(rollout: Rollout): boolean {
  const to = stepAhead(rollout);
  return to !== null && gatesBefore(rollout, to).some(({ tally }) => tally !== null && tally.waivedBy !== null);
}

/** A person goes on past the gates that were waited for; null: none was. */
export function waived(rollout: Rollout, actor: string): Pick<Rollout, 'gates'> | null {
  const to = stepAhead(rollout);
  const waiting = to === null ? [] : gatesBefore(rollout, to).filter((gate) => gate.tally !== null && !isOpen(gate));
  if (!waiting.some(({ tally }) => tally?.decision != null)) return null;
  const past = waiting.flatMap(({ id, tally }) =>
    tally === null ? [] : [[id, { ...tally, waivedBy: actor }] as const],
  );
  return { gates: { ...rollout.gates, ...Object.fromEntries(past) } };
}

/** `gate "window" says wait before step 2 of 3 (25 %): frozen until Monday`. */
function sayingOf(rollout: Rollout, { webhook, to, tally }: Gate): string {
  const place = webhook.gate === 'beforeStart' ? 'the start' : stepWords(rollout, to);
  const reason = tally === null || tally.message === '' ? '' : `: ${tally.message}`;
  return `gate "${webhook.name}" ${SAYS[tally?.decision ?? 'unavailable']} ${place}${reason}`;
}

const SAYS: Readonly<Record<GateDecision, string>> = {
  approve: 'approves',
  refuse: 'refuses',
  wait: 'says wait before',
  unavailable: 'gives no answer before',
};
