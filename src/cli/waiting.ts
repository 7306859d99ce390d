/** `run`, `wait`, `get --watch`, `abort --wait`: follow, show, and say at the end what came of it. */
import type { Call } from './command.ts';
import type { Ending } from './exit-codes.ts';
import { follow } from './follow.ts';
import type { Interrupts } from './interrupt.ts';
import { interrupts } from './interrupt.ts';
import type { Display } from './show/display.ts';
import { displayFor } from './show/display.ts';
import { placeWords, sentenceOf } from './show/words.ts';
import type { Api, RolloutBody } from './wire/api.ts';

export interface Wait {
  readonly id: string;
  /** By Date.now(); null: to the end. */
  readonly until: number | null;
  /** The live tree, where there is a terminal. */
  readonly watch: boolean;
  /** Facts up to this one are known to the caller already. */
  readonly after?: number;
  /** Ctrl-C aborts the rollout. */
  readonly abortOnInterrupt?: boolean;
}

export interface Waited {
  readonly ending: Ending;
  readonly rollout: RolloutBody | null;
}

export const untilOf = (call: Call): number | null => {
  const timeout = call.duration('timeout');
  return timeout === undefined ? null : Date.now() + timeout;
};

export async function waitFor(call: Call, api: Api, wait: Wait): Promise<Waited> {
  const { id, until, after = 0 } = wait;
  const display = await displayFor(call, api, id, wait.watch);
  let stop: Interrupts = interrupts(() => display.close(null));
  const exitWhenPaused = call.flag('exit-when-paused');
  const options = { until, exitWhenPaused, after, onChange: display.changed };
  try {
    let followed = await follow(api, id, { ...options, signal: stop.signal });
    if (followed.ending === 'interrupted' && wait.abortOnInterrupt === true) {
      const cause = stop.ending;
      call.terminal.note(`interrupted: aborting ${id}; once more to leave it to itself`, 'warn');
      stop = stop.again();
      await abortFor(call, api, id, cause);
      followed = await follow(api, id, { ...options, after: display.seen(), signal: stop.signal });
    }
    display.close(followed.rollout);
    const ending = followed.ending === 'interrupted' ? stop.ending : followed.ending;
    await told(call, display, { ending, rollout: followed.rollout }, id);
    return { ending, rollout: followed.rollout };
  } catch (error) {
    display.close(null);
    call.terminal.note(`Rollout ${id} goes on by itself. sluice wait ${id}`);
    throw error;
  } finally {
    stop.release();
  }
}

/** Whatever the answer is, the rollout is followed on: it may just have ended by itself. */
export async function abortFor(call: Call, api: Api, id: string, cause: Interrupts['ending']): Promise<void> {
  const { problem } = await api.tell(id, 'abort', { reason: `the command that waited for it was ${cause}` });
  if (problem !== null) call.terminal.note(`abort ${id}: ${problem.title}: ${problem.detail}`, 'warn');
}

/** The last words: on stdout the sentence that tells why, on stderr what goes on without us. */
async function told(call: Call, display: Display, { ending, rollout }: Waited, id: string): Promise<void> {
  const { terminal } = call;
  if (rollout !== null) await display.last(rollout);
  const place = rollout === null ? 'not seen yet' : `${rollout.status} at ${placeWords(rollout)}`;
  switch (ending) {
    case 'timed_out':
      return terminal.note(`The wait is over; rollout ${id} goes on (${place}). sluice wait ${id}`, 'warn');
    case 'paused':
      return terminal.note(
        `Rollout ${id} waits for a person: ${rollout === null ? '' : sentenceOf(rollout)}. ${nextStep(rollout, id)}`,
        'warn',
      );
    case 'interrupted':
    case 'terminated':
      return terminal.note(
        `Interrupted; rollout ${id} goes on (${place}). sluice wait ${id}; sluice abort ${id} sends all traffic back`,
        'warn',
      );
    case 'stuck':
      return terminal.note(
        `The stable version could not be restored: a person is needed now. sluice explain ${id}`,
        'bad',
      );
    default:
      return undefined;
  }
}

const nextStep = (rollout: RolloutBody | null, id: string): string =>
  rollout?.awaiting === 'approval' ? `sluice promote ${id}, or sluice abort ${id}` : `sluice explain ${id}`;
