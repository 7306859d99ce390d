/** A picture that is redrawn in place, with its cursor hidden meanwhile. What was drawn last stays in the scrollback. */
import type { Line } from './line.ts';
import { cut, paint, widthOf } from './line.ts';
import type { Terminal } from './terminal.ts';

const HIDE = '\u001b[?25l';
const SHOW = '\u001b[?25h';
const UP = (lines: number): string => (lines > 0 ? `\u001b[${lines}A` : '');
const HOME_AND_CLEAR_BELOW = '\r\u001b[J';

export interface Picture {
  draw(lines: readonly Line[], whole?: boolean): void;
  /** May be called more than once, and at the very end of the process. */
  restore(): void;
}

export function openPicture({ stdout, colour, unicode }: Terminal): Picture {
  let drawn: readonly number[] = [];
  let hidden = false;
  /** Rows that the last picture takes now: a window made narrower wraps what was drawn for a wider one. */
  const rowsTaken = (columns: number): number =>
    drawn.reduce((sum, width) => sum + Math.max(1, Math.ceil(width / columns)), 0);
  const restore = (): void => {
    if (!hidden) return;
    hidden = false;
    stdout.write(SHOW);
  };
  process.once('exit', restore);
  return {
    draw(lines, whole = false) {
      const columns = Math.max(20, stdout.columns ?? 80);
      // A picture higher than the window could not be taken back: its first lines have scrolled out of reach.
      const most = whole ? Number.POSITIVE_INFINITY : Math.max(3, (stdout.rows ?? 24) - 1);
      const shown = lines.slice(0, most).map((line) => cut(line, columns - 1, unicode ? '…' : '~'));
      const text = shown.map((line) => `${paint(line, colour)}\n`).join('');
      stdout.write(`${hidden ? '' : HIDE}${UP(rowsTaken(columns))}${HOME_AND_CLEAR_BELOW}${text}`);
      hidden = true;
      drawn = shown.map(widthOf);
    },
    restore,
  };
}
