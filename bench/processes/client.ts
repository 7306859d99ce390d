/** A client of the REST API in a process of its own: kept connections, one request at a time on each. */
import { Agent, type IncomingHttpHeaders, request } from 'node:http';
import { argumentOf, serveParent } from '../support/rpc.ts';
import { type Summary, summary } from '../support/statistics.ts';
import { documentFor } from '../world.ts';

export interface Load {
  /** Milliseconds per answer. */
  readonly latency: Summary;
  readonly perSecond: number;
  readonly statuses: Readonly<Record<string, number>>;
}

interface Target {
  readonly url: string;
  readonly tokens: readonly string[];
}

const { url, tokens } = argumentOf<Target>();
const agent = new Agent({ keepAlive: true, maxSockets: 256 });

interface Answered {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** Milliseconds. */
  readonly took: number;
}

function send(method: string, path: string, token: string, headers: object = {}, body?: object): Promise<Answered> {
  const payload = body === undefined ? undefined : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const sent = request(
      url + path,
      {
        method,
        agent,
        headers: {
          accept: 'application/json',
          authorization: `Bearer ${token}`,
          ...(payload === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }),
          ...headers,
        },
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => {
          text += part;
        });
        response.on('error', reject);
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text,
            took: performance.now() - began,
          }),
        );
      },
    );
    sent.on('error', reject);
    sent.end(payload);
  });
}

const counter = () => {
  const latencies: number[] = [];
  const statuses: Record<string, number> = {};
  const began = performance.now();
  return {
    add({ status, took, text }: Answered) {
      // A refusal is fast: counted as an answer, it would make the service look better than it is.
      if (status >= 400) throw new Error(`HTTP ${status}: ${text.slice(0, 2_000)}`);
      latencies.push(took);
      statuses[status] = (statuses[status] ?? 0) + 1;
    },
    load: (): Load => ({
      latency: summary(latencies),
      perSecond: latencies.length / ((performance.now() - began) / 1000),
      statuses,
    }),
  };
};

const tokenAt = (n: number): string => tokens[n % tokens.length] as string;

serveParent(
  {
    /** `concurrency` pollers, each asks for one rollout after the other. */
    async poll(options: { ids: readonly string[]; concurrency: number; seconds: number; conditional: boolean }) {
      const { ids, concurrency, seconds, conditional } = options;
      const tags = new Map<string, string>();
      const count = counter();
      const until = performance.now() + seconds * 1000;
      let n = 0;
      const poller = async (): Promise<void> => {
        while (performance.now() < until) {
          n += 1;
          const id = ids[n % ids.length] as string;
          const tag = tags.get(id);
          const condition = conditional && tag !== undefined ? { 'if-none-match': tag } : {};
          const answered = await send('GET', `/rollouts/${id}`, tokenAt(n), condition);
          if (typeof answered.headers.etag === 'string') tags.set(id, answered.headers.etag);
          count.add(answered);
        }
      };
      await Promise.all(Array.from({ length: concurrency }, poller));
      return count.load();
    },

    /** POST /rollouts, at a rate or by `concurrency` callers that do not wait between two. */
    async start(options: { services: readonly string[]; perSecond?: number; concurrency?: number }) {
      const { services, perSecond, concurrency = 1 } = options;
      const count = counter();
      const post = async (service: string, n: number): Promise<void> =>
        count.add(await send('POST', '/rollouts', tokenAt(n), {}, documentFor(service)));
      if (perSecond !== undefined) {
        const began = performance.now();
        await Promise.all(
          services.map(async (service, n) => {
            await new Promise((resolve) => setTimeout(resolve, began + (n * 1000) / perSecond - performance.now()));
            await post(service, n);
          }),
        );
        return count.load();
      }
      let next = 0;
      const caller = async (): Promise<void> => {
        for (let n = next++; n < services.length; n = next++) await post(services[n] as string, n);
      };
      await Promise.all(Array.from({ length: concurrency }, caller));
      return count.load();
    },

    /** One waits for a change, the other makes it: milliseconds from its answer, and from its request, to the waker's. */
    async longPoll(options: { ids: readonly string[]; others: readonly string[] }) {
      const idle = options.others.map(async (id, n) => {
        const { version } = JSON.parse((await send('GET', `/rollouts/${id}`, tokenAt(n))).text) as { version: number };
        return send('GET', `/rollouts/${id}?wait=20s&sinceVersion=${version}`, tokenAt(n));
      });
      const woken: number[] = [];
      const commands: number[] = [];
      for (const [n, id] of options.ids.entries()) {
        const { version } = JSON.parse((await send('GET', `/rollouts/${id}`, tokenAt(n))).text) as { version: number };
        const waiting = send('GET', `/rollouts/${id}?wait=20s&sinceVersion=${version}`, tokenAt(n));
        await new Promise((resolve) => setTimeout(resolve, 30));
        const began = performance.now();
        const told = waiting.then(() => performance.now());
        const paused = await send('POST', `/rollouts/${id}/pause`, tokenAt(n), {}, {});
        if (paused.status >= 300) throw new Error(`pause: ${paused.status} ${paused.text}`);
        commands.push(paused.took);
        woken.push((await told) - began);
      }
      await Promise.all(idle);
      return { woken: summary(woken), commands: summary(commands) };
    },
  },
  async () => agent.destroy(),
);
