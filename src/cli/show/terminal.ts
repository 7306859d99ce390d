/** The two streams: data on stdout, everything else on stderr. Knows what each of them can show. */
import { withoutTokens } from '../../app/without-tokens.ts';
import type { Environment } from '../environment.ts';
import { given } from '../environment.ts';
import type { Line, Tone } from './line.ts';
import { paint, toned } from './line.ts';

export interface Stream {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
  write(text: string): unknown;
  on(event: 'error', listener: (error: NodeJS.ErrnoException) => void): unknown;
}

export interface Terminal {
  /** A line for people on stdout. */
  line(line: Line | string, tone?: Tone): void;
  /** A document for programs on stdout, as it is. */
  data(text: string): void;
  /** Progress and trouble, on stderr. */
  note(line: Line | string, tone?: Tone): void;
  /** While a picture is on the terminal, notes go to it: a line written beside it would push it away. null: no more. */
  divert(to: ((line: Line) => void) | null): void;
  /** stdout is a terminal that understands cursor movements. */
  readonly live: boolean;
  readonly colour: boolean;
  /** Marks and frames beyond ASCII can be shown. */
  readonly unicode: boolean;
  readonly stdout: Stream;
}

export function openTerminal(env: Environment, stdout: Stream, stderr: Stream, noColour: boolean): Terminal {
  const dumb = env['TERM'] === 'dumb';
  const colourOf = ({ isTTY }: Stream): boolean =>
    isTTY === true && !dumb && !noColour && given(env, 'NO_COLOR') === undefined;
  const [colour, colourOfNotes] = [colourOf(stdout), colourOf(stderr)];
  let picture: ((line: Line) => void) | null = null;
  const partsOf = (line: Line | string, tone?: Tone): Line =>
    typeof line === 'string' ? [tone === undefined ? line : toned(tone, line)] : line;
  const print = (stream: Stream, painted: boolean, line: Line): void => {
    stream.write(`${withoutTokens(paint(line, painted))}\n`);
  };
  for (const stream of [stdout, stderr]) stream.on('error', ignoreClosedPipe);
  return {
    line: (line, tone) => print(stdout, colour, partsOf(line, tone)),
    data: (text) => void stdout.write(withoutTokens(text)),
    note(line, tone) {
      const parts = partsOf(line, tone);
      if (picture === null) print(stderr, colourOfNotes, parts);
      else picture(parts);
    },
    divert(to) {
      picture = to;
    },
    live: stdout.isTTY === true && !dumb,
    colour,
    unicode: /utf-?8/i.test(given(env, 'LC_ALL') ?? given(env, 'LC_CTYPE') ?? given(env, 'LANG') ?? ''),
    stdout,
  };
}

/** `sluice history ID | head -3`: the reader has what it wanted. Waiting goes on, and its exit code still counts. */
function ignoreClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
}
