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
  return z
    .string({
      error: (issue) => `wanted a duration with a unit, like "30s" or "2m"; found ${short(issue.input)}`,
    })
    .regex(DURATION, {
      error: (issue) =>
        `wanted a duration with a unit (ms, s, m, h, d), like "30s" or "1m30s"; found ${short(issue.input)}`,
    })
    .transform((text) => parseDuration(text) ?? Number.NaN)
    .refine((ms) => ms >= low && ms <= high, { error: `wanted a duration from ${min} to ${max}` });
};

/** A string like "1%" or "0.5%" as a ratio: 0.01. */
export const percentSchema = (max = 100) =>
  z
    .string({ error: (issue) => `wanted a percentage with its sign, like "1%"; found ${short(issue.input)}` })
    .regex(PERCENT, {
      error: (issue) => `wanted a percentage with its sign, like "1%" or "0.5%"; found ${short(issue.input)}`,
    })
    .transform((text) => Number(text.slice(0, -1)) / 100)
    .refine((ratio) => ratio <= max / 100, { error: `wanted at most ${max}%` });
