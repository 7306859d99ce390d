/** Is this request from Slack, and from now? (Slack's signing scheme "v0".) */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Instant, Millis } from '../../domain/plan.ts';

/** Slack's own advice. Both sides: a clock that is ahead must not make a captured request good for longer. */
export const TOLERANCE: Millis = 300_000;

export interface Signed {
  /** Header X-Slack-Request-Timestamp: seconds since the epoch. */
  readonly timestamp: string | undefined;
  /** Header X-Slack-Signature: "v0=" and 64 hex digits. */
  readonly signature: string | undefined;
  /** The body as it came over the wire: parsing and writing it again would give other bytes. */
  readonly body: Buffer;
}

export type Verdict = 'ok' | 'unsigned' | 'stale' | 'wrong';

/** `secrets`: any of them may have signed, so that a secret can be changed without a gap. */
export function verify(secrets: readonly string[], { timestamp, signature, body }: Signed, now: Instant): Verdict {
  if (timestamp === undefined || signature === undefined) return 'unsigned';
  if (!/^\d{1,12}$/.test(timestamp) || !/^v0=[0-9a-f]{64}$/.test(signature)) return 'unsigned';
  if (Math.abs(now - Number(timestamp) * 1000) > TOLERANCE) return 'stale';
  const given = Buffer.from(signature);
  // Every secret is tried, also after a match: the time must not tell which one it was.
  const matches = secrets.map((secret) => timingSafeEqual(Buffer.from(sign(secret, timestamp, body)), given));
  return matches.includes(true) ? 'ok' : 'wrong';
}

export const sign = (secret: string, timestamp: string, body: Buffer | string): string =>
  `v0=${createHmac('sha256', secret).update(`v0:${timestamp}:`).update(body).digest('hex')}`;
