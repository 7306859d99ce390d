/** Slack's Web API as far as it is used, on 127.0.0.1: keeps the messages, records the calls, and fails on demand. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { BOT_SCOPES } from '../../src/adapters/notify/slack-doctor.ts';
import { sign } from '../../src/http/slack/signature.ts';

export interface FakeMessage {
  readonly channel: string;
  readonly ts: string;
  readonly thread: string | null;
  readonly broadcast: boolean;
  text: string;
  blocks: readonly Record<string, unknown>[];
  metadata: unknown;
}

export interface FakeCall {
  readonly method: string;
  readonly args: Readonly<Record<string, string>>;
  readonly at: number;
}

/** What the fake does instead of answering well. `lost`: does it, and then cuts the connection. */
export type Trouble =
  | { readonly kind: 'limited'; readonly seconds: number }
  | { readonly kind: 'refused'; readonly error: string }
  | { readonly kind: 'status'; readonly status: number }
  | { readonly kind: 'lost' }
  | { readonly kind: 'hangs' };

export interface SlackFake {
  /** Base address of the Web API. */
  readonly apiUrl: string;
  /** An address for answers, as in a request's `response_url`. */
  readonly responseUrl: string;
  readonly calls: FakeCall[];
  readonly messages: FakeMessage[];
  /** Texts of the answers to people. */
  readonly answers: string[];
  /** Of the next call that matches; `times`: of so many. */
  fail(method: string, trouble: Trouble, times?: number): void;
  heal(): void;
  /** The scopes of the token, as Slack says them with every answer. At first: those of the manifest. */
  grant(scopes: readonly string[]): void;
  /** Connections that are open now. */
  readonly sockets: ReadonlySet<WebSocket>;
  /** Over the connection that was opened last; what it is acknowledged with. */
  envelope(type: string, payload: unknown): Promise<unknown>;
  /** Asks every connection to make place for a new one, as Slack does every few hours. */
  renew(): void;
  /** Cuts every connection without a word. */
  cut(): void;
  delete(ts: string): void;
  close(): Promise<void>;
}

export const SECRET = 'a-signing-secret-of-the-tests';
export const TOKEN = 'xoxb-a-bot-token-of-the-tests';
export const APP_TOKEN = 'xapp-an-app-token-of-the-tests';
export const CHANNEL = 'C0DEPLOYS';

export async function slackFake(): Promise<SlackFake> {
  const calls: FakeCall[] = [];
  const messages: FakeMessage[] = [];
  const answers: string[] = [];
  const troubles: { method: string; trouble: Trouble; left: number }[] = [];
  let scopes: readonly string[] = BOT_SCOPES;
  let clock = Math.floor(Date.now() / 1000);

  const troubleOf = (method: string): Trouble | null => {
    const found = troubles.find((t) => t.left > 0 && (t.method === method || t.method === '*'));
    if (found === undefined) return null;
    found.left -= 1;
    return found.trouble;
  };

  const port = (): number => (server.address() as AddressInfo).port;

  const act = (method: string, args: Readonly<Record<string, string>>): Record<string, unknown> => {
    const { channel = '' } = args;
    const content = () => ({
      text: args['text'] ?? '',
      blocks: JSON.parse(args['blocks'] ?? '[]'),
      metadata: JSON.parse(args['metadata'] ?? 'null'),
    });
    const shown = (m: FakeMessage) => ({
      ts: m.ts,
      text: m.text,
      ...(args['include_all_metadata'] === 'true' ? { metadata: m.metadata } : {}),
    });
    switch (method) {
      case 'chat.postMessage': {
        clock += 1;
        const ts = `${clock}.000100`;
        messages.push({
          channel,
          ts,
          thread: args['thread_ts'] ?? null,
          broadcast: args['reply_broadcast'] === 'true',
          ...content(),
        });
        return { ok: true, channel, ts };
      }
      case 'chat.update': {
        const message = messages.find((m) => m.ts === args['ts'] && m.channel === channel);
        if (message === undefined) return { ok: false, error: 'message_not_found' };
        Object.assign(message, content());
        return { ok: true, channel, ts: message.ts };
      }
      case 'conversations.history':
        return { ok: true, messages: messages.filter((m) => m.channel === channel && m.thread === null).map(shown) };
      case 'conversations.replies':
        return {
          ok: true,
          messages: messages.filter((m) => m.thread === args['ts'] || m.ts === args['ts']).map(shown),
        };
      case 'auth.test':
        return { ok: true, user: 'sluice', team: 'Example' };
      case 'apps.connections.open':
        return { ok: true, url: `ws://127.0.0.1:${port()}/socket` };
      default:
        return { ok: false, error: 'unknown_method' };
    }
  };

  const handle = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const body = await read(req);
    if (req.url === '/response') {
      const trouble = troubleOf('response');
      if (trouble?.kind === 'status') return void res.writeHead(trouble.status).end();
      answers.push(JSON.parse(body).text);
      return void res.writeHead(200).end('ok');
    }
    const method = (req.url ?? '').replace('/api/', '');
    const args = Object.fromEntries(new URLSearchParams(body));
    calls.push({ method, args, at: Date.now() });
    const expected = method.startsWith('apps.') ? APP_TOKEN : TOKEN;
    if (req.headers.authorization !== `Bearer ${expected}`) return answer(res, { ok: false, error: 'invalid_auth' });
    const trouble = troubleOf(method);
    switch (trouble?.kind) {
      case 'limited':
        return void res.writeHead(429, { 'retry-after': String(trouble.seconds) }).end();
      case 'refused':
        return answer(res, { ok: false, error: trouble.error });
      case 'status':
        return void res.writeHead(trouble.status).end('upstream trouble');
      case 'lost':
        act(method, args);
        return void req.socket.destroy();
      case 'hangs':
        return;
      default:
        res.setHeader('x-oauth-scopes', scopes.join(','));
        return answer(res, act(method, args));
    }
  };

  const server = createServer((req, res) => void handle(req, res));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const sockets = new Set<WebSocket>();
  const acks = new Map<string, (payload: unknown) => void>();
  const socketServer = new WebSocketServer({ server, path: '/socket' });
  socketServer.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('message', (data) => {
      const { envelope_id, payload } = JSON.parse(String(data)) as { envelope_id: string; payload: unknown };
      acks.get(envelope_id)?.(payload);
    });
    socket.send(JSON.stringify({ type: 'hello' }));
  });
  let envelopes = 0;
  return {
    apiUrl: `http://127.0.0.1:${port()}/api/`,
    responseUrl: `http://127.0.0.1:${port()}/response`,
    sockets,
    async envelope(type, payload) {
      envelopes += 1;
      const envelope_id = `envelope-${envelopes}`;
      const acknowledged = new Promise((resolve) => acks.set(envelope_id, resolve));
      [...sockets].at(-1)?.send(JSON.stringify({ type, envelope_id, payload, accepts_response_payload: true }));
      return await acknowledged;
    },
    renew() {
      for (const socket of sockets) socket.send(JSON.stringify({ type: 'disconnect', reason: 'refresh_requested' }));
    },
    cut() {
      for (const socket of sockets) socket.terminate();
    },
    calls,
    messages,
    answers,
    fail: (method, trouble, times = 1) => void troubles.push({ method, trouble, left: times }),
    grant: (given) => {
      scopes = given;
    },
    heal: () => void troubles.splice(0),
    delete: (ts) =>
      void messages.splice(
        messages.findIndex((m) => m.ts === ts),
        1,
      ),
    async close() {
      for (const socket of sockets) socket.terminate();
      socketServer.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function read(req: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of req) body += String(chunk);
  return body;
}

const answer = (res: ServerResponse, body: object): void =>
  void res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));

// ── requests as Slack sends them ────────────────────────────────────────────────────────────────────────────────────

/** Headers of a request with that body, signed at `at` (milliseconds). */
export function signedHeaders(body: string, at: number, secret = SECRET): Record<string, string> {
  const timestamp = String(Math.floor(at / 1000));
  return {
    'content-type': 'application/x-www-form-urlencoded',
    'x-slack-request-timestamp': timestamp,
    'x-slack-signature': sign(secret, timestamp, body),
  };
}

let trigger = 0;

export function slashBody(text: string, part: Readonly<Record<string, string>> = {}): string {
  trigger += 1;
  return new URLSearchParams({
    token: 'a-deprecated-verification-token',
    team_id: 'T1',
    user_id: 'U1',
    user_name: 'ana',
    channel_id: CHANNEL,
    command: '/rollout',
    text,
    response_url: 'https://hooks.slack.com/commands/T1/1/abc',
    trigger_id: `trigger-${trigger}`,
    ...part,
  }).toString();
}

let clicks = 0;

/** A click on a button that stands in the fake: its value and id are taken from the message. */
export function clickBody(button: { readonly action_id: string; readonly value: string }, part: object = {}): string {
  clicks += 1;
  const payload = {
    type: 'block_actions',
    team: { id: 'T1', domain: 'test' },
    user: { id: 'U1', username: 'ana', team_id: 'T1' },
    token: 'a-deprecated-verification-token',
    trigger_id: `click-${clicks}`,
    response_url: 'https://hooks.slack.com/actions/T1/1/abc',
    actions: [{ type: 'button', ...button, action_ts: `${1_700_000_000 + clicks}.000100` }],
    ...part,
  };
  return new URLSearchParams({ payload: JSON.stringify(payload) }).toString();
}

/** The buttons of a message, by name. */
export function buttonsOf(message: FakeMessage): Readonly<Record<string, { action_id: string; value: string }>> {
  const actions = message.blocks.find((block) => block['type'] === 'actions');
  const elements = (actions?.['elements'] ?? []) as { action_id: string; value: string }[];
  return Object.fromEntries(
    elements.map(({ action_id, value }) => [action_id.replace('sluice.', ''), { action_id, value }]),
  );
}
