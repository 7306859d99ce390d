/** Who calls a scope, how, and what of it fails: Istio's counters, asked of the cluster's Prometheus. */
import type { PolicyMetrics } from '../../app/migration/ports.ts';
import { isNamed } from '../../domain/migration/judge.ts';
import type { Scope } from '../../domain/migration/migration.ts';
import type { CallerTraffic, Heard, PlaintextCaller } from '../../domain/migration/observation.ts';
import type { Millis } from '../../domain/plan.ts';
import type { Answer, Row } from '../prometheus/answer.ts';
import { promDuration, quoted } from '../prometheus/text.ts';

const REQUESTS = 'istio_requests_total';
const OPENED = 'istio_tcp_connections_opened_total';
const CLOSED = 'istio_tcp_connections_closed_total';
/** A connection that was opened before the window shows only here. */
const RECEIVED = 'istio_tcp_received_bytes_total';

const CALLER = 'source_workload, source_workload_namespace';
const SOURCE = 'reporter=~"source|waypoint"';
const DESTINATION = 'reporter="destination"';
const UNCONNECTED = 'response_flags=~".*(UF|URX).*"';

function within(scope: Scope): string {
  switch (scope.kind) {
    case 'workload':
      return `destination_workload=${quoted(scope.deployment)},destination_workload_namespace=${quoted(scope.namespace)}`;
    case 'namespace':
      return `destination_workload_namespace=${quoted(scope.namespace)}`;
    case 'mesh':
      return 'destination_workload_namespace!=""';
    default:
      return scope satisfies never;
  }
}

/** Calls in the window, also those of a series born in it: `increase` leaves a first sample out. */
const called = (series: string, w: string): string =>
  `((increase(${series}[${w}]) > 0) or (last_over_time(${series}[${w}]) unless last_over_time(${series}[${w}] offset ${w})))`;

/** The queries, for tests and people. */
export function guardQueries(scope: Scope, window: Millis) {
  const w = promDuration(window);
  const of = within(scope);
  const plaintext = (metric: string): string =>
    `sum by (${CALLER}, destination_workload, destination_workload_namespace) (${called(`${metric}{${DESTINATION},${of},connection_security_policy!="mutual_tls"}`, w)}) > 0`;
  const all = (metric: string): string => `sum(increase(${metric}{${DESTINATION},${of}}[${w}]))`;
  return {
    http: plaintext(REQUESTS),
    opened: plaintext(OPENED),
    received: plaintext(RECEIVED),
    calls: [all(REQUESTS), all(OPENED), all(RECEIVED)],
  };
}

export function watchQueries(scope: Scope, window: Millis) {
  const w = promDuration(window);
  const of = within(scope);
  const failed = `response_code="503",${UNCONNECTED}`;
  const by = (sum: string): string => `sum by (${CALLER}) (${sum})`;
  return {
    arrived: [REQUESTS, OPENED].map((metric) => by(`rate(${metric}{${DESTINATION},${of}}[${w}])`)),
    calls: [REQUESTS, OPENED].map((metric) => by(`increase(${metric}{${SOURCE},${of}}[${w}])`)),
    failures: [
      by(called(`${REQUESTS}{${SOURCE},${of},${failed}}`, w)),
      by(called(`${CLOSED}{${SOURCE},${of},${UNCONNECTED}}`, w)),
    ],
    // Where the proxy could not tell which workload it did not reach: counted by the Services that lead to the scope.
    unreached: by(
      `${called(`${REQUESTS}{${SOURCE},destination_workload="unknown",${failed}}`, w)} and on (destination_service) group by (destination_service) (${REQUESTS}{${SOURCE},${of}})`,
    ),
  };
}

export type Query = (promql: string) => Promise<Answer>;

export function policyMetrics(query: Query): PolicyMetrics {
  const rowsOf = async (texts: readonly string[]): Promise<Heard<{ readonly rows: readonly (readonly Row[])[] }>> => {
    const answers = await Promise.all(texts.map(query));
    const wrong = answers.find((answer) => !answer.ok);
    if (wrong !== undefined && !wrong.ok) return { ok: false, code: wrong.code, message: wrong.message };
    return { ok: true, rows: answers.map((answer) => (answer.ok ? answer.rows.filter(({ value }) => value > 0) : [])) };
  };

  return {
    async plaintextCallers(scope, window) {
      const { http, opened, received, calls } = guardQueries(scope, window);
      const heard = await rowsOf([http, opened, received, ...calls]);
      if (!heard.ok) return heard;
      const [byHttp = [], byOpened = [], byReceived = [], ...totals] = heard.rows;
      const tcp = byOpened.length > 0 ? byOpened : byReceived;
      return {
        ok: true,
        callers: [
          ...byHttp.map((row) => plaintextCaller(row, 'http')),
          ...tcp.map((row) => plaintextCaller(row, 'tcp')),
        ],
        calls: sumOf(totals.flat()),
      };
    },
    async connectionFailures(scope, window) {
      const { arrived, calls, failures, unreached } = watchQueries(scope, window);
      const heard = await rowsOf([...arrived, ...calls, ...failures, unreached]);
      if (!heard.ok) return heard;
      const [http = [], tcp = [], httpCalls = [], tcpCalls = [], ...failed] = heard.rows;
      const outside = failed[2] ?? [];
      return {
        ok: true,
        window,
        callers: merged({
          rps: [...http, ...tcp],
          calls: [...httpCalls, ...tcpCalls, ...outside],
          failures: failed.flat(),
        }),
        // Those that reached nobody are in none of the counts by workload.
        calls: sumOf([...httpCalls, ...tcpCalls, ...outside]),
        failures: sumOf(failed.flat()),
        failing: [...new Set(failed.flat().map(callerOf))].sort(),
      };
    },
  };
}

const label = ({ labels }: Row, name: string): string => labels[name] ?? 'unknown';
const sumOf = (rows: readonly Row[]): number => rows.reduce((sum, { value }) => sum + value, 0);
const callerOf = (row: Row): string => `${label(row, 'source_workload_namespace')}/${label(row, 'source_workload')}`;

const plaintextCaller = (row: Row, protocol: PlaintextCaller['protocol']): PlaintextCaller => ({
  workload: label(row, 'source_workload'),
  namespace: label(row, 'source_workload_namespace'),
  called: `${label(row, 'destination_workload_namespace')}/${label(row, 'destination_workload')}`,
  protocol,
  calls: row.value,
});

/** Each named caller once. */
function merged(counted: Readonly<Record<'rps' | 'calls' | 'failures', readonly Row[]>>): readonly CallerTraffic[] {
  const callers = new Map<string, CallerTraffic>();
  for (const what of ['rps', 'calls', 'failures'] as const)
    for (const row of counted[what]) {
      const caller = { workload: label(row, 'source_workload'), namespace: label(row, 'source_workload_namespace') };
      if (!isNamed(caller)) continue;
      const known = callers.get(callerOf(row)) ?? { ...caller, rps: 0, calls: 0, failures: 0 };
      callers.set(callerOf(row), { ...known, [what]: known[what] + row.value });
    }
  return [...callers.values()];
}
