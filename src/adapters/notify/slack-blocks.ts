/** What stands in Slack about a rollout: one root message, and replies below it about what somebody should know. Pure. */
import { buttonValue, type OrderName } from '../../app/slack-command.ts';
import { escapeSlack, reasonOf, standing, targetWords, told } from '../../app/slack-words.ts';
import { givenAt, ruleAt, whoMay } from '../../domain/approval.ts';
import { stepWords } from '../../domain/change.ts';
import { asksToResume } from '../../domain/command.ts';
import { plain } from '../../domain/format.ts';
import { isGatePause } from '../../domain/gates.ts';
import { isPromotionStep, weightAt } from '../../domain/plan.ts';
import type { Fact, Rollout } from '../../domain/rollout.ts';
import { statusOf } from '../../domain/rollout.ts';

export interface Rendered {
  /** For notifications and screen readers, which do not read blocks. */
  readonly text: string;
  readonly blocks: readonly Block[];
  /** It shows buttons. */
  readonly asks: boolean;
  /** A reply that the whole channel must see. */
  readonly broadcast: boolean;
}

interface MarkdownText {
  readonly type: 'mrkdwn';
  readonly text: string;
  /** Slack must not make links, channels or people out of our text. */
  readonly verbatim: true;
}
interface PlainText {
  readonly type: 'plain_text';
  readonly text: string;
}
interface Button {
  readonly type: 'button';
  readonly action_id: string;
  readonly style?: 'primary' | 'danger';
  readonly text: PlainText;
  readonly value: string;
  readonly confirm: {
    readonly title: PlainText;
    readonly text: PlainText;
    readonly confirm: PlainText;
    readonly deny: PlainText;
  };
}
export type Block =
  | { readonly type: 'section'; readonly text: MarkdownText }
  | { readonly type: 'context'; readonly elements: readonly MarkdownText[] }
  | { readonly type: 'actions'; readonly elements: readonly Button[] };

const markdown = (text: string): MarkdownText => ({ type: 'mrkdwn', text, verbatim: true });
export const section = (text: string): Block => ({ type: 'section', text: markdown(text) });
export const context = (text: string): Block => ({ type: 'context', elements: [markdown(text)] });
const text = (words: string): PlainText => ({ type: 'plain_text', text: words });

// ── the root ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** `link`: where the rollout can be seen in full; null: nowhere. */
export function rootMessage(rollout: Rollout, link: string | null): Rendered {
  const name = `*${targetWords(rollout)}*`;
  const head = `${name}: ${standing(rollout)}\n${bar(rollout)}`;
  const reason = reasonOf(rollout);
  const blocks = [
    section(head),
    ...(reason === null ? [] : [section(told(reason, 2500))]),
    ...approvalBlock(rollout),
    ...buttonsOf(rollout),
    context([...checkLines(rollout), ...labelLine(rollout), idLine(rollout, link)].join('\n')),
  ];
  return { text: `${targetWords(rollout)}: ${standing(rollout)}`, blocks, asks: false, broadcast: false };
}

/** Whose word the present step waits for, and who has given theirs. */
function approvalBlock(rollout: Rollout): readonly Block[] {
  const { phase } = rollout;
  if ((phase.name !== 'progressing' && phase.name !== 'paused') || phase.go !== null) return [];
  const rule = ruleAt(rollout, phase.step);
  if (rule === null) return [];
  const given = givenAt(rollout).map(({ actor }) => actor);
  const so = given.length === 0 ? '' : ` Approved by ${given.join(' and ')}, ${given.length} of ${rule.required}.`;
  return [context(told(`This step is approved by ${whoMay(rule)}.${so}`, 1500))];
}

const CELLS = 10;

/** "▓▓▓░░░░░░░ 25 %": what the mesh was last seen to have. */
function bar({ observedWeight }: Rollout): string {
  if (observedWeight === null) return `${'░'.repeat(CELLS)} the route has not been read yet`;
  const full = Math.round((observedWeight / 100) * CELLS);
  return `${'▓'.repeat(full)}${'░'.repeat(CELLS - full)} ${plain(observedWeight)} % of traffic to the canary`;
}

/** The last verdict of each check with its numbers; of a plan with many checks, the first few. */
function checkLines({ tallies }: Rollout): string[] {
  const judged = Object.entries(tallies).filter(([, tally]) => tally.last !== null);
  const lines = judged
    .slice(0, 5)
    .map(([check, { last, lastReason }]) => `${told(check, 60)}: ${last} (${told(lastReason, 200)})`);
  return judged.length > 5 ? [...lines, `and ${judged.length - 5} more checks`] : lines;
}

function labelLine({ plan }: Rollout): string[] {
  const labels = Object.entries(plan.labels).slice(0, 5);
  return labels.length === 0 ? [] : [labels.map(([key, value]) => `${told(key, 60)}: ${told(value, 120)}`).join(' · ')];
}

const idLine = ({ id, createdBy }: Rollout, link: string | null): string =>
  `${link === null ? `\`${escapeSlack(id)}\`` : `<${escapeSlack(encodeURI(link))}|${escapeSlack(id)}>`} · started by ${told(createdBy, 100)}`;

// ── the replies ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** Facts that somebody should be told of. Everything else only changes the root. `answer`: the word that settled a question. */
export function replyAbout(fact: Fact, rollout: Rollout, answer: Fact | null = null): Rendered | null {
  switch (fact.type) {
    case 'paused':
      if (isQuestion(fact)) return approval(fact, rollout, answer);
      // A gate that is waited for needs nobody before its deadline.
      return plainReply(fact, rollout, fact.data['cause'] !== 'gate');
    case 'gate_overdue':
    case 'rollback_started':
    case 'stable_short':
    case 'preparation_left':
      return plainReply(fact, rollout, true);
    case 'mesh_trouble':
      // While going forward, trouble that lasts becomes a pause. A rollback never pauses: this is the only word of it.
      return rollout.phase.name === 'rolling_back' ? plainReply(fact, rollout, true) : null;
    case 'approved':
      return plainReply(fact, rollout, false);
    case 'ended':
      // Where no weight was ever wanted no rollback was told: this is the only word of it.
      return plainReply(fact, rollout, rollout.decided === undefined && statusOf(rollout) !== 'succeeded');
    default:
      return null;
  }
}

function plainReply({ message }: Fact, rollout: Rollout, broadcast: boolean): Rendered {
  const words = told(message, 2500);
  return { text: `${targetWords(rollout)}: ${words}`, blocks: [section(words)], asks: false, broadcast };
}

/** The step that waits for somebody's decision; null: none does. */
export const openQuestion = ({ phase }: Rollout): number | null =>
  phase.name === 'paused' && phase.cause === 'approval' && phase.go === null ? phase.step : null;

/** The question, with buttons as long as it is open; afterwards, how it was settled. */
function approval(fact: Fact, rollout: Rollout, answer: Fact | null): Rendered {
  const said = plainReply(fact, rollout, true);
  if (fact.step !== null && fact.step === openQuestion(rollout))
    return { ...said, blocks: [...said.blocks, actions(rollout, fact.step, ['promote', 'abort'])], asks: true };
  return { ...said, blocks: [...said.blocks, context(settled(fact, rollout, answer))] };
}

export const isQuestion = ({ type, data }: Fact): boolean => type === 'paused' && data['cause'] === 'approval';

/** Does this fact answer the question? A word that came to nothing was dropped by the service itself. */
export const isAnswerTo = (question: Fact, { type, step, data }: Fact): boolean =>
  type === 'promote_requested' && step === question.step && data['dropped'] !== true;

function settled(fact: Fact, rollout: Rollout, answer: Fact | null): string {
  const { phase } = rollout;
  if ((phase.name === 'progressing' || phase.name === 'paused') && phase.step === fact.step && phase.go !== null)
    return `Promoted by ${told(phase.go.actor, 100)} ${dateOf(phase.go.at)}`;
  // Carried out already: the rollout itself no longer knows whose word it was.
  if (answer !== null) return `Promoted by ${told(answer.actor, 100)} ${dateOf(answer.at)}`;
  const { decided } = rollout;
  if (wasAborted(rollout) && decided?.step === fact.step)
    return `Aborted by ${told(decided.actor, 100)} ${dateOf(decided.at)}`;
  return `Settled: the rollout is ${standing(rollout)}.`;
}

const wasAborted = ({ phase }: Rollout): boolean =>
  phase.name === 'rolling_back' ? phase.reason === 'aborted' : phase.name === 'ended' && phase.status === 'aborted';

/** Shown in each reader's own time zone. */
const dateOf = (at: number): string =>
  `<!date^${Math.floor(at / 1000)}^{date_short} {time}|${new Date(at).toISOString()}>`;

/** At an open question the buttons stand with it, below. */
function buttonsOf(rollout: Rollout): readonly Block[] {
  const { phase } = rollout;
  if ((phase.name !== 'progressing' && phase.name !== 'paused') || openQuestion(rollout) !== null) return [];
  return [actions(rollout, phase.step, ordersAt(rollout, phase))];
}

type Standing = Extract<Rollout['phase'], { name: 'progressing' | 'paused' }>;

function ordersAt({ plan }: Rollout, phase: Standing): readonly OrderName[] {
  const further: readonly OrderName[] = isPromotionStep(plan, phase.step) ? [] : ['promote'];
  if (phase.name === 'progressing') return [...further, 'pause', 'abort'];
  if (isGatePause(phase.cause)) return [...further, 'abort'];
  return asksToResume(phase.cause) || phase.cause === 'operator'
    ? ['resume', 'abort']
    : [...further, 'resume', 'abort'];
}

const LOOKS: Readonly<Record<OrderName, { readonly label: string; readonly style?: 'primary' | 'danger' }>> = {
  promote: { label: 'Promote', style: 'primary' },
  pause: { label: 'Pause' },
  resume: { label: 'Resume', style: 'primary' },
  abort: { label: 'Abort', style: 'danger' },
};

/** What is asked once more before it is done: with the names and numbers, for whoever has scrolled back. */
function confirmation(rollout: Rollout, step: number, order: OrderName): string {
  const { plan, phase } = rollout;
  const name = `${plan.target.namespace}/${plan.target.service}`.slice(0, 150);
  const from = stepWords(rollout, step);
  switch (order) {
    case 'promote': {
      const to = plan.steps[step + 1] === undefined ? 100 : weightAt(plan, step + 1);
      const early = phase.name === 'progressing' ? ' now, without the rest of its hold' : '';
      return `${name} goes on from ${from} to ${plain(to)} %${early}.`;
    }
    case 'pause':
      return `${name} stays at ${from}. The canary is judged on: a check that fails rolls back.`;
    case 'resume':
      return `${name} goes on at ${from}.`;
    case 'abort':
      return `All traffic of ${name} goes back to the stable version.`;
    default:
      return order satisfies never;
  }
}

const actions = (rollout: Rollout, step: number, orders: readonly OrderName[]): Block => ({
  type: 'actions',
  elements: orders.map((order): Button => {
    const { label, style } = LOOKS[order];
    return {
      type: 'button',
      action_id: `sluice.${order}`,
      ...(style === undefined ? {} : { style }),
      text: text(label),
      value: JSON.stringify(buttonValue.parse({ rolloutId: rollout.id, expectedStep: step, action: order })),
      confirm: {
        title: text(`${label}?`),
        text: text(confirmation(rollout, step, order)),
        confirm: text(label),
        deny: text('Cancel'),
      },
    };
  }),
});
