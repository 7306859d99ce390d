/** A small HTTP server by which a person at a terminal acts on the sandbox: the pipeline's part, and the breaking. */
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';
import type { Sandbox } from './sandbox.ts';

const behaviour = {
  errorRate: z.number().min(0).max(1).optional(),
  latencyMs: z.number().min(0).max(60_000).optional(),
};
const release = z.strictObject({ image: z.string().min(1).max(200).default('myapp:next'), ...behaviour });
const canary = z.strictObject(behaviour);
const proxies = z.strictObject({
  version: z.enum(['stable', 'canary']).default('canary'),
  cpu: z.number().min(0).max(64).optional(),
  memory: z.number().min(0).optional(),
  restart: z.enum(['OOMKilled', 'Error']).optional(),
});
const nothing = z.strictObject({});

export interface Control {
  readonly url: string;
  stop(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

const ROUTES =
  'POST /release {image, errorRate, latencyMs}, POST /canary {errorRate, latencyMs}, POST /crash, POST /proxies {version, cpu, memory, restart}, GET /users, GET /weights';
const BODY_LIMIT = 10_000;

export async function startControl(sandbox: Sandbox): Promise<Control> {
  const server = createServer((incoming, response) => {
    answer(sandbox, incoming)
      .catch((error: unknown): Answer => ({ status: 500, body: { error: (error as Error).message } }))
      .then(({ status, body }) => {
        response.writeHead(status, { 'content-type': 'application/json' });
        response.end(`${JSON.stringify(body)}\n`);
      })
      .catch((error: unknown) => response.destroy(error as Error));
  });
  await new Promise<void>((fulfil, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', fulfil);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () =>
      new Promise((fulfil) => {
        server.close(() => fulfil());
        server.closeAllConnections();
      }),
  };
}

async function answer(sandbox: Sandbox, incoming: IncomingMessage): Promise<Answer> {
  switch (`${incoming.method} ${incoming.url}`) {
    case 'GET /users':
      return { status: 200, body: sandbox.users() };
    case 'GET /weights':
      return { status: 200, body: sandbox.weights };
    case 'POST /release':
      return act(incoming, release, ({ image, ...rest }) => sandbox.release(image, given(rest)));
    case 'POST /canary':
      return act(incoming, canary, async (change) => sandbox.setCanary(given(change)));
    case 'POST /crash':
      return act(incoming, nothing, () => sandbox.crashCanary());
    case 'POST /proxies':
      return act(incoming, proxies, ({ version, ...change }) => sandbox.setProxies(version, given(change)));
    default:
      return { status: 404, body: { error: `known: ${ROUTES}` } };
  }
}

/** Fields that are given, without those that are undefined. */
const given = <T extends object>(change: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined)) as never;

async function act<T>(
  incoming: IncomingMessage,
  schema: z.ZodType<T>,
  run: (value: T) => Promise<void>,
): Promise<Answer> {
  const text = await bodyOf(incoming);
  const parsed = schema.safeParse(jsonOf(text));
  if (!parsed.success) return { status: 400, body: { error: z.prettifyError(parsed.error) } };
  await run(parsed.data);
  return { status: 200, body: { done: true } };
}

function jsonOf(text: string): unknown {
  if (text.trim() === '') return {};
  try {
    return JSON.parse(text);
  } catch {
    return text; // the schema says what was wanted
  }
}

async function bodyOf(incoming: IncomingMessage): Promise<string> {
  let text = '';
  for await (const part of incoming.setEncoding('utf8') as AsyncIterable<string>) {
    text += part;
    if (text.length > BODY_LIMIT) throw new Error(`wanted at most ${BODY_LIMIT} characters`);
  }
  return text;
}
