/**
 * Tells a channel of Slack about rollouts: one root message per rollout, changed in place, and replies below it about
 * what somebody should know or decide.
 *
 * Delivery is at least once and may happen in several workers at a time. A repeat is invisible because every message has
 * a key that is claimed before posting and goes with the message; and the root converges because whoever changed it
 * looks at the rollout once more afterwards: the last one to write has seen the newest state.
 */
import { TryLater } from '../../app/deliver.ts';
import type { Logger, Message, Notifier, RolloutStore, SlackMessages } from '../../app/ports.ts';
import type { Millis } from '../../domain/plan.ts';
import type { Rollout } from '../../domain/rollout.ts';
import type { Place, SlackApi } from './slack-api.ts';
import { SlackRefusal } from './slack-api.ts';
import { openQuestion, type Rendered, replyAbout, rootMessage } from './slack-blocks.ts';

export interface SlackNotifierOptions {
  readonly api: SlackApi;
  /** Id of the channel: "C0123ABCD". A name can be posted to, but not searched. */
  readonly channel: string;
  readonly messages: SlackMessages;
  readonly store: Pick<RolloutStore, 'load' | 'facts'>;
  /** The page of a rollout; null: there is none. */
  readonly link: (rolloutId: string) => string | null;
  readonly log: Logger;
}

/** Longer than a search and a post together may take. */
const POST_LEASE: Millis = 60_000;
const BUSY: Millis = 2000;
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
  const place = await postOnce(options, null, rollout.id, rollout.id, render(options, rollout));
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
  const rendered = replyAbout(fact, rollout);
  if (rendered === null || (await standingOf(options, rollout.id, id)) !== null) return;
  await postOnce(options, root.ts, rollout.id, id, rendered);
}

/** Takes the buttons off questions that are answered. */
async function settle(options: SlackNotifierOptions, rollout: Rollout): Promise<void> {
  const { api, messages, store } = options;
  for (const message of await messages.of(rollout.id)) {
    if (!message.asks || message.ts === null) continue;
    const seq = Number(message.key.slice(rollout.id.length + 1));
    const [fact] = await store.facts(rollout.id, seq - 1, 1);
    const rendered = fact === undefined ? null : replyAbout(fact, rollout);
    if (rendered === null || rendered.asks) continue;
    await api.update({ channel: message.channel, ts: message.ts }, rendered, message.key);
    await messages.posted(message.key, message.channel, message.ts, false);
  }
}

// ── posting once ────────────────────────────────────────────────────────────────────────────────────────────────────

async function standingOf({ messages }: SlackNotifierOptions, rolloutId: string, key: string): Promise<Place | null> {
  const message = (await messages.of(rolloutId)).find((m) => m.key === key);
  return message === undefined || message.ts === null ? null : { channel: message.channel, ts: message.ts };
}

/** Claim, look where an earlier attempt may have succeeded, post, remember. */
async function postOnce(
  options: SlackNotifierOptions,
  thread: string | null,
  rolloutId: string,
  key: string,
  rendered: Rendered,
): Promise<Place> {
  const { channel, messages } = options;
  const begun = await messages.begin(rolloutId, key, channel, POST_LEASE);
  if (begun === 'busy') throw new TryLater(`message ${key} is being posted by another worker`, BUSY, false);
  try {
    const before = begun === 'unknown' ? await look(options, thread, rolloutId, key) : null;
    const place = before ?? (await options.api.post(channel, thread, rendered, key));
    await messages.posted(key, place.channel, place.ts, rendered.asks);
    return place;
  } catch (error) {
    // A first attempt that Slack turned down posted nothing; after any other, the next one has to look.
    const turnedDown = error instanceof SlackRefusal || error instanceof TryLater;
    await messages.release(key, begun === 'mine' && turnedDown ? 'no' : 'unknown');
    throw error;
  }
}

async function look(
  { api, channel, messages }: SlackNotifierOptions,
  thread: string | null,
  rolloutId: string,
  key: string,
): Promise<Place | null> {
  const begun = (await messages.of(rolloutId)).find((message) => message.key === key);
  return begun === undefined ? null : await api.find(channel, thread, key, begun.begunAt);
}
