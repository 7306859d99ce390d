/** The demo's terminal: lines that stay, one line that changes in place, and a table. Plain lines where it is no terminal. */
import { styleText } from 'node:util';

export interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export type Tone = 'good' | 'bad' | 'quiet' | 'strong' | 'plain';

export interface Screen {
  line(text?: string, tone?: Tone): void;
  /** Changes in place; not shown where the output is no terminal. */
  live(text: string): void;
  table(rows: readonly (readonly string[])[]): void;
}

const STYLES = { good: 'green', bad: 'red', quiet: 'dim', strong: 'bold' } as const;
const CLEAR = '\r\u001b[K';

export function createScreen(output: Output): Screen {
  const terminal = output.isTTY === true;
  let shown = false;
  const paint = (text: string, tone: Tone): string =>
    // The stream decides by itself: no colours into a file, none with NO_COLOR.
    tone === 'plain' || !terminal
      ? text
      : styleText(STYLES[tone], text, { stream: output as NodeJS.WriteStream, validateStream: true });
  const line = (text = '', tone: Tone = 'plain'): void => {
    output.write(`${shown ? CLEAR : ''}${paint(text, tone)}\n`);
    shown = false;
  };
  return {
    line,
    live(text) {
      if (!terminal) return;
      output.write(`${CLEAR}${text.slice(0, (output.columns ?? 80) - 1)}`);
      shown = true;
    },
    table(rows) {
      const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
      rows.forEach((row, index) => {
        const cells = row.map((cell, column) => cell.padEnd(widths[column] ?? 0));
        line(cells.join('  ').trimEnd(), index === 0 ? 'strong' : 'plain');
      });
    },
  };
}

const WIDTH = 20;

/** "[#####---------------]  25 %" */
export function bar(weight: number): string {
  const filled = Math.round((weight / 100) * WIDTH);
  const percent = String(Math.round(weight * 10) / 10);
  return `[${'#'.repeat(filled)}${'-'.repeat(WIDTH - filled)}] ${percent.padStart(3)} %`;
}

export const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(1)} s`;
