/** What was given as text: a time as "7d" (so long ago) or as it is, and how many. */
import { parseDuration } from '../app/duration.ts';
import { usage } from './failure.ts';

/** RFC 3339, in UTC. */
export function timeOf(option: string, text: string, now: number): string {
  const ago = parseDuration(text);
  if (ago !== null) return new Date(now - ago).toISOString();
  // Date.parse takes a good deal more than RFC 3339, and reads much of it in local time.
  if (
    /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})$/.test(text) &&
    !Number.isNaN(Date.parse(text))
  )
    return new Date(text).toISOString();
  throw usage(`--${option}: wanted a time like 7d, or like 2026-01-31T12:00:00Z; found ${JSON.stringify(text)}`);
}

/** --limit. */
export function limitOf(text = '50'): number {
  const limit = Number(text);
  if (/^\d{1,5}$/.test(text) && limit >= 1) return limit;
  throw usage(`--limit: wanted a number from 1 to 99999; found ${JSON.stringify(text)}`);
}
