/**
 * The live stream of facts (server-sent events). Nothing is lost and nothing repeated: the version is read before the
 * facts, so a fact that comes in between has raised the version and ends the next wait at once.
 */
import type { UseCases } from '../app/usecases.ts';
import type { Millis } from '../domain/plan.ts';
import { isLive } from '../domain/rollout.ts';
import { END_EVENT_ID } from './params.ts';
import { present, presentFact } from './resource.ts';
import type { Sink } from './route.ts';
import type { Waiter } from './wait.ts';
import { changed } from './wait.ts';

export interface StreamOptions extends Waiter {
  readonly id: string;
  /** seq of the last fact that the client has. */
  readonly after: number;
  /** Also an event `state` with the rollout at the start and after each change of its row; it has no id. */
  readonly state: boolean;
  /** Longest silence: a comment then keeps proxies from cutting the line. */
  readonly heartbeat: Millis;
  readonly now: () => Millis;
  readonly stillAllowed: () => Promise<boolean>;
  readonly publicUrl: string | undefined;
}

const PAGE = 200;
/** What clients wait before they come back, in milliseconds. */
const RETRY: Millis = 3000;

export async function streamFacts(
  usecases: Pick<UseCases, 'get' | 'facts' | 'waitForChange' | 'outside'>,
  sink: Sink,
  options: StreamOptions,
): Promise<void> {
  const { id, heartbeat, now, gone, stopping } = options;
  let after = options.after;
  let spoke = now();
  let checked = spoke;
  let told: number | null = null;
  const say = async (text: string): Promise<boolean> => {
    spoke = now();
    return sink(text);
  };

  if (!(await say(`retry: ${RETRY}\n\n`))) return;
  while (!gone.aborted) {
    if (stopping.aborted) return void (await say(goodbye()));
    const rollout = await usecases.get(id);
    if (rollout === null) return void (await say(': the rollout has been deleted\n\n'));
    for (;;) {
      const facts = await usecases.facts(id, after, PAGE);
      for (const fact of facts) {
        if (!(await say(eventText(String(fact.seq), fact.type, presentFact(fact))))) return;
        after = fact.seq;
      }
      if (facts.length < PAGE) break;
    }
    const body = () => present(rollout, options.publicUrl, usecases.outside?.(rollout));
    if (!isLive(rollout)) return void (await say(eventText(END_EVENT_ID, 'end', body())));

    if (options.state && told !== rollout.version) {
      if (!(await say(stateText(body())))) return;
      told = rollout.version;
    }

    await changed(usecases, id, rollout.version, Math.max(1, heartbeat - (now() - spoke)), options);
    if (now() - checked >= heartbeat) {
      if (!(await options.stillAllowed())) return void (await say(': the token is no longer valid\n\n'));
      checked = now();
    }
    if (now() - spoke >= heartbeat && !(await say(': still here\n\n'))) return;
  }
}

const eventText = (id: string, type: string, data: unknown): string =>
  `id: ${id}\nevent: ${type}\ndata: ${JSON.stringify(data)}\n\n`;

/** Without an id: it says how things are, so a client that comes back needs none of those that it missed. */
const stateText = (data: unknown): string => `event: state\ndata: ${JSON.stringify(data)}\n\n`;

/** Spread over some seconds, so that the clients of a stopped server do not all come back at once. */
const goodbye = (): string =>
  `retry: ${1000 + Math.floor(Math.random() * 3000)}\n: the server stops; come back with the last id\n\n`;
