import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { replyAbout, rootMessage } from '../../src/adapters/notify/slack-blocks.ts';
import { askOf, askOfButton } from '../../src/app/slack-command.ts';
import { escapeSlack, summary, told } from '../../src/app/slack-words.ts';
import type { Fact, Rollout } from '../../src/domain/rollout.ts';
import { aPlan, aRollout } from '../support/builders.ts';
import { waiting } from '../support/slack-memory.ts';

/** What Slack would make of it: mentions, links, dates. */
const MARKUP = /<[^>]*>/g;

/** A rollout in which everything that others can write says `text`. */
function hostile(text: string): Rollout {
  const { target } = aPlan();
  const tally = { consecutiveFailures: 0, last: 'pass' as const, blindSince: null, lastReason: text };
  const phase = waiting(1, 1000);
  return aRollout({
    plan: aPlan({ target: { ...target, namespace: text, service: text, cluster: text }, labels: { [text]: text } }),
    phase: phase.name === 'paused' ? { ...phase, message: text } : phase,
    tallies: { [text]: tally },
    createdBy: text,
  });
}

const fact = (type: Fact['type'], message: string): Fact => ({
  seq: 2,
  at: 0,
  type,
  actor: message,
  step: 1,
  message,
  data: { cause: 'approval' },
});

describe('words of others', () => {
  it('lose the three characters that are markup, each once', () => {
    expect(escapeSlack('<!channel> & <https://evil.example|click> &amp;')).toBe(
      '&lt;!channel&gt; &amp; &lt;https://evil.example|click&gt; &amp;amp;',
    );
  });

  it('are cut where they are too long as escaped, and never within an entity or a character', () => {
    expect(told('<<<', 12)).toBe('&lt;&lt;&lt;');
    expect(told('<<<<', 12)).toBe('&lt;&lt;…');
    expect(told('😀😀😀', 4)).toBe('😀…');
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 1, max: 50 }), (text, length) => {
        expect(told(text, length).length).toBeLessThanOrEqual(length);
        expect(told(text, length).replaceAll(/&(amp|lt|gt);/g, '')).not.toMatch(/[&<>]/);
      }),
    );
  });

  it.each([
    '<!channel>',
    '<!here> <@U1>',
    '<https://evil.example|Promote>',
    '<script>alert(1)</script>',
    '&lt;!channel&gt;',
  ])('%s becomes no markup anywhere', (text) => {
    const rollout = hostile(text);
    const shown = [
      summary(rollout),
      rootMessage(rollout, null),
      replyAbout(fact('paused', text), rollout),
      replyAbout(fact('rollback_started', text), rollout),
    ];
    const all = JSON.stringify(shown.map((part) => withoutPlainText(part)));
    expect(all.match(MARKUP) ?? []).toEqual([]);
    expect(all).not.toContain('&lt;!channel&gt;'.repeat(2));
  });

  it('of any kind leave only our own markup', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 200 }), (text) => {
        const root = JSON.stringify(withoutPlainText(rootMessage(hostile(text), 'https://sluice.example/r1')));
        expect(root.match(MARKUP)).toEqual(['<https://sluice.example/r1|r1>']);
      }),
    );
  });

  it('as long as can be stay within what Slack takes', () => {
    const long = hostile('&'.repeat(20_000));
    for (const rendered of [rootMessage(long, null), replyAbout(fact('paused', '&'.repeat(20_000)), long)]) {
      expect(rendered?.text.length).toBeLessThanOrEqual(4000);
      for (const block of rendered?.blocks ?? []) {
        if (block.type === 'context') expect(block.elements[0]?.text.length).toBeLessThanOrEqual(3000);
        if (block.type === 'section') expect(block.text.text.length).toBeLessThanOrEqual(3000);
        if (block.type === 'actions') {
          for (const button of block.elements) {
            expect(button.value.length).toBeLessThanOrEqual(2000);
            expect(button.confirm.text.text.length).toBeLessThanOrEqual(300);
            expect(button.confirm.title.text.length).toBeLessThanOrEqual(100);
          }
        }
      }
    }
  });
});

/** Slack reads no markup in `plain_text`. */
function withoutPlainText(part: unknown): unknown {
  if (Array.isArray(part)) return part.map(withoutPlainText);
  if (typeof part !== 'object' || part === null) return part;
  if ('type' in part && part.type === 'plain_text') return null;
  return Object.fromEntries(
    Object.entries(part)
      .filter(([key]) => key !== 'value')
      .map(([key, value]) => [key, withoutPlainText(value)]),
  );
}

describe('words to us', () => {
  it.each([
    ['status', { name: 'status', subject: null }],
    ['  STATUS   web ', { name: 'status', subject: 'web' }],
    ['list', { name: 'list', subject: null }],
    ['list production/web', { name: 'list', subject: 'production/web' }],
    ['promote web', { name: 'promote', subject: 'web', step: null, reason: '' }],
    ['Resume web', { name: 'resume', subject: 'web', step: null, reason: '' }],
    ['pause web looking at it', { name: 'pause', subject: 'web', step: null, reason: 'looking at it' }],
    [
      'abort production/web  it  is slow',
      { name: 'abort', subject: 'production/web', step: null, reason: 'it is slow' },
    ],
    ['', { name: 'help', why: null }],
  ])('"%s" is understood', (text, ask) => {
    expect(askOf(text)).toEqual(ask);
  });

  it('never throw, whatever they are, and never mean a decision without its verb', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const { name } = askOf(text);
        if (name !== 'help') expect(text.trim().toLowerCase().startsWith(name)).toBe(true);
        expect(askOfButton(text)).toBeNull();
      }),
    );
  });

  it.each([
    ['a step below the first', { rolloutId: 'r1', expectedStep: -1, action: 'promote' }],
    ['a step that is no whole number', { rolloutId: 'r1', expectedStep: 0.5, action: 'promote' }],
    ['no step', { rolloutId: 'r1', action: 'promote' }],
    ['another action', { rolloutId: 'r1', expectedStep: 1, action: 'give_up' }],
    ['something more', { rolloutId: 'r1', expectedStep: 1, action: 'promote', full: true }],
  ])('a button with %s is none of ours', (_, value) => {
    expect(askOfButton(JSON.stringify(value))).toBeNull();
  });
});
