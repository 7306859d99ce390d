/**
 * A real Prometheus hangs for some seconds, and series are born meanwhile. Every canary here is well, before, during and
 * after: no look may say that it fails. One is not, and that is said whenever the numbers are of one time.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openGuards } from '../../src/adapters/guard-post.ts';
import prometheus from '../../src/adapters/metrics/prometheus.ts';
import { guardSpecs, loadGuards, loadMeshes, meshFor } from '../../src/adapters/registry.ts';
import type { GuardGateway, MetricsProvider } from '../../src/app/ports.ts';
import { judge } from '../../src/domain/judge.ts';
import type { Target } from '../../src/domain/plan.ts';
import { type PrometheusServer, startPrometheus } from '../../src/sandbox/prometheus-server.ts';
import { aCheck, aRoute } from '../support/builders.ts';
import { memoryKube } from '../support/memory-kube.ts';
import { deafRecorder, quietLog } from '../support/quiet.ts';

const SCRAPE = 250;
const WINDOW = 3_000;
const GAP = 4_000;
/** Requests per second of each version. */
const RATE = 60;
const DEADLINE = 30_000;

/** A counter that starts with 0 at `from` and grows for `during` milliseconds. */
interface Counter {
  readonly series: string;
  readonly rate: number;
  readonly from: 'always' | 'gap';
  readonly during?: number;
  /** Its process ends when the gap begins. */
  readonly ends?: boolean;
}

const always = (series: string, rate = RATE): Counter => ({ series, rate, from: 'always' });
/** So many requests at the beginning of the gap: too few to matter among all of that time. */
const handful = (series: string, n: number): Counter => ({ series, rate: n, from: 'gap', during: 1_000 });

type World = (stable: string, canary: string, service: string) => readonly Counter[];

const istio = (reporter: 'source' | 'destination', name: string, code = '200', metric = 'istio_requests_total') =>
  `${metric}{reporter="${reporter}",destination_workload_namespace="production",destination_workload="${name}",response_code="${code}",response_flags="-"}`;
const podOf = (name: string, pod: string): string => istio('destination', name).replace('}', `,pod="${pod}"}`);
const istioBucket = (name: string, code: string, le: string): string =>
  istio('source', name, code, 'istio_request_duration_milliseconds_bucket').replace('}', `,le="${le}"}`);
const lostOf = (service: string): string =>
  `istio_requests_total{reporter="source",destination_workload_namespace="unknown",destination_workload="unknown",destination_service="${service}.production.svc.cluster.local",source_workload_namespace="production",response_code="503",response_flags="UH"}`;
const linkerd = (name: string, more = 'classification="success"', metric = 'response_total'): string =>
  `${metric}{direction="inbound",namespace="production",deployment="${name}",${more}}`;

const callers: World = (stable, canary) => [always(istio('source', stable)), always(istio('source', canary))];
const pods: World = (stable, canary) => [always(istio('destination', stable)), always(istio('destination', canary))];
const fast = (name: string): readonly Counter[] =>
  ['10', '5000', '+Inf'].map((le) => always(istioBucket(name, '200', le)));
const inbound: World = (stable, canary) => [always(linkerd(stable)), always(linkerd(canary))];

const ERRORS = aCheck({ threshold: { max: 0.06 }, minSamples: 20 });
const LATENCY = aCheck({ kind: 'latency', quantile: 0.93, threshold: { max: 1_000 }, minSamples: 20 });

interface Case {
  readonly name: string;
  readonly mesh: 'istio' | 'linkerd-smi';
  /** Name of a guard, or a check. */
  readonly asks: string | typeof ERRORS;
  readonly world: World;
  /** What is said where there is no gap. */
  readonly truly: 'pass' | 'fail';
}

const CASES: readonly Case[] = [
  {
    name: "Istio, retries: the canary's pods are new, its callers have counted requests to an earlier one",
    mesh: 'istio',
    asks: 'retries',
    world: (stable, canary, service) => [
      ...callers(stable, canary, service),
      always(istio('destination', stable)),
      { ...always(podOf(canary, 'old')), ends: true },
      { ...always(podOf(canary, 'new')), from: 'gap' },
    ],
    truly: 'pass',
  },
  {
    name: 'Istio, denials: a handful of 403',
    mesh: 'istio',
    asks: 'denials',
    world: (...names) => [...pods(...names), handful(istio('destination', names[1], '403'), 12)],
    truly: 'pass',
  },
  {
    name: 'Istio, unreached: a handful of UH',
    mesh: 'istio',
    asks: 'unreached',
    world: (...names) => [...callers(...names), handful(lostOf(names[2]), 6)],
    truly: 'pass',
  },
  {
    name: 'Istio, ejection: a canary with new callers, and a handful of UH',
    mesh: 'istio',
    asks: 'ejection',
    world: (...names) => [...callers(...names), handful(lostOf(names[2]), 6)],
    truly: 'pass',
  },
  {
    name: 'Istio, errors: a handful of 503',
    mesh: 'istio',
    asks: ERRORS,
    world: (...names) => [...callers(...names), handful(istio('source', names[1], '503'), 12)],
    truly: 'pass',
  },
  {
    name: 'Istio, latency: a handful of slow answers with a status of their own',
    mesh: 'istio',
    asks: LATENCY,
    world: (stable, canary, service) => [
      ...callers(stable, canary, service),
      ...fast(stable),
      ...fast(canary),
      ...['5000', '+Inf'].map((le) => handful(istioBucket(canary, '404', le), 12)),
    ],
    truly: 'pass',
  },
  {
    name: 'Linkerd, denials: a handful',
    mesh: 'linkerd-smi',
    asks: 'denials',
    world: (...names) => [
      ...inbound(...names),
      handful(linkerd(names[1], 'srv="x"', 'inbound_http_authz_deny_total'), 12),
    ],
    truly: 'pass',
  },
  {
    name: 'Linkerd, errors: a handful',
    mesh: 'linkerd-smi',
    asks: ERRORS,
    world: (...names) => [...inbound(...names), handful(linkerd(names[1], 'classification="failure"'), 12)],
    truly: 'pass',
  },
  {
    name: 'Istio, errors: a canary that fails a third of its requests, all the time',
    mesh: 'istio',
    asks: ERRORS,
    world: (...names) => [...callers(...names), always(istio('source', names[1], '503'), RATE / 2)],
    truly: 'fail',
  },
  {
    name: 'Istio, retries: a canary whose pods get three attempts for each request, all the time',
    mesh: 'istio',
    asks: 'retries',
    world: (stable, canary, service) => [
      ...callers(stable, canary, service),
      always(istio('destination', stable)),
      always(istio('destination', canary), 3 * RATE),
    ],
    truly: 'fail',
  },
];

const [meshes, guards] = await Promise.all([loadMeshes(), loadGuards()]);

function targetOf({ mesh }: Case, n: number): Target {
  const [stable, canary, service] = namesOf(n);
  const common = { cluster: 'default', namespace: 'production', service, mesh };
  return mesh === 'istio'
    ? {
        ...common,
        stable: { host: service, subset: 'v1', deployment: stable },
        canary: { host: service, subset: 'v2', deployment: canary },
      }
    : {
        ...common,
        stable: { service: stable, deployment: stable },
        canary: { service: canary, deployment: canary },
      };
}

const namesOf = (n: number): [stable: string, canary: string, service: string] => [`s${n}-v1`, `s${n}-v2`, `s${n}`];

let server: PrometheusServer;
let provider: MetricsProvider;
let post: GuardGateway;
let gapAt: number | null = null;
const began = Date.now();
const counters = CASES.flatMap(({ world }, n) => world(...namesOf(n)));

/** An ingress with a port of its own, whose scrapes can fail; all requests are the canary's, as at 100 %. */
const LONE = CASES.length;
let ingressAnswers = true;
const [loneStable, loneCanary] = namesOf(LONE);
const atIngress = [always(istio('source', loneStable), 0), always(istio('source', loneCanary), 2 * RATE)];
const atPods = [always(istio('destination', loneStable), 0), always(istio('destination', loneCanary), 2 * RATE)];

const ingress = createServer((_request, response) => {
  response.statusCode = ingressAnswers ? 200 : 503;
  response.end(exposition(atIngress));
});
const proxies = createServer((_request, response) => response.end(exposition([...counters, ...atPods])));

function exposition(of: readonly Counter[]): string {
  const now = Date.now();
  const lines = of.flatMap(({ series, rate, from, during = Number.POSITIVE_INFINITY, ends }) => {
    const since = from === 'always' ? began : gapAt;
    return since === null || (ends === true && gapAt !== null)
      ? []
      : [`${series} ${(rate * Math.min(now - since, during)) / 1000}`];
  });
  return `${lines.join('\n')}\n`;
}

beforeAll(async () => {
  const servers = [proxies, ingress];
  await Promise.all(servers.map((one) => new Promise<void>((up) => one.listen(0, '127.0.0.1', up))));
  const targets = servers.map((one) => ({ address: `127.0.0.1:${(one.address() as AddressInfo).port}` }));
  server = await startPrometheus({ targets, interval: SCRAPE });
  const found = prometheus.open({
    url: server.url,
    // A machine that is busy scrapes late.
    scrapeIntervalMs: 2 * SCRAPE,
    viewsOf: (target) => meshFor(meshes, target.mesh).views(target),
    countingOf: (target) => meshFor(meshes, target.mesh).counting(target),
    recorder: deafRecorder,
    log: quietLog,
  });
  provider = found;
  const cluster = {
    name: 'default',
    kube: memoryKube(),
    providers: new Map([['prometheus', found]]),
    defaultProvider: 'prometheus',
  };
  post = openGuards({ clusters: new Map([['default', cluster]]), meshes, guards });
}, 30_000);

afterAll(async () => {
  await server?.stop();
  for (const one of [proxies, ingress]) {
    one.closeAllConnections();
    one.close();
  }
});

interface Look {
  readonly verdict: string;
  readonly reason: string;
}

const specs = new Map(guardSpecs(guards, meshes).map((spec) => [spec.name, spec]));

async function look(one: Case, n: number): Promise<Look> {
  const target = targetOf(one, n);
  if (typeof one.asks !== 'string') {
    const { kind, quantile } = one.asks;
    const question = { kind, target, window: WINDOW, ...(quantile === undefined ? {} : { quantile }) };
    const [canary, stable] = await Promise.all([
      provider.measure({ ...question, role: 'canary' }),
      provider.measure({ ...question, role: 'stable' }),
    ]);
    return judge(one.asks, canary, stable);
  }
  const { name, then, limit, strict } = specs.get(one.asks) as NonNullable<ReturnType<typeof specs.get>>;
  const found = await post.look({
    guard: { name, then, limit, strict, window: WINDOW, failureLimit: 1 },
    target,
    window: WINDOW,
    longest: WINDOW,
    wanted: 50,
    route: aRoute(50, null),
    trafficShare: 'auto',
    since: began,
    now: Date.now(),
  });
  if (found === null) throw new Error(`guard ${name} had nothing to say`);
  return found;
}

const lookAtAll = () => Promise.all(CASES.map(look));
const asTruly = (looks: readonly Look[]): boolean => looks.every(({ verdict }, n) => verdict === CASES[n]?.truly);
const told = (looks: readonly Look[]) =>
  looks.map(({ verdict, reason }, n) => `${CASES[n]?.name}: ${verdict}: ${reason}`);

/** Every look until all say what is true. */
async function looksUntilTrue(): Promise<readonly (readonly Look[])[]> {
  const all: (readonly Look[])[] = [];
  for (const until = Date.now() + DEADLINE; Date.now() < until; await sleep(100)) {
    const looks = await lookAtAll();
    all.push(looks);
    if (asTruly(looks)) return all;
  }
  throw new Error(`not all was told as it is:\n${told(all.at(-1) ?? []).join('\n')}`);
}

test('a gap in the scrapes makes no canary fail that is well, is named, and afterwards all is told as it is', {
  timeout: 90_000,
}, async () => {
  await looksUntilTrue();
  server.hang(true);
  gapAt = Date.now();
  await sleep(GAP);
  server.hang(false);
  const after = await looksUntilTrue();
  const wrong = after.flatMap((looks) =>
    told(looks).filter((_, n) => CASES[n]?.truly === 'pass' && looks[n]?.verdict === 'fail'),
  );
  expect(wrong).toEqual([]);
  const [first = []] = after;
  for (const { verdict, reason } of first) {
    expect(['unknown', 'inconclusive']).toContain(verdict);
    expect(reason).toMatch(
      /Prometheus at http:\S+ has a gap of \d+ s in its scrapes, which the last 3 s touch \(it hung or was restarted\)/,
    );
  }
});

test('scrapes that fail at the callers alone make no retries of what they have not told, with no stable version to compare', {
  timeout: 60_000,
}, async () => {
  const lone: Case = { name: 'lone', mesh: 'istio', asks: 'retries', world: () => [], truly: 'pass' };
  const all: Look[] = [];
  /** Looks for that long, and on until it passes. */
  const passes = async (atLeast: number): Promise<void> => {
    const from = Date.now();
    for (; Date.now() < from + DEADLINE; await sleep(100)) {
      const found = await look(lone, LONE);
      all.push(found);
      if (found.verdict === 'pass' && Date.now() > from + atLeast) return;
    }
    throw new Error(`it does not pass: ${all.at(-1)?.reason}`);
  };
  // Two windows before, to which it is compared.
  await sleep(Math.max(0, began + 4 * WINDOW - Date.now()));
  await passes(0);
  ingressAnswers = false;
  await sleep(0.9 * WINDOW);
  ingressAnswers = true;
  await passes(2 * WINDOW);
  const said = all.filter(({ reason }) => /callers' proxies were scraped only \d.* % as often as before/.test(reason));
  expect(all.filter(({ verdict }) => verdict === 'fail')).toEqual([]);
  expect(said.length).toBeGreaterThan(0);
});
