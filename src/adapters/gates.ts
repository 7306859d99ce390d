/** Asks gates of plans over HTTP. Only one answer approves: 2xx with {"decision":"approve"}. */
import { z } from 'zod';
import type { GateKeeper } from '../app/ports.ts';
import type { Outbound, Posted } from './outbound/post.ts';
import { signedHeaders } from './outbound/standard-webhooks.ts';

export interface GateKeeperOptions {
  readonly outbound: Outbound;
  /** Of this installation; empty: it asks no gates. */
  readonly secrets: readonly string[];
  readonly now: () => number;
}

const answer = z.object({ decision: z.enum(['approve', 'refuse', 'wait']), reason: z.string().optional() });

const REASON = 300;

export const gateKeeper = ({ outbound, secrets, now }: GateKeeperOptions): GateKeeper => ({
  objection(url) {
    if (secrets.length > 0) return outbound.objection(url);
    return 'this installation has no secret to sign questions with: have SLUICE_WEBHOOK_SECRETS set';
  },
  async ask({ id, webhook }, body) {
    const { url, timeout } = webhook;
    return decisionOf(await outbound.post(url, { headers: signedHeaders(id, body, now(), secrets), body, timeout }));
  },
});

/** Everything that is not clearly one of the three decisions is no answer. */
export function decisionOf(posted: Posted): ReturnType<GateKeeper['ask']> extends Promise<infer A> ? A : never {
  if (!posted.ok) return { decision: 'unavailable', message: posted.message };
  const { status, text } = posted;
  if (status < 200 || status > 299) return { decision: 'unavailable', message: `it answers with ${status}` };
  const parsed = answer.safeParse(json(text));
  if (parsed.success) return { decision: parsed.data.decision, message: oneLine(parsed.data.reason ?? '') };
  const wanted = 'wanted {"decision": "approve"}, "refuse" or "wait" as JSON';
  return { decision: 'unavailable', message: `${wanted}; it answers ${status} with something else` };
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Its words become part of sentences. */
const oneLine = (text: string): string =>
  text
    .replaceAll(/[\p{Cc}\p{Cf}\s]+/gu, ' ')
    .trim()
    .slice(0, REASON);
