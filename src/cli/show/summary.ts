/** One rollout for the page of a pipeline: why, then a table of steps and verdicts, as Markdown. Pure. */
import { duration } from '../../domain/format.ts';
import type { Happening } from '../kind.ts';
import type { RolloutBody } from '../wire/api.ts';
import { markOf } from './marks.ts';
import type { StepView } from './steps.ts';
import { comparisonOf, percentOf, sentenceOf, targetWords } from './words.ts';

export interface StepSummary {
  /** From 1; null: the promotion, which has no check of its own. */
  readonly step: number | null;
  /** Canary weight in percent. */
  readonly weight: number;
  readonly standing: 'passed' | 'here' | 'left' | 'not reached';
  /** The last verdict of each check at this step, and of the comparison. */
  readonly verdicts: readonly Verdict[];
}
export interface Verdict {
  readonly check: string;
  readonly verdict: string;
  readonly reason: string;
}

export interface Summary {
  readonly id: string;
  readonly status: string;
  /** Why it stands where it stands, with the numbers. */
  readonly sentence: string;
  /** Where people look at it. */
  readonly page: string;
  /** Where it stands or ended, from 1; null: before the first step. */
  readonly step: number | null;
  readonly tookMs: number;
  readonly steps: readonly StepSummary[];
}

type Fact = Happening & { readonly step: number | null };
const COMPARISON = 'comparison';
const GUARDS = 'guard:';
/** Their numbers are in the history; here they would hide the others. */
const SILENT: ReadonlySet<string> = new Set(['pass', 'safe', 'unknown']);

/** `now`: for a rollout that goes on. `page`: its address. */
export function summaryOf(
  rollout: RolloutBody,
  plan: readonly StepView[],
  facts: readonly Fact[],
  page: string,
  now: number,
): Summary {
  const { id, status, step, createdAt, endedAt } = rollout;
  const weights = [...plan.map(({ weight }) => weight), 100];
  return {
    id,
    status,
    sentence: sentenceOf(rollout),
    page,
    step: step === null ? null : step + 1,
    tookMs: Math.max(0, (endedAt === null ? now : Date.parse(endedAt)) - Date.parse(createdAt)),
    steps: weights.map((weight, index) => ({
      step: index < plan.length ? index + 1 : null,
      weight,
      standing: standingOf(rollout, index),
      verdicts: verdictsAt(rollout, facts, index),
    })),
  };
}

function standingOf({ status, step }: RolloutBody, index: number): StepSummary['standing'] {
  if (status === 'succeeded') return 'passed';
  if (step === null || index > step) return 'not reached';
  if (index < step) return 'passed';
  return status === 'progressing' || status === 'paused' ? 'here' : 'left';
}

/** A verdict is a fact when it differs from the one before. Checks begin anew at each step, the comparison goes on. */
function verdictsAt(rollout: RolloutBody, facts: readonly Fact[], index: number): readonly Verdict[] {
  if (rollout.step === null || index > rollout.step) return [];
  const known = new Map<string, Verdict>();
  const learn = (check: string, verdict: string, reason: string): void =>
    void known.set(check, { check, verdict, reason });
  for (const { type, step, message, data = {} } of facts) {
    const verdict = String(data['verdict'] ?? '');
    const reason = message.split(`${verdict}: `).slice(1).join(`${verdict}: `);
    if (type === 'verdict_changed' && step === index) learn(String(data['check'] ?? ''), verdict, reason);
    if (type === 'evidence_changed' && step !== null && step <= index) learn(COMPARISON, verdict, reason);
  }
  if (rollout.step === index) {
    for (const { name, verdict, reason } of rollout.checks) if (verdict !== null) learn(name, verdict, reason);
    const compared = comparisonOf(rollout);
    if (compared !== null) learn(COMPARISON, compared.verdict, compared.sentence);
  }
  return [...known.values()];
}

/** GitHub's Markdown, which GitLab and Jenkins' plugins read too. */
export function markdownOf(rollout: Pick<RolloutBody, 'target'>, summary: Summary): string {
  const { status, sentence, page, steps, tookMs, id } = summary;
  const columns = columnsOf(steps);
  const rows = steps.map(({ step, weight, standing, verdicts }) => [
    step === null ? 'promotion' : String(step),
    percentOf(weight),
    standing,
    ...columns.map((name) => cellOf(verdicts.find(({ check }) => check === name))),
  ]);
  const head = ['step', 'canary', 'standing', ...columns.map(escaped)];
  return [
    `### ${escaped(targetWords(rollout))}: ${status}`,
    '',
    `**${escaped(sentence)}**`,
    '',
    ...[head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`),
    '',
    `[${escaped(id)}](${page}), ${duration(tookMs)}`,
    '',
  ].join('\n');
}

/** A guard is shown once it has said something: most of them have nothing to say. */
function columnsOf(steps: readonly StepSummary[]): readonly string[] {
  const all = steps.flatMap(({ verdicts }) => verdicts);
  const speaks = ({ check, verdict }: Verdict): boolean =>
    !check.startsWith(GUARDS) || (verdict !== 'pass' && verdict !== 'unknown');
  return [...new Set(all.filter(speaks).map(({ check }) => check))];
}

function cellOf(found: Verdict | undefined): string {
  if (found === undefined) return '';
  const { verdict, reason } = found;
  const mark = `${markOf(verdict)} ${verdict}`;
  return SILENT.has(verdict) || reason === '' ? mark : `${mark}: ${escaped(reason)}`;
}

/** What the servers of others say stands in it: nothing of that may become a link, a tag or a new cell. */
const escaped = (text: string): string => text.replaceAll(/[\\`*[\]<>|]/g, '\\$&').replaceAll(/\s+/g, ' ');
