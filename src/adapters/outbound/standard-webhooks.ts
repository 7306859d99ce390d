/** Signatures by Standard Webhooks: who gets a message can tell that it is ours, unchanged, and not an old one sent again. */
import { createHmac } from 'node:crypto';
import type { Instant } from '../../domain/plan.ts';

/** `whsec_` and the key in base64: 24 to 64 bytes. */
export const isWebhookSecret = (text: string): boolean => {
  const base64 = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(text)?.[1];
  const length = base64 === undefined ? 0 : Buffer.from(base64, 'base64').byteLength;
  return length >= 24 && length <= 64;
};

/** One signature for each secret: while one is rotated, both sides of it are satisfied. `at`: when it is sent. */
export function signedHeaders(
  id: string,
  body: string,
  at: Instant,
  secrets: readonly string[],
): Readonly<Record<string, string>> {
  const timestamp = String(Math.floor(at / 1000));
  const signatures = secrets.map((secret) => {
    const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
    return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
  });
  return {
    'content-type': 'application/json',
    'user-agent': 'Sluice',
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': signatures.join(' '),
  };
}
