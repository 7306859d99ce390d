/**
 * Work that a fact of the history asks for and that no tick waits for: the transaction that recorded the fact put a message
 * into a channel of the outbox, one loop per channel takes it from there, and a worker that dies is followed by another.
 */
import type { Millis } from '../domain/plan.ts';
import type { Loaded, Logger, Message, Outbox, RolloutStore } from './ports.ts';
import type { Repeating } from './repeat.ts';
import { repeat } from './repeat.ts';

/** What became of one try. */
export type Tried =
  | { readonly kind: 'done' }
  | { readonly kind: 'later'; readonly delay: Millis; readonly why: string };

export const DONE: Tried = { kind: 'done' };
export const later = (delay: Millis, why: string): Tried => ({ kind: 'later', delay, why });

export interface Afterwards {
  /** Channel of the outbox. */
  readonly channel: string;
  /** Longer than one try may take. */
  readonly lease: Millis;
}

export interface AfterwardsPorts {
  readonly outbox: Outbox;
  readonly store: Pick<RolloutStore, 'load'>;
}

export type Afterwarded = 'idle' | 'postponed' | 'concluded';

/**
 * One try for the oldest message that is due. A rollout that the retention has deleted needs nothing any more. Throws only
 * where Postgres fails; the message is then due again when its lease is over.
 */
export async function tryOnce(
  { channel, lease }: Afterwards,
  { outbox, store }: AfterwardsPorts,
  attempt: (message: Message, loaded: Loaded) => Promise<Tried>,
): Promise<Afterwarded> {
  const [message] = await outbox.claim(channel, 1, lease);
  if (message === undefined) return 'idle';
  const loaded = await store.load(message.rolloutId);
  const tried = loaded === null ? DONE : await attempt(message, loaded);
  if (tried.kind === 'later') {
    await outbox.postpone(channel, message.id, tried.delay, tried.why);
    return 'postponed';
  }
  await outbox.delivered(channel, message.id);
  return 'concluded';
}

/** Tries again and again; `idle`: how long to rest where nothing was due. */
export const startAfterwards = (name: string, idle: Millis, once: () => Promise<Afterwarded>, log: Logger): Repeating =>
  repeat(name, async () => ((await once()) === 'idle' ? idle : 0), log);
