/**
 * Tells a channel of Slack about rollouts: one root message per rollout, changed in place, and replies below it about
 * what somebody should know or decide.
 *
 * Delivery is at least once and may happen in several workers at a time. A repeat is invisible because every message has
 * a key that is claimed before posting and goes with the message; and the root converges because whoever changed it
 * looks at the rollout once more afterwards: the last one to write has seen the newest state.
 */
import { TryLater } from '../../app/deliver.ts';
import type { Logger, Message, Notifier, RolloutStore } from '../../app/ports.ts';
import type { Fact, Rollout } from '../../domain/rollout.ts';
import type { Place } from './slack-api.ts';
import { isAnswerTo, isQuestion, openQuestion, type Rendered, replyAbout, rootMessage } from './slack-blocks.ts';
import type { PostOptions } from './slack-once.ts';
import { BUSY, postOnce, standingOf } from './slack-once.ts';

export interface SlackNotifierOptions extends PostOptions {
  readonly store: Pick<RolloutStore, 'load' | 'facts'>;
  /** The page of a rollout; null: there is none. */
  readonly link: (rolloutId: string) => string | null;
  readonly log: Logger;
}

const ROUNDS = 3;
const REMEMBERED = 1000;

export function slackNotifier(options: SlackNotifierOptions): Notifier {
  /** The newest version of each rollout that this process has shown: a batch of facts then costs one change. */
  const shown = new Map<string, number>();
  return {
    channel: 'slack',
    async deliver(message, given) {
      const root = await ensureRoot(options, shown, given);
      await reply(options, root, message, given);
      await converge(options, shown, given);
    },
  };
}

type Shown = Map<string, number>;

function remember(shown: Shown, rollout: Rollout): void {
  shown.delete(rollout.id);
  shown.set(rollout.id, rollout.version);
  const [oldest] = shown.keys();
  if (shown.size > REMEMBERED && oldest !== undefined) shown.delete(oldest);
}

// ── the root ────────────────────────────────────────────────────────────────────────────────────────────────────────

const render = ({ link }: SlackNotifierOptions, rollout: Rollout): Rendered => rootMessage(rollout, link(rollout.id));

async function ensureRoot(options: SlackNotifierOptions, shown: Shown, rollout: Rollout): Promise<Place> {
  const standing = await standingOf(options, rollout.id, rollout.id);
  if (standing !== null) return standing;
  const place = await postOnce(
    options,
    async () => null,
    rollout.id,
    rollout.id,
    () => render(options, rollout),
  );
  remember(shown, rollout);
  return place;
}

/** Changes the root and settles its questions until they show the rollout as it is. */
async function converge(options: SlackNotifierOptions, shown: Shown, given: Rollout): Promise<void> {
  let rollout = given;
  for (let round = 0; round < ROUNDS; round += 1) {
    await showRoot(options, shown, rollout);
    await settle(options, rollout);
    const loaded = await options.store.load(rollout.id);
    if (loaded === null || looksAlike(options, rollout, loaded.rollout)) return;
    rollout = loaded.rollout;
  }
  throw new TryLater(`rollout ${given.id} changes faster than Slack can be told`, BUSY, false);
}

const looksAlike = (options: SlackNotifierOptions, a: Rollout, b: Rollout): boolean =>
  openQuestion(a) === openQuestion(b) && JSON.stringify(render(options, a)) === JSON.stringify(render(options, b));

async function showRoot(options: SlackNotifierOptions, shown: Shown, rollout: Rollout): Promise<void> {
  if ((shown.get(rollout.id) ?? -1) >= rollout.version) return;
  const place = await ensureRoot(options, shown, rollout);
  const updated = await options.api.update(place, render(options, rollout), rollout.id);
  if (updated === 'gone') {
    options.log.info({ rolloutId: rollout.id }, "a rollout's message was deleted in Slack; it is posted again");
    await options.messages.release(rollout.id, 'no');
    await ensureRoot(options, shown, rollout);
  }
  remember(shown, rollout);
}

// ── the replies ─────────────────────────────────────────────────────────────────────────────────────────────────────

async function reply(
  options: SlackNotifierOptions,
  root: Place,
  { id, fact }: Message,
  rollout: Rollout,
): Promise<void> {
  const rendered = replyAbout(fact, rollout, await answerTo(options.store, fact, rollout));
  if (rendered === null || (await standingOf(options, rollout.id, id)) !== null) return;
  await postOnce(
    options,
    async () => root.ts,
    rollout.id,
    id,
    () => rendered,
  );
}

const FACTS_AT_ONCE = 200;

/** The word that settled this question; null: it is open, it is no question, or something else ended it. */
async function answerTo(store: SlackNotifierOptions['store'], fact: Fact, rollout: Rollout): Promise<Fact | null> {
  if (!isQuestion(fact) || fact.step === openQuestion(rollout)) return null;
  for (let after = fact.seq; ; ) {
    const facts = await store.facts(rollout.id, after, FACTS_AT_ONCE);
    const found = facts.find((later) => isAnswerTo(fact, later));
    if (found !== undefined) return found;
    if (facts.length < FACTS_AT_ONCE) return null;
    after = facts.at(-1)?.seq ?? after;
  }
}

/** Takes the buttons off questions that are answered. */
async function settle(options: SlackNotifierOptions, rollout: Rollout): Promise<void> {
  const { api, messages, store } = options;
  for (const message of await messages.of(rollout.id)) {
    if (!message.asks || message.ts === null) continue;
    const seq = Number(message.key.slice(rollout.id.length + 1));
    const [fact] = await store.facts(rollout.id, seq - 1, 1);
    const rendered = fact === undefined ? null : replyAbout(fact, rollout, await answerTo(store, fact, rollout));
    if (rendered === null || rendered.asks) continue;
    await api.update({ channel: message.channel, ts: message.ts }, rendered, message.key);
    await messages.posted(message.key, message.channel, message.ts, false);
  }
}
