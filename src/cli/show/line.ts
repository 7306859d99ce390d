/** A line of parts with a tone each: whatever came from elsewhere is made harmless here, and only here colours come in. */
import { styleText } from 'node:util';

export type Tone = 'good' | 'bad' | 'warn' | 'quiet' | 'strong' | 'accent';
export type Part = string | { readonly text: string; readonly tone: Tone };
export type Line = readonly Part[];

const STYLES = { good: 'green', bad: 'red', warn: 'yellow', quiet: 'dim', strong: 'bold', accent: 'cyan' } as const;

export const toned = (tone: Tone, text: string): Part => ({ text, tone });

const textOf = (part: Part): string => (typeof part === 'string' ? part : part.text);

/** Labels and reasons are other people's text: an escape sequence in them would act on the reader's terminal, and a change of writing direction would forge a line. */
const HARMFUL = /[\p{Cc}\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;
export const harmless = (text: string): string =>
  text.replaceAll(HARMFUL, (char) => `\\u${(char.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`);

/** Text of several lines, each `by` columns in. */
export const indented = (text: string, by: number): readonly string[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => `${' '.repeat(by)}${line}`);

export const paint = (line: Line, colour: boolean): string =>
  line
    .map((part) => {
      const text = harmless(textOf(part));
      if (typeof part === 'string' || !colour || text === '') return text;
      return styleText(STYLES[part.tone], text, { validateStream: false });
    })
    .join('');

/** Characters that take two columns: East Asian wide ones and emoji. */
const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;
const ZERO = /\p{Mn}|\p{Me}|[\u200b-\u200d]/u;
const charWidth = (char: string): number => (ZERO.test(char) ? 0 : WIDE.test(char) ? 2 : 1);

const ASCII = /^[\x20-\x7e]*$/;
const textWidth = (text: string): number =>
  ASCII.test(text) ? text.length : [...text].reduce((sum, char) => sum + charWidth(char), 0);

export const widthOf = (line: Line): number => line.reduce((sum, part) => sum + textWidth(harmless(textOf(part))), 0);

/** No wider than `width` columns; what was cut is shown as `mark`. */
export function cut(line: Line, width: number, mark = '…'): Line {
  if (widthOf(line) <= width) return line;
  let left = Math.max(0, width - textWidth(mark));
  const kept: Part[] = [];
  for (const part of line) {
    let text = '';
    for (const char of harmless(textOf(part))) {
      const wide = charWidth(char);
      if (wide > left) {
        kept.push(typeof part === 'string' ? text : { ...part, text }, mark.slice(0, width));
        return kept;
      }
      text += char;
      left -= wide;
    }
    kept.push(typeof part === 'string' ? text : { ...part, text });
  }
  return kept;
}

export const padded = (line: Line, width: number): Line => {
  const missing = width - widthOf(line);
  return missing > 0 ? [...line, ' '.repeat(missing)] : line;
};

/** Columns as wide as their widest cell; the first row is the heading. */
export function table(rows: readonly (readonly (string | Line)[])[]): readonly Line[] {
  const cells = rows.map((row) => row.map((cell): Line => (typeof cell === 'string' ? [cell] : cell)));
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map((row) => widthOf(row[column] ?? []))));
  return cells.map((row, index) =>
    row.flatMap((cell, column): Part[] => {
      const last = column === row.length - 1;
      const parts = last ? cell : [...padded(cell, widths[column] ?? 0), '  '];
      return index === 0 ? parts.map((part) => toned('quiet', textOf(part))) : [...parts];
    }),
  );
}
