/**
 * A stand-in for Prometheus: answers the grouped questions of the Istio views for any number of workloads, at once and
 * from nothing. It says what the service's side costs, not what a real Prometheus needs to evaluate such a query.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { argumentOf, serveParent } from '../support/rpc.ts';
import { WEIGHT } from '../world.ts';

export interface PrometheusCounts {
  readonly queries: number;
  readonly bytes: number;
  /** Workloads that were asked for, over all queries. */
  readonly workloads: number;
}

export interface Fault {
  readonly workload: string;
  /** Milliseconds from now until it shows. */
  readonly after: number;
}

/** Milliseconds since 1970. */
export interface Shown {
  readonly visible: number;
  /** When each answer that carried it was handed to the socket. */
  readonly answers: readonly number[];
}

const { delay } = argumentOf<{ readonly delay: number }>();
const REQUESTS = 10_000;
const FAILING = 0.2;
/** Bounds of Envoy's histogram in milliseconds, and the share of requests at or below: a p99 near 200 ms. */
const BUCKETS: readonly (readonly [string, number])[] = [
  ...['0.5', '1', '5'].map((le) => [le, 0] as const),
  ['10', 0.2],
  ['25', 0.5],
  ['50', 0.8],
  ['100', 0.95],
  ['250', 0.995],
  ...['500', '1000', '2500', '5000', '10000', '30000', '60000', '300000', '600000', '1800000', '3600000', '+Inf'].map(
    (le) => [le, 1] as const,
  ),
];

let counts: PrometheusCounts = { queries: 0, bytes: 0, workloads: 0 };
const faults = new Map<string, { visible: number; answers: number[] }>();

const now = (): number => performance.timeOrigin + performance.now();
const requestsOf = (workload: string): number =>
  REQUESTS * (workload.endsWith('-v2') ? WEIGHT / 100 : 1 - WEIGHT / 100);

/** The alternatives of the first matcher of `label`: every selector of a grouped query has the same. */
function valuesOf(query: string, label: string): readonly string[] {
  const found = new RegExp(`[{,]${label}=~?"([^"]*)"`).exec(query)?.[1] ?? '';
  return found.replaceAll('\\', '').split('|');
}

function answer(query: string, carried: (workload: string) => void): string {
  const stamp = Date.now() / 1000;
  // Whether anything was scraped all the time: it was.
  if (query.includes('timestamp(up)')) return '{"status":"success","data":{"resultType":"vector","result":[]}}';
  const [namespace = ''] = valuesOf(query, 'destination_workload_namespace');
  const workloads = valuesOf(query, 'destination_workload');
  counts = { ...counts, workloads: counts.workloads + workloads.length };
  const row = (workload: string, label: string, value: number): string =>
    `{"metric":{"destination_workload_namespace":"${namespace}","destination_workload":"${workload}",${label}},"value":[${stamp},"${value}"]}`;
  const rows = query.includes('_bucket')
    ? workloads.flatMap((w) => BUCKETS.map(([le, share]) => row(w, `"le":"${le}"`, requestsOf(w) * share)))
    : workloads.flatMap((w) => {
        const requests = requestsOf(w);
        const failing = (faults.get(w)?.visible ?? Number.POSITIVE_INFINITY) <= now();
        if (failing) carried(w);
        return [
          row(w, '"counted":"requests"', requests),
          row(w, '"counted":"errors"', failing ? requests * FAILING : 0),
        ];
      });
  return `{"status":"success","data":{"resultType":"vector","result":[${rows.join(',')}]}}`;
}

// ── raw samples ─────────────────────────────────────────────────────────────────────────────────────────────────────

const SCRAPE = 15;
const CALLERS = ['frontend-7c9d-aaaaa', 'frontend-7c9d-bbbbb'] as const;
const PER_SECOND = 100;

/** Each caller's counters of each workload as they were scraped in the window: 200, 404, and the buckets that were asked for. */
function samples(query: string, seconds: number): string {
  const [namespace = ''] = valuesOf(query, 'destination_workload_namespace');
  const workloads = valuesOf(query, 'destination_workload');
  counts = { ...counts, workloads: counts.workloads + workloads.length };
  const bounds = [...new Set(valuesOf(query, 'le').map((le) => le.replace('(.0)?', '')))].filter((le) => le !== '');
  const last = Math.floor(Date.now() / 1000 / SCRAPE) * SCRAPE;
  const times = Array.from(
    { length: Math.max(1, Math.floor(seconds / SCRAPE)) },
    (_, i) => last - i * SCRAPE,
  ).reverse();
  const series = (name: string, workload: string, pod: string, labels: string, share: number): string => {
    const rate = (PER_SECOND / CALLERS.length) * (workload.endsWith('-v2') ? WEIGHT / 100 : 1 - WEIGHT / 100) * share;
    const values = times.map((t) => `[${t},"${Math.floor(rate * (t - ORIGIN))}"]`).join(',');
    return `{"metric":{"__name__":"${name}","reporter":"source","job":"mesh","instance":"10.0.0.1:15020","pod":"${pod}","source_workload":"frontend","destination_workload_namespace":"${namespace}","destination_workload":"${workload}","destination_service":"${workload}.${namespace}.svc.cluster.local","response_flags":"-",${labels}},"values":[${values}]}`;
  };
  const rows = workloads.flatMap((workload) =>
    CALLERS.flatMap((pod) => [
      series('istio_requests_total', workload, pod, '"response_code":"200"', 0.99),
      series('istio_requests_total', workload, pod, '"response_code":"404"', 0.01),
      ...bounds.map((le) => {
        const share = BUCKETS.find(([bound]) => bound === le)?.[1] ?? 1;
        const labels = `"response_code":"200","le":"${le}"`;
        return series('istio_request_duration_milliseconds_bucket', workload, pod, labels, share * 0.99);
      }),
    ]),
  );
  return `{"status":"success","data":{"resultType":"matrix","result":[${rows.join(',')}]}}`;
}

const ORIGIN = Math.floor(Date.now() / 1000) - 86_400;

const server = createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  counts = { ...counts, queries: counts.queries + 1, bytes: counts.bytes + body.length };
  if (delay > 0) await sleep(delay);
  const carried: string[] = [];
  const query = new URLSearchParams(body.toString()).get('query') ?? '';
  const window = /\}\[(\d+)s\]$/.exec(query)?.[1];
  const text =
    window === undefined ? answer(query, (workload) => carried.push(workload)) : samples(query, Number(window));
  response.setHeader('content-type', 'application/json');
  response.end(text);
  const at = now();
  for (const workload of carried) faults.get(workload)?.answers.push(at);
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

serveParent({
  address: () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
  counts: () => counts,
  fail(wanted: readonly Fault[]) {
    for (const { workload, after } of wanted) faults.set(workload, { visible: now() + after, answers: [] });
  },
  shown: (workloads: readonly string[]): readonly (Shown | null)[] => workloads.map((w) => faults.get(w) ?? null),
});
