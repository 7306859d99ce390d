/** The few calls of Slack's Web API that are used, with deadlines and with its errors told apart. */
import { WebAPIPlatformError, WebAPIRateLimitedError, WebClient } from '@slack/web-api';
import { TryLater } from '../../app/deliver.ts';
import type { Logger } from '../../app/ports.ts';
import type { Tracer } from '../../app/tracer.ts';
import { UNTRACED } from '../../app/tracer.ts';
import type { Instant, Millis } from '../../domain/plan.ts';
import type { Rendered } from './slack-blocks.ts';
import { mute } from './slack-mute.ts';

export interface SlackApiOptions {
  /** Bot token, "xoxb-...". */
  readonly token: string;
  /** Base address; undefined: Slack's own. */
  readonly apiUrl?: string | undefined;
  /** Of one call. */
  readonly timeout?: Millis | undefined;
  /** Absent: nothing is traced. */
  readonly tracer?: Tracer;
  readonly log: Logger;
}

/** Where a message is: Slack's id of the channel, and of the message within it. */
export interface Place {
  readonly channel: string;
  readonly ts: string;
}

export interface SlackApi {
  /** `key` goes with the message, unseen, so that it can be found again. */
  post(channel: string, thread: string | null, message: Rendered, key: string): Promise<Place>;
  /** `gone`: somebody deleted it, or it can be changed no more. */
  update(place: Place, message: Rendered, key: string): Promise<'updated' | 'gone'>;
  /** The message with that key, posted since then; null: there is none, or it cannot be looked for. */
  find(channel: string, thread: string | null, key: string, since: Instant): Promise<Place | null>;
}

/** Slack understood the call and will not do it: it certainly was not done. */
export class SlackRefusal extends Error {
  readonly code: string;
  constructor(method: string, code: string) {
    super(`Slack refuses ${method}: ${code}${ADVICE[code] === undefined ? '' : `; ${ADVICE[code]}`}`);
    this.name = 'SlackRefusal';
    this.code = code;
  }
}

const ADVICE: Readonly<Record<string, string>> = {
  channel_not_found: 'name the channel by its id (C...), and invite the app to it',
  not_in_channel: 'invite the app to the channel',
  is_archived: 'the channel is archived; name another one',
  invalid_auth: 'the bot token is wrong or was revoked',
  token_revoked: 'install the app again and give its new bot token',
  account_inactive: 'the app was removed from the workspace; install it again',
  missing_scope: 'the app lacks a scope; compare it with the manifest (docs/slack.md) and install it again',
};

/** Slack's own trouble: the call may or may not have been carried out. */
const SLACKS_TROUBLE: ReadonlySet<string> = new Set([
  'internal_error',
  'fatal_error',
  'request_timeout',
  'service_unavailable',
]);
const UNCHANGEABLE: ReadonlySet<string> = new Set(['message_not_found', 'cant_update_message', 'edit_window_closed']);

const TIMEOUT: Millis = 10_000;
/** Where Slack says "too often" without saying how long to wait. */
const REST: Millis = 30_000;
/** Slack's clock and the database's need not agree. */
const CLOCKS: Millis = 60_000;
const EVENT = 'sluice_message';

export function slackApi({ token, apiUrl, timeout = TIMEOUT, tracer = UNTRACED, log }: SlackApiOptions): SlackApi {
  const client = new WebClient(token, {
    ...(apiUrl === undefined ? {} : { slackApiUrl: apiUrl }),
    timeout,
    // The outbox repeats, with the rollout as it is by then; the library would repeat yesterday's text, and sleep.
    retryConfig: { retries: 0 },
    rejectRateLimitedCalls: true,
    allowAbsoluteUrls: false,
    logger: mute,
  });
  // Without the trace's headers: nobody at Slack goes on with the trace, and its ids are nobody's there.
  const call: Call = (method, args) =>
    tracer.call(`slack.${method}`, {}, async () => {
      try {
        return { ...(await client.apiCall(method, args)) };
      } catch (error) {
        throw classified(method, error);
      }
    });
  const content = (message: Rendered, key: string) => ({
    text: message.text,
    blocks: message.blocks,
    metadata: { event_type: EVENT, event_payload: { key } },
  });
  return {
    async post(channel, thread, message, key) {
      const inThread = thread === null ? {} : { thread_ts: thread, reply_broadcast: message.broadcast };
      const quiet = { unfurl_links: false, unfurl_media: false };
      return placeOf(
        'chat.postMessage',
        await call('chat.postMessage', { channel, ...inThread, ...quiet, ...content(message, key) }),
      );
    },
    async update({ channel, ts }, message, key) {
      try {
        await call('chat.update', { channel, ts, ...content(message, key) });
        return 'updated';
      } catch (error) {
        if (error instanceof SlackRefusal && UNCHANGEABLE.has(error.code)) return 'gone';
        throw error;
      }
    },
    async find(channel, thread, key, since) {
      try {
        return await search(call, channel, thread, key, since);
      } catch (error) {
        if (!(error instanceof SlackRefusal && error.code === 'missing_scope')) throw error;
        log.error(
          { channel },
          `${error.message}. Without channels:history a message may appear twice after a network failure`,
        );
        return null;
      }
    },
  };
}

type Call = (method: string, args: Record<string, unknown>) => Promise<Record<string, unknown>>;

const PAGES = 10;

async function search(
  call: Call,
  channel: string,
  thread: string | null,
  key: string,
  since: Instant,
): Promise<Place | null> {
  const method = thread === null ? 'conversations.history' : 'conversations.replies';
  const oldest = ((since - CLOCKS) / 1000).toFixed(6);
  let cursor: string | undefined;
  for (let page = 0; page < PAGES; page += 1) {
    const found = await call(method, {
      channel,
      ...(thread === null ? {} : { ts: thread }),
      ...(cursor === undefined ? {} : { cursor }),
      oldest,
      limit: 200,
      include_all_metadata: true,
    });
    const message = list(found['messages']).find((m) => keyOf(m) === key);
    if (message !== undefined) return { channel, ts: String(message['ts']) };
    const next = record(found['response_metadata'])['next_cursor'];
    if (typeof next !== 'string' || next === '') return null;
    cursor = next;
  }
  return null;
}

function keyOf(message: Record<string, unknown>): unknown {
  const metadata = record(message['metadata']);
  return metadata['event_type'] === EVENT ? record(metadata['event_payload'])['key'] : undefined;
}

function placeOf(method: string, answer: Record<string, unknown>): Place {
  const { channel, ts } = answer;
  if (typeof channel !== 'string' || typeof ts !== 'string')
    throw new Error(`Slack's answer to ${method} names no channel and ts; is the API address right?`);
  return { channel, ts };
}

const record = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? { ...value } : {};
const list = (value: unknown): Record<string, unknown>[] => (Array.isArray(value) ? value.map(record) : []);

/** Slack's errors told apart: a limit, a refusal, its own trouble. */
export function classified(method: string, error: unknown): Error {
  if (error instanceof WebAPIRateLimitedError)
    return new TryLater(`Slack limits ${method}: again in ${error.retryAfter} s`, error.retryAfter * 1000, true);
  if (error instanceof WebAPIPlatformError) {
    const code = error.data.error;
    if (code === 'ratelimited' || code === 'rate_limited') return new TryLater(`Slack limits ${method}`, REST, true);
    if (!SLACKS_TROUBLE.has(code)) return new SlackRefusal(method, code);
    return new Error(`Slack has trouble with ${method}: ${code}`);
  }
  // Only the message: the error itself may hold the request, and with it the token.
  return new Error(`Slack does not answer ${method}: ${error instanceof Error ? error.message : 'unknown error'}`);
}
