/** What stands in Slack about a rollout: one root message, and replies below it about what somebody should know. Pure. */
import { type ButtonValue, buttonValue } from '../../app/slack-command.ts';
import { escapeSlack, reasonOf, standing, targetWords, told } from '../../app/slack-words.ts';
import { stepWords } from '../../domain/change.ts';
import { plain } from '../../domain/format.ts';
import { weightAt } from '../../domain/plan.ts';
import type { Fact, Rollout } from '../../domain/rollout.ts';

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
  readonly style: 'primary' | 'danger';
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
    context([...checkLines(rollout), ...labelLine(rollout), idLine(rollout, link)].join('\n')),
  ];
  return { text: `${targetWords(rollout)}: ${standing(rollout)}`, blocks, asks: false, broadcast: false };
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

/** Facts that somebody should be told of. Everything else only changes the root. */
export function replyAbout(fact: Fact, rollout: Rollout): Rendered | null {
  switch (fact.type) {
    case 'paused':
      if (fact.data['cause'] === 'approval') return approval(fact, rollout);
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
    case 'ended':
      return plainReply(fact, rollout, false);
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
function approval(fact: Fact, rollout: Rollout): Rendered {
  const said = plainReply(fact, rollout, true);
  if (fact.step !== null && fact.step === openQuestion(rollout))
    return { ...said, blocks: [...said.blocks, buttons(rollout, fact.step)], asks: true };
  return { ...said, blocks: [...said.blocks, context(settled(fact, rollout))] };
}

function settled(fact: Fact, rollout: Rollout): string {
  const { phase } = rollout;
  if ((phase.name === 'progressing' || phase.name === 'paused') && phase.step === fact.step && phase.go !== null)
    return `Promoted by ${told(phase.go.actor, 100)} ${dateOf(phase.go.at)}`;
  return `Settled: the rollout is ${standing(rollout)}.`;
}

/** Shown in each reader's own time zone. */
const dateOf = (at: number): string =>
  `<!date^${Math.floor(at / 1000)}^{date_short} {time}|${new Date(at).toISOString()}>`;

function buttons(rollout: Rollout, step: number): Block {
  const { plan } = rollout;
  const to = plan.steps[step + 1] === undefined ? 100 : weightAt(plan, step + 1);
  const value = (action: ButtonValue['action']): string =>
    JSON.stringify(buttonValue.parse({ rolloutId: rollout.id, expectedStep: step, action }));
  const name = `${plan.target.namespace}/${plan.target.service}`.slice(0, 150);
  return {
    type: 'actions',
    elements: [
      {
        type: 'button',
        action_id: 'sluice.promote',
        style: 'primary',
        text: text('Promote'),
        value: value('promote'),
        confirm: {
          title: text('Promote?'),
          text: text(`${name} goes on from ${stepWords(rollout, step)} to ${plain(to)} %.`),
          confirm: text('Promote'),
          deny: text('Cancel'),
        },
      },
      {
        type: 'button',
        action_id: 'sluice.abort',
        style: 'danger',
        text: text('Abort'),
        value: value('abort'),
        confirm: {
          title: text('Abort?'),
          text: text(`All traffic of ${name} goes back to the stable version.`),
          confirm: text('Abort'),
          deny: text('Cancel'),
        },
      },
    ],
  };
}
