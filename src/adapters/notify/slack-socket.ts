/**
 * Slack's way in where it cannot reach us: Socket Mode. We call, and Slack sends over that connection what it would
 * otherwise post. Authentic because of who was called: nothing is signed. Each envelope goes to one connection of all that
 * the app's processes hold (ten at most).
 *
 * Connections end all the time: Slack renews them every few hours. The library's own reconnecting is off, because it
 * gives up, with an unhandled rejection, on the first call that Slack does not answer.
 */
import { SocketModeClient } from '@slack/socket-mode';
import { WebAPIRateLimitedError } from '@slack/web-api';
import { backOff } from '../../app/deliver.ts';
import type { Repeating } from '../../app/repeat.ts';
import { repeat } from '../../app/repeat.ts';
import type { Intake } from '../../app/slack-intake.ts';
import { receipt, takeDown } from '../../app/slack-intake.ts';
import { clickOf, slashOf } from '../../app/slack-request.ts';
import type { Millis } from '../../domain/plan.ts';
import { mute } from './slack-mute.ts';

export interface SlackSocketOptions extends Intake {
  /** App-level token, "xapp-...", with the scope connections:write. */
  readonly appToken: string;
  /** Base address of the Web API; undefined: Slack's own. */
  readonly apiUrl?: string | undefined;
  /** Rest before another connection after one that ended well; tests only. */
  readonly again?: Millis;
}

const CALL_TIMEOUT: Millis = 10_000;
/** From the call to Slack's "hello"; without it the library would wait for ever. */
const OPEN_WITHIN: Millis = 30_000;
/** Short: while no process is connected, Slack tells people that the app does not respond. */
const AGAIN: Millis = 250;
/** Slack's return must be noticed soon. */
const LAST_REST: Millis = 30_000;

export function slackSocket(options: SlackSocketOptions): Repeating {
  const { log, again = AGAIN } = options;
  let failures = 0;
  let stop = (): void => undefined;
  const stopped = new Promise<void>((resolve) => {
    stop = resolve;
  });
  const loop = repeat(
    "Slack's socket",
    async () => {
      try {
        await session(options, stopped);
        failures = 0;
        return again;
      } catch (error) {
        failures += 1;
        const rest = restAfter(error, failures);
        log.warn({ reason: reasonOf(error), rest }, "Slack's socket cannot be opened; commands from Slack wait there");
        return rest;
      }
    },
    log,
  );
  return {
    async stop() {
      stop();
      await loop.stop();
    },
  };
}

/** One connection, until it ends or is to end. Throws where it never was open. */
async function session(options: SlackSocketOptions, stopped: Promise<void>): Promise<void> {
  const { appToken, apiUrl, log } = options;
  const client = new SocketModeClient({
    appToken,
    autoReconnectEnabled: false,
    logger: mute,
    clientOptions: {
      ...(apiUrl === undefined ? {} : { slackApiUrl: apiUrl }),
      timeout: CALL_TIMEOUT,
      retryConfig: { retries: 0 },
      rejectRateLimitedCalls: true,
      allowAbsoluteUrls: false,
    },
  });
  client.on('slack_event', (envelope: Envelope) => void received(options, envelope));
  const ended = new Promise<void>((resolve) => void client.once('disconnected', () => resolve()));
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('Slack does not say hello')), OPEN_WITHIN);
  });
  const opened = client.start().then(() => log.info({}, "Slack's socket is open"));
  try {
    await Promise.race([opened, late, stopped]);
    clearTimeout(timer);
    await Promise.race([ended, stopped]);
  } finally {
    clearTimeout(timer);
    // Of a connection that was given up nobody waits for the outcome.
    opened.catch(() => undefined);
    client.disconnect().catch(() => undefined);
  }
}

function restAfter(error: unknown, failures: number): Millis {
  if (error instanceof WebAPIRateLimitedError) return error.retryAfter * 1000;
  return Math.min(LAST_REST, backOff(failures - 1));
}

/** Only the message: the error itself may hold the request, and with it the token. */
const reasonOf = (error: unknown): string =>
  error instanceof Error ? error.message : 'the connection ended before it was open';

interface Envelope {
  readonly type: string;
  readonly body: unknown;
  readonly ack: (response?: Record<string, unknown>) => Promise<void>;
}

async function received(options: SlackSocketOptions, { type, body, ack }: Envelope): Promise<void> {
  const { log } = options;
  try {
    if (type === 'slash_commands') return await ack(await slashed(options, body));
    const click = type === 'interactive' ? clickOf(body) : null;
    // Left unanswered, it gets a warning sign: the person shall look again.
    if (click !== null && (await takeDown(options, click)) === 'not known') return;
    await ack();
  } catch (error) {
    // What was taken down is carried out all the same; Slack's own repeat is known by its id.
    log.info({ type, reason: reasonOf(error) }, 'an envelope of Slack could not be acknowledged');
  }
}

/** What the person reads first. */
async function slashed(options: SlackSocketOptions, body: unknown): Promise<Record<string, unknown>> {
  const command = slashOf(body);
  return command === null ? {} : { ...receipt(await takeDown(options, command)) };
}
