/** A small HTTP server by which a person acts on the sandbox, at a terminal or on its page: the pipeline's part, and the breaking. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import type { Answer } from './json-call.ts';
import { act, reply } from './json-call.ts';
import type { Loopback } from './loopback.ts';
import { listenOnLoopback } from './loopback.ts';
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

export type Control = Loopback;

/** More that is served at the same address. */
export interface Guest {
  /** true: it answers this call, now or later. */
  take(incoming: IncomingMessage, response: ServerResponse): boolean;
}

const ROUTES =
  'POST /release {image, errorRate, latencyMs}, POST /canary {errorRate, latencyMs}, POST /crash, POST /proxies {version, cpu, memory, restart}, GET /users, GET /weights';

export const startControl = (sandbox: Sandbox, guest: Guest | null = null): Promise<Control> =>
  listenOnLoopback((_, incoming, response) => {
    if (guest?.take(incoming, response) === true) return;
    reply(response, answer(sandbox, incoming));
  });

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
