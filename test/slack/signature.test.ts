import { describe, expect, it } from 'vitest';
import { sign, TOLERANCE, verify } from '../../src/http/slack/signature.ts';

/** The example that Slack publishes with its signing scheme. */
const PUBLISHED = {
  secret: '8f742231b10e8888abcd99yyyzzz85a5',
  timestamp: '1531420618',
  body: 'token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c',
  signature: 'v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503',
};
const SIGNED_AT = Number(PUBLISHED.timestamp) * 1000;

const published = (part: { timestamp?: string | undefined; signature?: string | undefined; body?: string } = {}) => ({
  timestamp: 'timestamp' in part ? part.timestamp : PUBLISHED.timestamp,
  signature: 'signature' in part ? part.signature : PUBLISHED.signature,
  body: Buffer.from(part.body ?? PUBLISHED.body),
});

describe("Slack's signature", () => {
  it('accepts the vector that Slack publishes', () => {
    expect(verify([PUBLISHED.secret], published(), SIGNED_AT)).toBe('ok');
  });

  it('accepts any of several secrets, so that one can be changed without a gap', () => {
    expect(verify(['the-new-one', PUBLISHED.secret], published(), SIGNED_AT)).toBe('ok');
    expect(verify([PUBLISHED.secret, 'the-old-one'], published(), SIGNED_AT)).toBe('ok');
    expect(verify(['the-new-one', 'the-old-one'], published(), SIGNED_AT)).toBe('wrong');
  });

  it.each([
    ['exactly as old as allowed', TOLERANCE, 'ok'],
    ['a moment too old', TOLERANCE + 1, 'stale'],
    ['exactly as far ahead as allowed', -TOLERANCE, 'ok'],
    ['a moment too far ahead', -TOLERANCE - 1, 'stale'],
    ['a year ahead', -365 * 86_400_000, 'stale'],
  ])('answers to a request that is %s', (_, age, verdict) => {
    expect(verify([PUBLISHED.secret], published(), SIGNED_AT + age)).toBe(verdict);
  });

  it('refuses a body that was parsed and written again, though it means the same', () => {
    const rewritten = PUBLISHED.body.replaceAll('%2F', '/');
    expect(verify([PUBLISHED.secret], published({ body: rewritten }), SIGNED_AT)).toBe('wrong');
  });

  it('refuses a timestamp that was changed to look fresh', () => {
    const later = String(Number(PUBLISHED.timestamp) + 600);
    expect(verify([PUBLISHED.secret], published({ timestamp: later }), SIGNED_AT + 600_000)).toBe('wrong');
  });

  it.each([
    ['no timestamp', { timestamp: undefined }],
    ['no signature', { signature: undefined }],
    ['a timestamp that is no number', { timestamp: 'NaN' }],
    ['a timestamp with a sign', { timestamp: '-1' }],
    ['an empty signature', { signature: '' }],
    ['another scheme', { signature: PUBLISHED.signature.replace('v0', 'v1') }],
    ['a signature cut short', { signature: PUBLISHED.signature.slice(0, -2) }],
    ['a signature that goes on', { signature: `${PUBLISHED.signature}00` }],
    ['a signature that is not ASCII', { signature: `v0=${'é'.repeat(64)}` }],
  ])('refuses %s', (_, part) => {
    expect(verify([PUBLISHED.secret], published(part), SIGNED_AT)).toBe('unsigned');
  });

  it('accepts nothing without a secret', () => {
    expect(verify([], published(), SIGNED_AT)).toBe('wrong');
    expect(sign('', PUBLISHED.timestamp, PUBLISHED.body)).not.toBe(PUBLISHED.signature);
  });
});
