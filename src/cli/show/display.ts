/** How what is followed is shown: a live tree in a terminal, one plain line per change everywhere else. */
import type { Call } from '../command.ts';
import type { Body, Happening, Kind } from '../kind.ts';
import type { Api } from '../wire/api.ts';
import { printDocument } from './data.ts';
import type { Line } from './line.ts';
import { openPicture } from './live.ts';
import { statusTone } from './marks.ts';
import { newsFilter } from './news.ts';
import { factLine } from './words.ts';

export interface Display<B> {
  readonly changed: (body: B, facts: readonly Happening[]) => void;
  /** The last fact that was shown. */
  seen(): number;
  /** Last of all: the sentence that tells why, or the document. */
  last(body: B): Promise<void>;
  /** Leaves the terminal as it was; with the last picture, if there is one. */
  close(last: B | null): void;
}

/** The picture's clock: a hold counts down. */
const REDRAW_MS = 1_000;
export const FACTS_SHOWN = 6;

export async function displayFor<B extends Body>(
  call: Call,
  kind: Kind<B>,
  api: Api,
  id: string,
  watch: boolean,
): Promise<Display<B>> {
  if (call.output === 'json' && watch) return documents(call);
  if (watch && call.output === null && call.terminal.live) return picture(call, kind, api, id);
  // At once: whoever is interrupted has the name already.
  if (call.output === 'name') await printDocument(call.terminal, 'name', null, [id]);
  return lines(call, kind);
}

/** One line per fact; beside a document on stdout they go to stderr. */
function lines<B extends Body>({ terminal, output }: Call, { sentence }: Kind<B>): Display<B> {
  let seen = 0;
  const news = newsFilter();
  const print = output === null ? terminal.line : terminal.note;
  return {
    changed(_, facts) {
      for (const fact of news(facts)) print(factLine(fact));
      seen = facts.at(-1)?.seq ?? seen;
    },
    seen: () => seen,
    async last(body) {
      if (output === null) {
        const why = sentence(body);
        if (why !== null) print(`${body.status}: ${why}`, statusTone(body.status));
        return;
      }
      if (output !== 'name') await printDocument(terminal, output, body, []);
    },
    close() {},
  };
}

/** `get --watch -o json`: one document a line, one for each change. */
function documents<B extends Body>({ terminal }: Call): Display<B> {
  let seen = 0;
  return {
    changed(body, facts) {
      terminal.data(`${JSON.stringify(body)}\n`);
      seen = facts.at(-1)?.seq ?? seen;
    },
    seen: () => seen,
    async last() {},
    close() {},
  };
}

async function picture<B extends Body>({ terminal }: Call, kind: Kind<B>, api: Api, id: string): Promise<Display<B>> {
  const linesOf = await kind.picture(api, id);
  const screen = openPicture(terminal);
  let shown: B | null = null;
  let facts: readonly Happening[] = [];
  let seen = 0;
  const news = newsFilter();
  /** What is shown may be old: the last word on the server stands below its head until something new has come. */
  let note: Line | null = null;
  let open = true;
  const draw = (whole = false): void => {
    if (shown === null) return;
    const now = Date.now() + (api.wire.clockAhead ?? 0);
    const { unicode, stdout } = terminal;
    const found = linesOf({ body: shown, facts, now, unicode, columns: stdout.columns ?? 80 });
    screen.draw(note === null ? found : [...found.slice(0, 1), note, ...found.slice(1)], whole);
  };
  terminal.divert((line) => {
    note = line;
    draw();
  });
  const clock = setInterval(draw, REDRAW_MS);
  clock.unref();
  const resized = (): void => draw();
  process.on('SIGWINCH', resized);
  return {
    changed(body, more) {
      shown = body;
      facts = [...facts, ...news(more)].slice(-FACTS_SHOWN);
      seen = more.at(-1)?.seq ?? seen;
      note = null;
      draw();
    },
    seen: () => seen,
    async last() {},
    close(last) {
      if (!open) return;
      open = false;
      terminal.divert(null);
      clearInterval(clock);
      process.off('SIGWINCH', resized);
      shown = last ?? shown;
      draw(true);
      screen.restore();
    },
  };
}
