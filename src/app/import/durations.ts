/** Durations as Go reads them ("1m30s", "1.5h"), and as a plan writes them. */
import type { Millis } from '../../domain/plan.ts';

const UNIT: Readonly<Record<string, Millis>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};
const WHOLE = /^(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+$/;
const PART = /(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g;

/** null: not a duration of Go. */
export function goDuration(text: string | undefined): Millis | null {
  if (text === undefined || !WHOLE.test(text)) return null;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(PART)) total += Number(amount) * (UNIT[unit ?? ''] ?? 0);
  return Math.round(total);
}

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** "1m30s"; whole milliseconds. */
export function written(ms: Millis): string {
  const parts: string[] = [];
  let left = Math.round(ms);
  for (const [unit, size] of [
    ['h', HOUR],
    ['m', MINUTE],
    ['s', SECOND],
    ['ms', 1],
  ] as const) {
    const amount = Math.floor(left / size);
    if (amount > 0) parts.push(`${amount}${unit}`);
    left -= amount * size;
  }
  return parts.length === 0 ? '0s' : parts.join('');
}

export const clamped = (ms: Millis, least: Millis, most: Millis): Millis => Math.min(Math.max(ms, least), most);
