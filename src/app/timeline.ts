/** What a plan does, step by step, and when each step can be in force at the earliest. Pure: the cluster is not asked. */
import { whoMay } from '../domain/approval.ts';
import { holdOf } from '../domain/comparison.ts';
import { duration, plain } from '../domain/format.ts';
import { guarding } from '../domain/gates.ts';
import type { ApprovalRule, Millis, Plan, Step } from '../domain/plan.ts';
import { weightAt } from '../domain/plan.ts';
import type { Preparation } from '../domain/preparation.ts';
import type { FaultRehearsal, Match, Temporary } from '../domain/temporary.ts';
import type { TimelineEntry } from './usecases.ts';

export interface Timeline {
  readonly entries: readonly TimelineEntry[];
  /** Shortest possible time to the promotion: every hold, and none of what others take (approvals, gates, writes). */
  readonly minimum: Millis;
}

export function timeline(plan: Plan): Timeline {
  let earliest = 0;
  const entries = plan.steps.map((step, index) => {
    const hold = holdOf({ plan }, index);
    const entry: TimelineEntry = {
      step: index,
      kind: step.adds?.kind ?? step.prepares?.kind ?? 'weight',
      words: wordsOfStep(step),
      weight: step.weight,
      earliest,
      hold,
      approval: step.approval === 'required',
      approvedBy: step.approval === 'required' ? whoMay(step.rule ?? ANYBODY) : null,
      gates: gatesBefore(plan, index),
    };
    earliest += hold;
    return entry;
  });
  const promotion: TimelineEntry = {
    step: plan.steps.length,
    kind: 'promotion',
    words: 'the canary has all of the traffic',
    weight: 100,
    earliest,
    hold: 0,
    approval: false,
    approvedBy: null,
    gates: gatesBefore(plan, plan.steps.length),
  };
  return { entries: [...entries, promotion], minimum: earliest };
}

const ANYBODY: ApprovalRule = { required: 1, approvers: [] };

const gatesBefore = (plan: Plan, to: number): TimelineEntry['gates'] =>
  guarding(plan, to === 0 ? 0 : weightAt(plan, to - 1), to).map(({ name, gate }) => ({ name, gate }));

function wordsOfStep({ adds, prepares, weight }: Step): string {
  if (adds !== undefined) return wordsOfAdded(adds);
  return prepares === undefined ? `the canary has ${weight} % of the traffic` : wordsOfPrepared(prepares);
}

function wordsOfAdded(adds: Temporary): string {
  switch (adds.kind) {
    case 'headerRoute':
      return `requests with ${matchWords(adds.match)} go to the canary, until the promotion`;
    case 'mirror':
      return `a copy of ${plain(adds.percent)} % of the requests goes to the canary`;
    case 'faultRehearsal':
      return rehearsalWords(adds);
    case 'sessionAffinity':
      return 'users stay with their version';
    default:
      return adds satisfies never;
  }
}

function matchWords(match: Match): string {
  if ('cookie' in match) return `the cookie ${match.cookie}=${match.exact}`;
  if ('exact' in match) return `the header ${match.header}: ${match.exact}`;
  return 'prefix' in match
    ? `a header ${match.header} that begins with ${match.prefix}`
    : `a header ${match.header} like ${match.regex}`;
}

function rehearsalWords({ delay, abort, probe }: FaultRehearsal): string {
  const faults = [
    ...(delay === null ? [] : [`${plain(delay.percent)} % are delayed by ${duration(delay.time)}`]),
    ...(abort === null ? [] : [`${plain(abort.percent)} % are answered with ${abort.status}`]),
  ].join(' and ');
  return `${probe.requests} marked requests to ${probe.url}, of which ${faults} at the canary; no user meets them`;
}

function wordsOfPrepared(prepares: Preparation): string {
  switch (prepares.kind) {
    case 'scale':
      return `the canary has at least ${podWords(prepares.to)}`;
    case 'ensureSubset':
      return `the subsets that the target names are defined; proxies get ${duration(prepares.settle)} to learn of new ones`;
    default:
      return prepares satisfies never;
  }
}

function podWords(to: Extract<Preparation, { kind: 'scale' }>['to']): string {
  if ('replicas' in to) return `${to.replicas} ${to.replicas === 1 ? 'pod' : 'pods'}`;
  return 'percent' in to
    ? `${plain(to.percent)} % of the stable version's pods`
    : "as large a part of the stable version's pods as it has of the traffic at the next weight";
}
