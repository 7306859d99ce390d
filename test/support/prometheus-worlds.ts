/**
 * The same traffic behind a fake Prometheus and behind a real one: constant rates, so that every window of every moment
 * gives the same ratios.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { startPrometheus } from '../../src/sandbox/prometheus-server.ts';
import { type Element, fakePrometheus, json, type Script, stamp, success } from './prometheus-fake.ts';

export interface Traffic {
  readonly namespace: string;
  readonly deployment: string;
  /** Requests per second, and how many of them fail. 0 failing: the proxies have no series for failures. */
  readonly rate: number;
  readonly failing: number;
  /** Which part of the requests is at or below each bound, in ms. */
  readonly latency: Readonly<Record<string, number>>;
  /** Requests per second that a caller in the same namespace sent to this host and that reached no pod. */
  readonly lost?: { readonly host: string; readonly rate: number };
}

export interface MetricsWorld {
  readonly url: string;
  /** Shortest look-back for which there is data, in ms. */
  readonly window: number;
  /** The metrics server goes away. */
  down(): Promise<void>;
  close(): Promise<void>;
}

// ── fake ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Answers to custom queries as a real Prometheus gave them. */
export type Canned = Readonly<Record<string, Script>>;

export async function fakeWorld(traffic: readonly Traffic[], canned: Canned): Promise<MetricsWorld> {
  const window = 5_000;
  const server = await fakePrometheus((request, response) => {
    const script = canned[request.query] ?? success(rowsFor(request.query, traffic, window / 1000));
    return script(request, response);
  });
  return { url: server.url, window, down: server.stop, close: server.stop };
}

function rowsFor(query: string, traffic: readonly Traffic[], seconds: number): readonly Element[] {
  const inNamespace = matcher(query, 'destination_workload_namespace');
  const isNamed = matcher(query, 'destination_workload');
  return traffic
    .filter(({ namespace, deployment }) => inNamespace(namespace) && isNamed(deployment))
    .flatMap((one) => (query.includes('_bucket') ? bucketRows(one, seconds) : countRows(one, seconds)))
    .concat(query.includes(',destination_service=~') ? lostRows(query, traffic, seconds) : []);
}

function lostRows(query: string, traffic: readonly Traffic[], seconds: number): readonly Element[] {
  const isCalled = matcher(query, 'destination_service');
  return traffic.flatMap(({ namespace, lost }) =>
    lost !== undefined && isCalled(lost.host)
      ? [
          [
            { destination_service: lost.host, source_workload_namespace: namespace, counted: 'unreached' },
            String(lost.rate * seconds),
          ] as Element,
        ]
      : [],
  );
}

/** What `label="value"` or `label=~"value"` lets through, as Prometheus reads it. */
function matcher(query: string, label: string): (value: string) => boolean {
  const [, operator, literal] = new RegExp(`[,{]${label}(=~?)"((?:[^"\\\\]|\\\\.)*)"`).exec(query) ?? [];
  if (literal === undefined) throw new Error(`the query has no matcher for ${label}: ${query}`);
  const value = literal.replace(/\\(?:x(..)|u(....)|(.))/g, (_all, x?: string, u?: string, same?: string) =>
    same === undefined ? String.fromCodePoint(Number.parseInt(x ?? u ?? '', 16)) : same,
  );
  const pattern = new RegExp(`^(?:${value})$`);
  return (text) => (operator === '=' ? text === value : pattern.test(text));
}

const labelsOf = ({ namespace, deployment }: Traffic) => ({
  destination_workload_namespace: namespace,
  destination_workload: deployment,
});

const countRows = (one: Traffic, seconds: number): readonly Element[] => [
  [{ ...labelsOf(one), counted: 'requests' }, String(one.rate * seconds)],
  ...(one.failing > 0
    ? [[{ ...labelsOf(one), counted: 'errors' }, String(one.rate * one.failing * seconds)] as Element]
    : []),
];

const bucketRows = (one: Traffic, seconds: number): readonly Element[] =>
  Object.entries({ ...one.latency, '+Inf': 1 }).map(([le, part]) => [
    { ...labelsOf(one), le },
    String(one.rate * part * seconds),
  ]);

export const scalar =
  (value: string): Script =>
  (_request, response) =>
    json(response, 200, { status: 'success', data: { resultType: 'scalar', result: [stamp(), value] } });

// ── real ────────────────────────────────────────────────────────────────────────────────────────────────────────────

const SCRAPE = 250;

export async function realWorld(traffic: readonly Traffic[]): Promise<MetricsWorld> {
  const began = Date.now();
  const { promise: scraped, resolve } = Promise.withResolvers<void>();
  const proxies = createServer((_request, response) => {
    response.end(exposition(traffic, (Date.now() - began) / 1000));
    resolve();
  });
  await new Promise<void>((listening) => proxies.listen(0, '127.0.0.1', listening));
  const { port } = proxies.address() as AddressInfo;
  const server = await startPrometheus({ targets: [{ address: `127.0.0.1:${port}` }], interval: SCRAPE });
  await scraped;
  await sleep(8 * SCRAPE);
  let up = true;
  const down = async () => {
    if (up) await server.stop();
    up = false;
  };
  return {
    url: server.url,
    window: 5_000,
    down,
    async close() {
      await down();
      proxies.closeAllConnections();
      await new Promise((closed) => proxies.close(closed));
    },
  };
}

/** Both reporters count the same. Counters hold fractions, so that ratios are exact. */
export function exposition(traffic: readonly Traffic[], seconds: number): string {
  const lines: string[] = [];
  for (const { namespace, lost } of traffic)
    if (lost !== undefined)
      lines.push(
        `istio_requests_total{reporter="source",source_workload_namespace="${namespace}",destination_workload="unknown",destination_workload_namespace="unknown",destination_service="${lost.host}",response_code="503",response_flags="UH"} ${lost.rate * seconds}`,
      );
  for (const { namespace, deployment, rate, failing, latency } of traffic)
    for (const reporter of ['source', 'destination']) {
      const who = `reporter="${reporter}",destination_workload_namespace=${JSON.stringify(namespace)},destination_workload=${JSON.stringify(deployment)}`;
      const add = (metric: string, labels: string, part: number) =>
        lines.push(`${metric}{${who},${labels}} ${rate * part * seconds}`);
      add('istio_requests_total', 'response_code="200"', 1 - failing);
      if (failing > 0) add('istio_requests_total', 'response_code="503"', failing);
      for (const [le, part] of Object.entries({ ...latency, '+Inf': 1 }))
        add('istio_request_duration_milliseconds_bucket', `le="${le}"`, part);
    }
  return `${lines.join('\n')}\n`;
}
