/**
 * Posting once, although delivery is at least once and several workers deliver: the key of a message is claimed before it
 * is posted and goes along with it, and whoever comes after an attempt without an answer looks for it first.
 */
import { TryLater } from '../../app/deliver.ts';
import type { SlackMessages } from '../../app/ports.ts';
import type { Millis } from '../../domain/plan.ts';
import type { Place, SlackApi } from './slack-api.ts';
import { SlackRefusal } from './slack-api.ts';
import type { Rendered } from './slack-blocks.ts';

export interface PostOptions {
  readonly api: SlackApi;
  /** Id of the channel: "C0123ABCD". A name can be posted to, but not searched. */
  readonly channel: string;
  readonly messages: SlackMessages;
}

/** Longer than a search and a post together may take. */
const POST_LEASE: Millis = 60_000;
export const BUSY: Millis = 2000;

/** `about`: whose messages it is one of. */
export async function standingOf({ messages }: PostOptions, about: string, key: string): Promise<Place | null> {
  const message = (await messages.of(about)).find((m) => m.key === key);
  return message === undefined || message.ts === null ? null : { channel: message.channel, ts: message.ts };
}

/** Claim, look where an earlier attempt may have succeeded, post, remember. `thread`: asked once the key is claimed. */
export async function postOnce(
  options: PostOptions,
  thread: () => Promise<string | null>,
  about: string,
  key: string,
  render: (thread: string | null) => Rendered,
): Promise<Place> {
  const { channel, messages } = options;
  const begun = await messages.begin(about, key, channel, POST_LEASE);
  if (begun === 'busy') throw new TryLater(`message ${key} is being posted by another worker`, BUSY, false);
  try {
    const below = await thread();
    const before = begun === 'unknown' ? await look(options, below, about, key) : null;
    const rendered = render(below);
    const place = before ?? (await options.api.post(channel, below, rendered, key));
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
  { api, channel, messages }: PostOptions,
  thread: string | null,
  about: string,
  key: string,
): Promise<Place | null> {
  const begun = (await messages.of(about)).find((message) => message.key === key);
  return begun === undefined ? null : await api.find(channel, thread, key, begun.begunAt);
}
