/** The two streams: data on stdout, everything else on stderr. Knows what each of them can show. */
import { withoutTokens } from '../../http/problem.ts';
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
  const print = (stream: Stream, painted: boolean) => (line: Line | string, tone?: Tone) => {
    const parts: Line = typeof line === 'string' ? [tone === undefined ? line : toned(tone, line)] : line;
    stream.write(`${withoutTokens(paint(parts, painted))}\n`);
  };
  for (const stream of [stdout, stderr]) stream.on('error', ignoreClosedPipe);
  return {
    line: print(stdout, colour),
    data: (text) => void stdout.write(text),
    note: print(stderr, colourOfNotes),
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
