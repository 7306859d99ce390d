/**
 * The text that a proxy's /metrics serves: Prometheus' format 0.0.4, and OpenMetrics as far as it differs. Pure.
 *
 * A proxy's page has thousands of lines, of which a few hundred are asked for. So lines are told by the beginning of their
 * name alone, and a wanted one is handed on with its labels as they are written: whoever knows that text from the page
 * before need not take it apart again.
 */

import type { Labels } from '../series/matchers.ts';

/** Called for each wanted sample. `series`: name and labels as the page has them, a character for each byte. */
export type OnSample = (series: string, value: number) => void;

export interface Scanner {
  /** The next piece of the page, cut anywhere, a character for each byte. A string: what is wrong with it. */
  push(text: string): string | null;
  /** The page is over. */
  end(): string | null;
}

/** No line of a proxy is near it; a page without line ends is something else. */
const LONGEST_LINE = 64 * 1024;

/**
 * Reads a page piece by piece. Exemplars and time stamps are passed over: a sample is as old as its reading. A wanted line
 * that cannot be read is an error, never left out: a series that is missing would look as if it had ended.
 */
export function scanner(names: readonly string[], onSample: OnSample): Scanner {
  let rest = '';
  let wrong: string | null = null;

  const initials = new Set(names.map((name) => name.charCodeAt(0)));
  const line = (text: string, from: number, to: number): void => {
    const at = isBlank(text.charCodeAt(from)) ? skipBlanks(text, from, to) : from;
    if (!initials.has(text.charCodeAt(at))) return;
    const name = names.find((one) => text.startsWith(one, at) && endsName(text, at + one.length, to));
    if (name !== undefined) wrong ??= sample(text.slice(at, to), name.length, onSample);
  };

  return {
    push(piece) {
      const text = rest + piece;
      let from = 0;
      for (let to = text.indexOf('\n'); to >= 0 && wrong === null; to = text.indexOf('\n', from)) {
        line(text, from, to);
        from = to + 1;
      }
      rest = text.slice(from);
      if (rest.length > LONGEST_LINE) wrong ??= `a line of more than ${LONGEST_LINE} characters`;
      return wrong;
    },
    end() {
      if (wrong === null) line(rest, 0, rest.length);
      rest = '';
      return wrong;
    },
  };
}

const SPACE = 0x20;
const TAB = 0x09;
const QUOTE = 0x22;
const OPEN = 0x7b;
const CLOSE = 0x7d;
const BACKSLASH = 0x5c;
const CARRIAGE_RETURN = 0x0d;

const isBlank = (code: number): boolean => code === SPACE || code === TAB || code === CARRIAGE_RETURN;

/** `request_total` is not the beginning of `request_total_ms`. */
const endsName = (text: string, at: number, to: number): boolean =>
  at < to && (text.charCodeAt(at) === OPEN || isBlank(text.charCodeAt(at)));

function skipBlanks(text: string, from: number, to: number): number {
  let at = from;
  while (at < to && isBlank(text.charCodeAt(at))) at += 1;
  return at;
}

function sample(line: string, nameEnds: number, onSample: OnSample): string | null {
  const braces = skipBlanks(line, nameEnds, line.length);
  const ends = line.charCodeAt(braces) === OPEN ? afterLabels(line, braces) : nameEnds;
  if (ends < 0) return `labels without an end: ${shown(line)}`;
  const begins = skipBlanks(line, ends, line.length);
  let stops = begins;
  while (stops < line.length && !isBlank(line.charCodeAt(stops))) stops += 1;
  const value = numberOf(line.slice(begins, stops));
  if (value === null) return `no number where the value should be: ${shown(line)}`;
  onSample(line.slice(0, ends), value);
  return null;
}

const shown = (line: string): string => JSON.stringify(line.slice(0, 120));

/** Index behind the closing brace, which may also stand inside a value; -1: there is none. */
function afterLabels(line: string, open: number): number {
  // Without an exemplar the last brace is the one, and most lines have none. Looking at every character costs three times as much.
  if (!line.includes('#')) {
    const last = line.lastIndexOf('}');
    if (line.charCodeAt(last - 1) === QUOTE && line.charCodeAt(last - 2) !== BACKSLASH) return last + 1;
  }
  let quoted = false;
  for (let at = open + 1; at < line.length; at += 1) {
    const code = line.charCodeAt(at);
    if (quoted && code === BACKSLASH) at += 1;
    else if (code === QUOTE) quoted = !quoted;
    else if (code === CLOSE && !quoted) return at + 1;
  }
  return -1;
}

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const INFINITE = /^([+-]?)inf(inity)?$/i;

/** A number as Go writes and reads them; null: it is none. */
export function numberOf(text: string): number | null {
  if (NUMBER.test(text)) return Number(text);
  const infinite = INFINITE.exec(text);
  if (infinite !== null) return infinite[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  return /^nan$/i.test(text) ? Number.NaN : null;
}

export interface Named {
  readonly name: string;
  /** Without the empty ones, which are absent. */
  readonly labels: Labels;
}

/** One label: its name, bare or quoted, and its value. */
const LABEL = /\s*(?:([a-zA-Z_][a-zA-Z0-9_]*)|"((?:[^"\\]|\\.)*)")\s*=\s*"((?:[^"\\]|\\.)*)"\s*(,|$)/gsy;
const ESCAPE = /\\(.)/gs;
const ASCII = /^[\0-\x7f]*$/;

/**
 * Takes `name{label="value"}` apart, which is still in the page's bytes, one per character: most of a page is never looked
 * at, and need not be decoded. null: it cannot be read.
 */
export function namedOf(bytes: string): Named | null {
  const series = ASCII.test(bytes) ? bytes : Buffer.from(bytes, 'latin1').toString('utf8');
  const open = series.indexOf('{');
  if (open < 0) return { name: series.trim(), labels: {} };
  const name = series.slice(0, open).trim();
  const inner = series.slice(open + 1, series.lastIndexOf('}'));
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < inner.trimEnd().length) {
    const found = LABEL.exec(inner);
    if (found === null) return null;
    const [, bare, quoted = '', value = ''] = found;
    if (value !== '') labels[bare ?? unescaped(quoted)] = unescaped(value);
  }
  return { name, labels };
}

/** `\n`, `\"` and `\\`; any other character stands for itself, as Prometheus reads it. */
const unescaped = (text: string): string =>
  text.includes('\\')
    ? text.replace(ESCAPE, (all, char: string) => (char === 'n' ? '\n' : char === '"' || char === '\\' ? char : all))
    : text;
