/** A server that a test scripts: it says, as Prometheus would or would not, whatever the test wants. */
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { silenceQuery } from '../../src/adapters/prometheus/silence.ts';

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** The PromQL that was asked. */
  readonly query: string;
  /** When it is to be evaluated, in seconds since the epoch; null: now. */
  readonly time: number | null;
}

export type Script = (request: SeenRequest, response: ServerResponse) => void | Promise<void>;

export interface FakePrometheus {
  readonly url: string;
  readonly requests: readonly SeenRequest[];
  /** Most requests that were open at a time. */
  mostInFlight(): number;
  /** From now on. */
  answer(script: Script): void;
  stop(): Promise<void>;
}

export async function fakePrometheus(first: Script = success([])): Promise<FakePrometheus> {
  const requests: SeenRequest[] = [];
  let script = first;
  let open = 0;
  let most = 0;
  const server = createServer(async (request, response) => {
    open += 1;
    most = Math.max(most, open);
    response.once('close', () => {
      open -= 1;
    });
    const seen = await read(request);
    // Whether it was there all the time is asked beside other questions: a fake always was.
    if (seen.query.startsWith(silenceQuery(60_000, 1_000).split('[')[0] ?? '')) return success([])(seen, response);
    requests.push(seen);
    await script(seen, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    mostInFlight: () => most,
    answer: (next) => {
      script = next;
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function read(request: IncomingMessage): Promise<SeenRequest> {
  let body = '';
  for await (const chunk of request.setEncoding('utf8')) body += chunk as string;
  const asked = new URLSearchParams(body);
  const time = asked.get('time');
  return {
    method: request.method ?? '',
    path: request.url ?? '',
    headers: request.headers,
    query: asked.get('query') ?? '',
    time: time === null ? null : Number(time),
  };
}

export type Element = readonly [labels: Readonly<Record<string, string>>, value: string];

/** Seconds since the epoch, now or `ms` away from it. */
export const stamp = (ms = 0): number => (Date.now() + ms) / 1000;

const vector = (elements: readonly Element[], at: number): object => ({
  resultType: 'vector',
  result: elements.map(([metric, value]) => ({ metric, value: [at, value] })),
});

/** A vector, as Prometheus sends it. `more`: fields beside `data`. */
export const success =
  (elements: readonly Element[], more: object = {}, offset = 0): Script =>
  (_request, response) =>
    json(response, 200, { status: 'success', data: vector(elements, stamp(offset)), ...more });

export const json = (response: ServerResponse, status: number, body: unknown): void => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
};

export const reply =
  (status: number, body: string, headers: Readonly<Record<string, string>> = {}): Script =>
  (_request, response) => {
    response.writeHead(status, headers).end(body);
  };
