/**
 * From the outbox to people: claims a message, hands it to the channel's notifier, and strikes it off or puts it back.
 * Nothing is dropped here (an outbox may give up after days, and shows it), and nothing here is on the way of a tick: with Slack down for a day, rollouts go on and the
 * messages follow when it is back.
 */
import type { Millis } from '../domain/plan.ts';
import type { Logger, Message, Notifier, Outbox, Queued, Recorder, RolloutStore } from './ports.ts';
import type { Repeating } from './repeat.ts';
import { repeat } from './repeat.ts';
import type { AlertMessage, AlertNotifier, Subjects } from './subject.ts';
import { type StepAt, type Tracer, UNTRACED } from './tracer.ts';

export interface DeliverPorts {
  readonly outbox: Outbox;
  readonly store: Pick<RolloutStore, 'load'>;
  readonly recorder: Pick<Recorder, 'notification'>;
  /** Absent: nothing is traced. */
  readonly tracer?: Tracer;
  readonly log: Logger;
  /** From 0 to 1. Absent: chance. */
  readonly random?: () => number;
}

/** Thrown by a notifier that was told, or knows, when to try again. */
export class TryLater extends Error {
  readonly after: Millis;
  /** true: nothing of this channel should be tried before (a rate limit). */
  readonly wholeChannel: boolean;
  constructor(message: string, after: Millis, wholeChannel: boolean) {
    super(message);
    this.name = 'TryLater';
    this.after = after;
    this.wholeChannel = wholeChannel;
  }
}

/** Longer than any delivery may take: the notifiers' own deadlines are seconds. */
const LEASE: Millis = 120_000;
const FIRST_DELAY: Millis = 1000;
const LAST_DELAY: Millis = 15 * 60_000;
/** A channel that fails is left alone for at most so long: its return must be noticed soon. */
const LAST_REST: Millis = 30_000;

/** 1 s, 2 s, 4 s ... 15 min, and 15 min for ever after. */
export const backOff = (attempts: number): Millis => Math.min(LAST_DELAY, FIRST_DELAY * 2 ** Math.min(attempts, 20));

export type Delivery =
  | { readonly kind: 'idle' }
  | { readonly kind: 'delivered' }
  /** `rest`: leave the channel alone for so long; null: only this message waits. */
  | { readonly kind: 'postponed'; readonly rest: Millis | null };

/** Delivers the oldest message of the notifier's channel that is due. Throws only where the outbox itself fails. */
export const deliverNext = (ports: DeliverPorts, notifier: Notifier): Promise<Delivery> => {
  const { store, tracer = UNTRACED, log } = ports;
  const { channel } = notifier;
  return handOver(ports, channel, async (message) => {
    const loaded = await store.load(message.rolloutId);
    if (loaded !== null)
      await tracer.step(stepOf(message), `${channel}.deliver`, { 'sluice.fact': message.fact.type }, () =>
        notifier.deliver(message, loaded.rollout),
      );
    else
      log.info(
        { rolloutId: message.rolloutId, channel },
        'a message about a rollout that was deleted: nothing to tell',
      );
  });
};

export interface AlertPorts extends HandOverPorts<AlertMessage> {
  readonly subjects: Subjects;
  /** Absent: nothing is traced. */
  readonly tracer?: Tracer;
}

/** As `deliverNext`, of alerts: about whatever there is to alert of. */
export const deliverNextAlert = (ports: AlertPorts, notifier: AlertNotifier): Promise<Delivery> => {
  const { subjects, tracer = UNTRACED, log } = ports;
  const { channel } = notifier;
  return handOver(ports, channel, async (message) => {
    const { about, fact } = message;
    const subject = await subjects[about.kind](about.id);
    if (subject === null)
      return log.info({ ...about, channel }, 'a message about something that was deleted: nothing to tell');
    const at: StepAt = { rollout: about.id, step: fact.step };
    await tracer.step(at, `${channel}.deliver`, { 'sluice.fact': fact.type }, () => notifier.deliver(message, subject));
  });
};

/** What handing over needs, whatever the messages are about. */
export interface HandOverPorts<M extends Queued> extends Pick<DeliverPorts, 'recorder' | 'log' | 'random'> {
  readonly outbox: Outbox<M>;
}

/** Hands the oldest message of the channel that is due to `deliver`, which throws where it is to come again. */
export async function handOver<M extends Queued>(
  ports: HandOverPorts<M>,
  channel: string,
  deliver: (message: M) => Promise<void>,
): Promise<Delivery> {
  const { outbox, recorder } = ports;
  const [message] = await outbox.claim(channel, 1, LEASE);
  if (message === undefined) return { kind: 'idle' };
  try {
    await deliver(message);
  } catch (error) {
    return await putBack(ports, channel, message, error);
  }
  await outbox.delivered(channel, message.id);
  recorder.notification(channel, 'delivered');
  return { kind: 'delivered' };
}

/** Told late or not, it belongs to the step that it tells of. */
const stepOf = ({ rolloutId, fact }: Message): StepAt => ({ rollout: rolloutId, step: fact.step });

async function putBack<M extends Queued>(
  { outbox, recorder, log, random = Math.random }: HandOverPorts<M>,
  channel: string,
  message: M,
  error: unknown,
): Promise<Delivery> {
  const told = error instanceof TryLater ? error : null;
  // Half of it is chance: what failed together must not come back together.
  const delay = told?.after ?? Math.round(backOff(message.attempts ?? 0) * (0.5 + random() / 2));
  const reason = error instanceof Error ? error.message : String(error);
  await outbox.postpone(channel, message.id, delay, reason);
  recorder.notification(channel, 'postponed');
  log.warn(
    { channel, message: message.id, attempts: message.attempts ?? 0, delay, reason },
    'a message could not be delivered; it is tried again',
  );
  return { kind: 'postponed', rest: told === null ? FIRST_DELAY : told.wholeChannel ? told.after : null };
}

/** One loop per channel, so that a channel that hangs delays only itself. */
export const startDelivery = (ports: DeliverPorts, notifiers: readonly Notifier[], idle?: Millis): Repeating =>
  loopsOf(notifiers, (notifier) => deliverNext(ports, notifier), ports.log, idle);

export const startAlerts = (ports: AlertPorts, notifiers: readonly AlertNotifier[], idle?: Millis): Repeating =>
  loopsOf(notifiers, (notifier) => deliverNextAlert(ports, notifier), ports.log, idle);

function loopsOf<N extends { readonly channel: string }>(
  notifiers: readonly N[],
  deliver: (notifier: N) => Promise<Delivery>,
  log: Logger,
  idle?: Millis,
): Repeating {
  const loops = notifiers.map((notifier) => deliveryLoop(notifier.channel, () => deliver(notifier), log, idle));
  return {
    async stop() {
      await Promise.all(loops.map((loop) => loop.stop()));
    },
  };
}

/** Delivers one message after the other; after a failure, and where there is none, it rests. */
export const deliveryLoop = (
  channel: string,
  deliver: () => Promise<Delivery>,
  log: Logger,
  idle: Millis = 1000,
): Repeating => repeat(`delivery to ${channel}`, channelStep(deliver, idle), log);

function channelStep(deliver: () => Promise<Delivery>, idle: Millis): () => Promise<Millis> {
  let failures = 0;
  return async () => {
    const delivery = await deliver();
    switch (delivery.kind) {
      case 'idle':
        return idle;
      case 'delivered':
        failures = 0;
        return 0;
      case 'postponed':
        if (delivery.rest === null) return 0;
        failures += 1;
        return Math.max(delivery.rest, Math.min(LAST_REST, backOff(failures - 1)));
      default:
        return delivery satisfies never;
    }
  };
}
