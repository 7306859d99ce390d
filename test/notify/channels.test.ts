/** What each kind of channel sends. One file per kind in `notify/channels/`: the registry finds them. */
import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import { decisionOf } from '../../src/adapters/gates.ts';
import type { Alert } from '../../src/adapters/notify/channel.ts';
import { openChannels } from '../../src/adapters/notify/open-channels.ts';
import { openOutbound } from '../../src/adapters/outbound/post.ts';
import { isWebhookSecret, signedHeaders } from '../../src/adapters/outbound/standard-webhooks.ts';
import { loadChannels } from '../../src/adapters/registry.ts';
import { rolloutSubject } from '../../src/app/subject.ts';
import { ALERT_KINDS } from '../../src/domain/alert.ts';
import type { Fact } from '../../src/domain/rollout.ts';
import { aPlan, aRollout } from '../support/builders.ts';

const kinds = await loadChannels();
const outbound = openOutbound({ allowed: { ranges: [], suffixes: [] } });
const opened = (kind: string, settings: Record<string, unknown>) => {
  const [channel] = openChannels([{ name: 'ops', kind, usual: true, settings }], kinds, outbound);
  if (channel === undefined) throw new Error('not opened');
  return channel;
};

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const OLD_SECRET = `whsec_${Buffer.alloc(24, 9).toString('base64')}`;
const SETTINGS: Readonly<Record<string, Record<string, unknown>>> = {
  webhook: { url: 'https://hooks.example.com/in', secrets: [SECRET] },
  msteams: { url: 'https://teams.example.com/workflows/1?sig=abc' },
  pagerduty: { routingKey: 'R0UTINGKEY0123456789ABCDEFGHIJKL' },
};

const EVIL = 'canary errors *are* [here](https://evil.example.com) <at>everyone</at> \u0000';
const anAlert = (kind: Alert['kind'], data: Fact['data'] = {}, link: string | null = null): Alert => ({
  id: 'r1:7',
  kind,
  fact: { seq: 7, at: 1_700_000_000_000, type: 'paused', actor: 'sluice', step: 1, message: EVIL, data },
  subject: rolloutSubject(aRollout({ plan: aPlan({ labels: { image: 'myapp:2.1' } }) })),
  link,
});

describe('every kind of channel', () => {
  it('is one file, and these are there', () => {
    expect([...kinds.keys()]).toEqual(['msteams', 'pagerduty', 'webhook']);
    expect(Object.keys(SETTINGS).toSorted()).toEqual([...kinds.keys()]);
  });

  it.each([...kinds.keys()])('%s: tells every kind of alert as JSON, the same at each attempt', (kind) => {
    const channel = opened(kind, SETTINGS[kind] ?? {});
    for (const alert of ALERT_KINDS) {
      const told = anAlert(alert, { status: 'rolled_back', cause: 'drift' });
      const { url, headers, body } = channel.request(told, 1_000);
      expect(outbound.objection(url)).toBeNull();
      expect(headers['content-type']).toBe('application/json');
      expect(body).toBe(channel.request(told, 999_000).body);
      expect(() => JSON.parse(body)).not.toThrow();
      expect(Buffer.byteLength(body)).toBeLessThan(28_000);
    }
  });

  it.each([...kinds.keys()])('%s: what is wrong with its settings is said without their values', (kind) => {
    const settings = { ...SETTINGS[kind], url: 'secret-nonsense', surprise: 1 };
    expect(() => opened(kind, settings)).toThrow(/channel "ops"/);
    try {
      opened(kind, { ...settings, secrets: ['whsec_tooshort'], routingKey: 'sh ort' });
    } catch (error) {
      expect(String(error)).not.toMatch(/secret-nonsense|tooshort|sh ort/);
    }
  });

  it('an unknown kind names the known ones, and an address out of bounds is refused', () => {
    expect(() => opened('pigeon', {})).toThrow(/msteams, pagerduty, webhook/);
    expect(() => opened('msteams', { url: 'https://169.254.169.254/' })).toThrow(/channel "ops" \(msteams\): \/url/);
  });
});

describe('webhook', () => {
  it('is signed so that another implementation of Standard Webhooks takes it, with each secret of a rotation', () => {
    const channel = opened('webhook', { url: 'https://hooks.example.com/in', secrets: [SECRET, OLD_SECRET] });
    const { headers, body } = channel.request(anAlert('needs_person'), Date.now());
    for (const secret of [SECRET, OLD_SECRET]) {
      const payload = new Webhook(secret).verify(body, { ...headers });
      expect(payload).toMatchObject({ type: 'rollout.paused', data: { kind: 'needs_person', rollout: { id: 'r1' } } });
    }
    const stranger = new Webhook(`whsec_${Buffer.alloc(32, 1).toString('base64')}`);
    expect(() => stranger.verify(body, { ...headers })).toThrow();
    expect(() => new Webhook(SECRET).verify(`${body} `, { ...headers })).toThrow();
    expect(() => new Webhook(SECRET).verify(body, { ...channel.request(anAlert('ended'), 0).headers })).toThrow();
  });

  it('has the id of the message, whatever the attempt', () => {
    const ids = [1_000, 2_000].map((at) => signedHeaders('r1:7', '{}', at, [SECRET])['webhook-id']);
    expect(ids).toEqual(['r1:7', 'r1:7']);
  });

  it.each([
    [SECRET, true],
    [OLD_SECRET, true],
    [`whsec_${Buffer.alloc(23).toString('base64')}`, false],
    [`whsec_${Buffer.alloc(65).toString('base64')}`, false],
    [Buffer.alloc(32).toString('base64'), false],
    ['whsec_', false],
    ['whsec_not base64!', false],
  ])('%s is a secret: %s', (text, is) => {
    expect(isWebhookSecret(text)).toBe(is);
  });
});

describe('msteams', () => {
  it('is an adaptive card whose words are no markdown', () => {
    const { body } = opened('msteams', SETTINGS['msteams'] ?? {}).request(
      anAlert('ended', { status: 'rolled_back' }, 'https://sluice.example.com/ui/rollouts/r1'),
      0,
    );
    const { type, attachments } = JSON.parse(body);
    expect(type).toBe('message');
    const [{ contentType, content }] = attachments;
    expect(contentType).toBe('application/vnd.microsoft.card.adaptive');
    expect(content.body.map((block: { type: string }) => block.type)).toEqual(Array(3).fill('RichTextBlock'));
    expect(content.body[0].inlines[0].text).toBe('myapp (default/production) rolled back');
    expect(content.body[1].inlines[0]).toEqual({ type: 'TextRun', text: EVIL });
    expect(content.actions[0]).toMatchObject({ type: 'Action.OpenUrl' });
  });
});

describe('pagerduty', () => {
  const eventOf = (alert: Alert) => JSON.parse(opened('pagerduty', SETTINGS['pagerduty'] ?? {}).request(alert, 0).body);

  it.each([
    ['needs_person', { cause: 'drift' }, 'trigger', 'warning'],
    ['needs_person', { cause: 'approval' }, 'trigger', 'info'],
    ['going_back', {}, 'trigger', 'error'],
    ['goes_on', {}, 'resolve', undefined],
    ['ended', { status: 'succeeded' }, 'resolve', undefined],
    ['ended', { status: 'rolled_back' }, 'resolve', undefined],
    ['ended', { status: 'aborted' }, 'resolve', undefined],
    ['ended', { status: 'superseded' }, 'resolve', undefined],
    ['ended', { status: 'failed' }, 'trigger', 'critical'],
  ] as const)('%s %j: %s, %s, always of the same incident', (kind, data, action, severity) => {
    const event = eventOf(anAlert(kind, data));
    expect(event).toMatchObject({ event_action: action, dedup_key: 'sluice:r1' });
    expect(event.payload?.severity).toBe(severity);
    if (severity !== undefined)
      expect(event.payload).toMatchObject({ source: 'default/production', component: 'myapp' });
  });
});

describe("a gate's answer", () => {
  const answer = (status: number, text: string) => decisionOf({ ok: true, status, text, retryAfter: null });

  it.each([
    [200, '{"decision":"approve"}', 'approve', ''],
    [201, '{"decision":"approve","reason":"CHG-17","more":1}', 'approve', 'CHG-17'],
    [200, '{"decision":"refuse","reason":"no"}', 'refuse', 'no'],
    [200, '{"decision":"wait","reason":"a\\nb\\u202e  c"}', 'wait', 'a b c'],
  ])('%i %s is %s', (status, text, decision, message) => {
    expect(answer(status, text)).toEqual({ decision, message });
  });

  it.each([
    [200, ''],
    [204, ''],
    [200, 'ok'],
    [200, 'approve'],
    [200, '"approve"'],
    [200, '["approve"]'],
    [200, '{}'],
    [200, 'null'],
    [200, 'true'],
    [200, '{"approve":true}'],
    [200, '{"decision":true}'],
    [200, '{"decision":"APPROVE"}'],
    [200, '{"decision":"approved"}'],
    [200, '{"decision":["approve"]}'],
    [200, '{"decision":"approve"'],
    [200, '<html>{"decision":"approve"}</html>'],
    [200, '{"decision":"approve"}{"decision":"refuse"}'],
    [200, '{"decision":"approve","reason":7}'],
    [301, '{"decision":"approve"}'],
    [304, '{"decision":"approve"}'],
    [400, '{"decision":"approve"}'],
    [403, '{"decision":"refuse"}'],
    [500, '{"decision":"approve"}'],
    [0, '{"decision":"approve"}'],
  ])('%i %s is no answer, and no approval', (status, text) => {
    expect(answer(status, text).decision).toBe('unavailable');
  });

  it.each(['out_of_bounds', 'timeout', 'unreachable', 'too_large'] as const)('%s is no answer', (code) => {
    expect(decisionOf({ ok: false, code, message: 'why' })).toEqual({ decision: 'unavailable', message: 'why' });
  });

  it('of whatever text approves only by the word', () => {
    expect(answer(200, `{"decision":"wait","reason":"${'x'.repeat(5_000)}"}`).message).toHaveLength(300);
  });
});
