/** Marks that differ in shape as well as in colour, for those who see no colours and for terminals that have none. */
import type { Part, Tone } from './line.ts';
import { toned } from './line.ts';

type Mark = readonly [unicode: string, ascii: string, tone: Tone];

const VERDICTS: Readonly<Record<string, Mark>> = {
  pass: ['✔', '+', 'good'],
  fail: ['✖', 'x', 'bad'],
  inconclusive: ['?', '?', 'warn'],
  error: ['!', '!', 'warn'],
  unknown: ['·', '.', 'quiet'],
  // Of the comparison with the stable version.
  safe: ['✔', '+', 'good'],
  bad: ['✖', 'x', 'bad'],
  suspicious: ['?', '?', 'warn'],
};
const LEVELS: Readonly<Record<string, Mark>> = {
  pass: ['✔', '+', 'good'],
  warn: ['▲', '!', 'warn'],
  fail: ['✖', 'x', 'bad'],
  unknown: ['?', '?', 'warn'],
};
const PLACES = {
  done: ['✔', '+', 'good'],
  here: ['●', '*', 'accent'],
  left: ['✖', 'x', 'bad'],
  ahead: ['○', 'o', 'quiet'],
} as const satisfies Readonly<Record<string, Mark>>;
export type Place = keyof typeof PLACES;

const NONE: Mark = ['·', '.', 'quiet'];

const partOf = ([fine, plain, tone]: Mark, unicode: boolean): Part => toned(tone, unicode ? fine : plain);

/** The bare mark, for what is no terminal. */
export const markOf = (verdict: string): string => (VERDICTS[verdict] ?? NONE)[0];
export const verdictMark = (verdict: string | null, unicode: boolean): Part =>
  partOf(VERDICTS[verdict ?? ''] ?? NONE, unicode);
export const levelMark = (level: string, unicode: boolean): Part => partOf(LEVELS[level] ?? NONE, unicode);
export const placeMark = (place: Place, unicode: boolean): Part => partOf(PLACES[place], unicode);

const STATUS_TONES: Readonly<Record<string, Tone>> = {
  pending: 'quiet',
  progressing: 'accent',
  running: 'accent',
  baking: 'accent',
  guarding: 'accent',
  strict: 'accent',
  paused: 'warn',
  rolling_back: 'bad',
  succeeded: 'good',
  rolled_back: 'bad',
  aborted: 'bad',
  superseded: 'warn',
  failed: 'bad',
};
export const statusTone = (status: string): Tone => STATUS_TONES[status] ?? 'strong';

/** "[#####---------------]" for 25. */
export function bar(percent: number, width: number, unicode: boolean): string {
  const filled = Math.round((Math.min(100, Math.max(0, percent)) / 100) * width);
  return unicode
    ? `${'█'.repeat(filled)}${'░'.repeat(width - filled)}`
    : `[${'#'.repeat(filled)}${'-'.repeat(width - filled)}]`;
}
