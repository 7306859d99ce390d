/** One pod's process: a real HTTP server whose error rate and latency can be changed while it serves. */

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from './data-plane/random.ts';
import { normal } from './data-plane/random.ts';
import { SERVED_BY } from './traffic.ts';

export interface Behaviour {
  /** Share of requests that are answered with 500: 0 to 1. */
  readonly errorRate: number;
  /** Only requests whose path begins so can fail. Absent: all. */
  readonly failingPath?: string;
  /** Median latency in milliseconds; single requests are spread log-normally around it. */
  readonly latencyMs: number;
}

export interface PodServer {
  readonly port: number;
  /** As soon as no request is under way, and after `within` milliseconds whatever is. */
  answered(within: number): Promise<void>;
  /** The process ends: connections break, new ones are refused. */
  stop(): Promise<void>;
}

const LOOK = 20;

/** Deviation of the logarithm: the 99th percentile is at about 1.6 times the median. */
const SPREAD = 0.2;

export async function startPodServer(
  who: { readonly pod: string; readonly workload: string; readonly image: string },
  behaviour: () => Behaviour,
  random: Random,
): Promise<PodServer> {
  const timers = new Set<NodeJS.Timeout>();
  const server = createServer((incoming, response) => {
    const { errorRate, latencyMs, failingPath = '' } = behaviour();
    const failed = random() < errorRate && (incoming.url ?? '').startsWith(failingPath);
    const answer = (): void => {
      response.writeHead(failed ? 500 : 200, { 'content-type': 'application/json', [SERVED_BY]: who.workload });
      response.end(`${JSON.stringify(failed ? { error: 'injected', ...who } : { path: incoming.url, ...who })}\n`);
    };
    const timer = setTimeout(
      () => {
        timers.delete(timer);
        answer();
      },
      latencyMs * Math.exp(SPREAD * normal(random)),
    );
    timers.add(timer);
    incoming.resume();
  });
  // Never closed for idleness: that races with the next request on the connection.
  server.keepAliveTimeout = 0;
  await new Promise<void>((fulfil, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', fulfil);
  });
  return {
    port: (server.address() as AddressInfo).port,
    async answered(within) {
      for (const until = performance.now() + within; timers.size > 0 && performance.now() < until; ) await sleep(LOOK);
    },
    stop: () =>
      new Promise((fulfil) => {
        for (const timer of timers) clearTimeout(timer);
        server.close(() => fulfil());
        server.closeAllConnections();
      }),
  };
}
