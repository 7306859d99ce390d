/** Durations as people write them, without the schema library: the command line must start fast. */
import type { Millis } from '../domain/plan.ts';

const UNIT: Readonly<Record<string, Millis>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
export const DURATION = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/;
const PART = /(\d+(?:\.\d+)?)(ms|s|m|h|d)/g;

/** "1m30s" -> 90000; null: not a duration. */
export function parseDuration(text: string): Millis | null {
  if (!DURATION.test(text)) return null;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(PART)) total += Number(amount) * (UNIT[unit ?? ''] ?? Number.NaN);
  return Math.round(total);
}
