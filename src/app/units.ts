/** Durations and percentages as people write them: always with a unit. */
import { z } from 'zod';
import { DURATION, parseDuration } from './duration.ts';

export { parseDuration };

const PERCENT = /^\d+(?:\.\d+)?%$/;

/** What was found, no longer than a line. */
export const short = (input: unknown): string => {
  const text = JSON.stringify(input) ?? 'nothing';
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
};

/** A string like "500ms", "2m", "1h30m" between `min` and `max`, as milliseconds. */
export const durationSchema = (min: string, max: string) => {
  const low = parseDuration(min) ?? 0;
  const high = parseDuration(max) ?? Number.POSITIVE_INFINITY;
  return (
    z
      .string({
        error: (issue) => `wanted a duration with a unit, like "30s" or "2m"; found ${short(issue.input)}`,
      })
      .regex(DURATION, {
        abort: true,
        error: (issue) =>
          `wanted a duration with a unit (ms, s, m, h, d), like "30s" or "1m30s"; found ${short(issue.input)}`,
      })
      // Before it is milliseconds: what was found is said as it was written.
      .refine((text) => within(parseDuration(text), low, high), {
        error: (issue) => `wanted a duration from ${min} to ${max}; found ${short(issue.input)}`,
      })
      .transform((text) => parseDuration(text) ?? Number.NaN)
  );
};

/** A string like "1%" or "0.5%" as a ratio: 0.01. */
export const percentSchema = (max = 100) => {
  const wanted = `wanted a percentage from 0% to ${max}%`;
  const form = {
    error: (issue: { readonly input?: unknown }) =>
      `${wanted}, written like "1%" or "0.5%"; found ${short(issue.input)}`,
  };
  return z
    .string(form)
    .regex(PERCENT, { abort: true, ...form })
    .refine((text) => ratioOf(text) <= max / 100, { error: (issue) => `${wanted}; found ${short(issue.input)}` })
    .transform(ratioOf);
};

const ratioOf = (text: string): number => Number(text.slice(0, -1)) / 100;

const within = (ms: number | null, low: number, high: number): boolean => ms !== null && ms >= low && ms <= high;
