/**
 * Microsoft Teams: an adaptive card to the address of a workflow ("Post to a channel when a webhook request is received").
 * Text runs and not text blocks: those would read markdown in words that are not ours.
 */
import { z } from 'zod';
import type { AlertKind } from '../../../domain/alert.ts';
import { type Alert, defineChannel, endedAs, JSON_HEADERS } from '../channel.ts';

const HEADS: Readonly<Record<Exclude<AlertKind, 'ended'>, readonly [words: string, color: string]>> = {
  needs_person: ['needs somebody', 'warning'],
  goes_on: ['goes on', 'default'],
  going_back: ['rolls back', 'attention'],
};

function head(alert: Alert): readonly [words: string, color: string] {
  const status = endedAs(alert);
  if (alert.kind !== 'ended') return HEADS[alert.kind];
  return [String(status).replaceAll('_', ' '), status === 'succeeded' ? 'good' : 'attention'];
}

const run = (text: string, style: object = {}) => ({
  type: 'RichTextBlock',
  inlines: [{ type: 'TextRun', text, ...style }],
});

/** A card may have 28 KB in all. */
const LONGEST = 4_000;

export default defineChannel({
  kind: 'msteams',
  settings: z.strictObject({ url: z.url({ protocol: /^https?$/, error: 'wanted an address' }) }),
  request({ url }, alert) {
    const [words, color] = head(alert);
    const labels = Object.entries(alert.subject.labels).slice(0, 5);
    const about = [alert.subject.id, ...labels.map(([key, value]) => `${key}: ${value}`)].join(' · ');
    const content = {
      $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
      type: 'AdaptiveCard',
      version: '1.4',
      fallbackText: `${alert.subject.title} ${words}: ${alert.fact.message}`.slice(0, LONGEST),
      body: [
        run(`${alert.subject.title} ${words}`, { weight: 'bolder', size: 'medium', color }),
        run(alert.fact.message.slice(0, LONGEST)),
        run(about.slice(0, LONGEST), { size: 'small', isSubtle: true }),
      ],
      ...(alert.link === null ? {} : { actions: [{ type: 'Action.OpenUrl', title: 'Open', url: alert.link }] }),
    };
    const card = { contentType: 'application/vnd.microsoft.card.adaptive', contentUrl: null, content };
    return { url, headers: JSON_HEADERS, body: JSON.stringify({ type: 'message', attachments: [card] }) };
  },
});
