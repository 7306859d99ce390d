/** How what is followed is shown: a live tree in a terminal, one plain line per change everywhere else. */
import type { Call } from '../command.ts';
import type { Api, FactBody, RolloutBody } from '../wire/api.ts';
import { printDocument } from './data.ts';
import type { Line } from './line.ts';
import { openPicture } from './live.ts';
import { statusTone } from './marks.ts';
import { stepsOf } from './steps.ts';
import { tree } from './tree.ts';
import { factLine, hasSentence, sentenceOf } from './words.ts';

export interface Display {
  readonly changed: (rollout: RolloutBody, facts: readonly FactBody[]) => void;
  /** The last fact that was shown. */
  seen(): number;
  /** Last of all: the sentence that tells why, or the document. */
  last(rollout: RolloutBody): Promise<void>;
  /** Leaves the terminal as it was; with the last picture, if there is one. */
  close(last: RolloutBody | null): void;
}

/** The picture's clock: a hold counts down. */
const REDRAW_MS = 1_000;
const FACTS_SHOWN = 6;

export async function displayFor(call: Call, api: Api, id: string, watch: boolean): Promise<Display> {
  if (call.output === 'json' && watch) return documents(call);
  if (watch && call.output === null && call.terminal.live) return picture(call, api, id);
  // At once: whoever is interrupted has the name already.
  if (call.output === 'name') await printDocument(call.terminal, 'name', null, [id]);
  return lines(call);
}

/** One line per fact; beside a document on stdout they go to stderr. */
function lines({ terminal, output }: Call): Display {
  let seen = 0;
  const print = output === null ? terminal.line : terminal.note;
  return {
    changed(_, facts) {
      for (const fact of facts) print(factLine(fact));
      seen = facts.at(-1)?.seq ?? seen;
    },
    seen: () => seen,
    async last(rollout) {
      if (output === null) {
        if (hasSentence(rollout)) print(`${rollout.status}: ${sentenceOf(rollout)}`, statusTone(rollout.status));
        return;
      }
      if (output !== 'name') await printDocument(terminal, output, rollout, []);
    },
    close() {},
  };
}

/** `get --watch -o json`: one document a line, one for each change. */
function documents({ terminal }: Call): Display {
  let seen = 0;
  return {
    changed(rollout, facts) {
      terminal.data(`${JSON.stringify(rollout)}\n`);
      seen = facts.at(-1)?.seq ?? seen;
    },
    seen: () => seen,
    async last() {},
    close() {},
  };
}

async function picture({ terminal }: Call, api: Api, id: string): Promise<Display> {
  const steps = stepsOf(await api.plan(id));
  const screen = openPicture(terminal);
  let shown: RolloutBody | null = null;
  let facts: readonly FactBody[] = [];
  /** What is shown may be old: the last word on the server stands below its head until something new has come. */
  let note: Line | null = null;
  let open = true;
  const draw = (whole = false): void => {
    if (shown === null) return;
    const now = Date.now() + (api.wire.clockAhead ?? 0);
    const { unicode, stdout } = terminal;
    const lines = tree({ rollout: shown, steps, facts, now, unicode, columns: stdout.columns ?? 80 });
    screen.draw(note === null ? lines : [...lines.slice(0, 1), note, ...lines.slice(1)], whole);
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
    changed(rollout, more) {
      shown = rollout;
      facts = [...facts, ...more].slice(-FACTS_SHOWN);
      note = null;
      draw();
    },
    seen: () => facts.at(-1)?.seq ?? 0,
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
