/** `run`, `wait`, `get --watch`, `abort --wait`: follow, show, and say at the end what came of it. */
import type { Call } from './command.ts';
import type { Ending } from './exit-codes.ts';
import { follow } from './follow.ts';
import type { Interrupts } from './interrupt.ts';
import { interrupts } from './interrupt.ts';
import type { Body, Kind } from './kind.ts';
import type { Display } from './show/display.ts';
import { displayFor } from './show/display.ts';
import { capital } from './show/words.ts';
import type { Api } from './wire/api.ts';

export interface Wait {
  readonly id: string;
  /** By Date.now(); null: to the end. */
  readonly until: number | null;
  /** The live tree, where there is a terminal. */
  readonly watch: boolean;
  /** Facts up to this one are known to the caller already. */
  readonly after?: number;
  /** Ctrl-C aborts it. */
  readonly abortOnInterrupt?: boolean;
}

export interface Waited<B> {
  readonly ending: Ending;
  readonly body: B | null;
}

export const untilOf = (call: Call): number | null => {
  const timeout = call.duration('timeout');
  return timeout === undefined ? null : Date.now() + timeout;
};

export async function waitFor<B extends Body>(call: Call, kind: Kind<B>, api: Api, wait: Wait): Promise<Waited<B>> {
  const { id, until, after = 0 } = wait;
  const display = await displayFor(call, kind, api, id, wait.watch);
  let stop: Interrupts = interrupts(() => display.close(null));
  const exitWhenPaused = call.flag('exit-when-paused');
  const options = { until, exitWhenPaused, after, onChange: display.changed };
  try {
    let followed = await follow(kind, api, id, { ...options, signal: stop.signal });
    if (followed.ending === 'interrupted' && wait.abortOnInterrupt === true) {
      const cause = stop.ending;
      call.terminal.note(`interrupted: aborting ${id}; once more to leave it to itself`, 'warn');
      stop = stop.again();
      await abortFor(call, kind, api, id, cause);
      followed = await follow(kind, api, id, { ...options, after: display.seen(), signal: stop.signal });
    }
    display.close(followed.body);
    const ending = followed.ending === 'interrupted' ? stop.ending : followed.ending;
    await told(call, kind, display, { ending, body: followed.body }, id);
    return { ending, body: followed.body };
  } catch (error) {
    display.close(null);
    call.terminal.note(`${capital(kind.noun)} ${id} goes on by itself. sluice ${kind.prefix}wait ${id}`);
    throw error;
  } finally {
    stop.release();
  }
}

/** Whatever the answer is, it is followed on: it may just have ended by itself. */
export async function abortFor(
  call: Call,
  { collection }: Pick<Kind, 'collection'>,
  api: Api,
  id: string,
  cause: Interrupts['ending'],
): Promise<void> {
  const { problem } = await api.tell(collection, id, 'abort', {
    reason: `the command that waited for it was ${cause}`,
  });
  if (problem !== null) call.terminal.note(`abort ${id}: ${problem.title}: ${problem.detail}`, 'warn');
}

/** The last words: on stdout the sentence that tells why, on stderr what goes on without us. */
async function told<B extends Body>(
  call: Call,
  kind: Kind<B>,
  display: Display<B>,
  { ending, body }: Waited<B>,
  id: string,
): Promise<void> {
  const { terminal } = call;
  const { noun, prefix } = kind;
  if (body !== null) await display.last(body);
  const place = body === null ? 'not seen yet' : kind.place(body);
  switch (ending) {
    case 'timed_out':
      return terminal.note(`The wait is over; ${noun} ${id} goes on (${place}). sluice ${prefix}wait ${id}`, 'warn');
    case 'paused':
      return terminal.note(
        `${capital(noun)} ${id} waits for a person: ${body === null ? '' : (kind.sentence(body) ?? place)}. ${kind.onPause(body, id)}`,
        'warn',
      );
    case 'interrupted':
    case 'terminated':
      return terminal.note(
        `Interrupted; ${noun} ${id} goes on (${place}). sluice ${prefix}wait ${id}; sluice ${prefix}abort ${id} ${kind.aborts}`,
        'warn',
      );
    case 'stuck':
      return terminal.note(kind.stuckWords(id), 'bad');
    default:
      return undefined;
  }
}
