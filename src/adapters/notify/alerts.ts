/** Tells one channel, or the receivers that a plan names for its end: one POST per attempt, each attempt kept. */
import { TryLater } from '../../app/deliver.ts';
import { type About, AFTER, afterOf } from '../../app/deliveries.ts';
import type { DeliveryLog, Notifier } from '../../app/ports.ts';
import type { AlertMessage, AlertNotifier, Subject } from '../../app/subject.ts';
import { kindOf, rolloutSubject } from '../../app/subject.ts';
import type { Instant, Millis } from '../../domain/plan.ts';
import type { Outbound, Posted } from '../outbound/post.ts';
import { signedHeaders } from '../outbound/standard-webhooks.ts';
import { alertBody } from './alert-body.ts';
import type { Alert, ChannelRequest } from './channel.ts';

export interface AlertNotifierOptions {
  readonly outbound: Outbound;
  readonly log: Pick<DeliveryLog, 'attempted'>;
  readonly link: (about: About) => string | null;
  readonly now: () => Instant;
}

const TIMEOUT: Millis = 10_000;
/** A receiver that asks for more is tried again all the same: its mistake must not cost days. */
const LONGEST_REST: Millis = 3_600_000;
const EXCERPT = 500;

/** A channel of the installation. */
export const channelNotifier = (
  name: string,
  request: (alert: Alert, at: Instant) => ChannelRequest,
  options: AlertNotifierOptions,
): AlertNotifier => ({
  channel: name,
  deliver: (message, subject) =>
    attempt(name, message, request(alertOf(message, subject, options), options.now()), options),
});

/** The webhooks `after` of plans. `secrets`: of the installation. */
export const afterNotifier = (secrets: readonly string[], options: AlertNotifierOptions): Notifier => ({
  channel: AFTER,
  async deliver(message, rollout) {
    const webhook = afterOf(rollout.plan, message.id);
    if (webhook === null) return;
    const subject = rolloutSubject(rollout);
    const told: AlertMessage = { ...message, about: subject };
    const body = alertBody(alertOf(told, subject, options));
    const headers = signedHeaders(message.id, body, options.now(), secrets);
    await attempt(AFTER, told, { url: webhook.url, headers, body }, options);
  },
});

const alertOf = ({ id, about, fact }: AlertMessage, subject: Subject, { link }: AlertNotifierOptions): Alert => ({
  id,
  kind: kindOf(about, fact),
  fact,
  subject,
  link: link(about),
});

async function attempt(
  channel: string,
  { id, about, attempts = 0 }: AlertMessage,
  { url, headers, body }: ChannelRequest,
  { outbound, log, now }: AlertNotifierOptions,
): Promise<void> {
  const began = now();
  const posted = await outbound.post(url, { headers, body, timeout: TIMEOUT });
  const delivered = posted.ok && posted.status >= 200 && posted.status < 300;
  const message = delivered ? '' : reasonOf(posted);
  await log.attempted({
    channel,
    id,
    about: about.id,
    attempt: attempts + 1,
    at: began,
    took: now() - began,
    status: posted.ok ? posted.status : null,
    delivered,
    message,
    // Whoever writes plans chooses the receivers of `after`, and is not shown what they say.
    excerpt: posted.ok && channel !== AFTER ? posted.text.slice(0, EXCERPT) : '',
  });
  if (delivered) return;
  const rest = posted.ok ? posted.retryAfter : null;
  if (rest !== null) throw new TryLater(message, Math.min(rest, LONGEST_REST), true);
  throw new Error(message);
}

const reasonOf = (posted: Posted): string => (posted.ok ? `it answers with ${posted.status}` : posted.message);
