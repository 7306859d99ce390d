/** Native histograms of a real Prometheus: what lies beyond a bound is counted where a bucket ends there, and never guessed. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type PrometheusServer, startPrometheus } from '../../src/sandbox/prometheus-server.ts';
import { Looker } from '../support/counting-world.ts';
import { open, shop } from '../support/prometheus-target.ts';
import { counterFamily, nativeFamily, PROTOBUF } from '../support/protobuf.ts';

const SCRAPE = 250;

/** Latencies in milliseconds of one version, in buckets of this schema. */
interface Version {
  readonly deployment: string;
  schema: number;
  latencies: number[];
}

const stable: Version = { deployment: 'shop-v1', schema: 3, latencies: [10, 100, 300] };
const canary: Version = { deployment: 'shop-v2', schema: 3, latencies: [] };
let served = 0;
let proxy: Server;
let server: PrometheusServer;

const bucketOf = (schema: number, latency: number): number => Math.ceil(Math.log2(latency) * 2 ** schema - 1e-9);

function page(): Buffer {
  const versions = [stable, canary].filter(({ latencies }) => latencies.length > 0);
  const labels = ({ deployment }: Version) => ({
    reporter: 'source',
    destination_workload: deployment,
    destination_workload_namespace: 'production',
    response_code: '200',
  });
  return Buffer.concat([
    counterFamily(
      'istio_requests_total',
      versions.map((version) => ({ labels: labels(version), value: version.latencies.length })),
    ),
    nativeFamily(
      'istio_request_duration_milliseconds',
      versions.map((version) => {
        const buckets = new Map<number, number>();
        for (const latency of version.latencies) {
          const index = bucketOf(version.schema, latency);
          buckets.set(index, (buckets.get(index) ?? 0) + 1);
        }
        return { labels: labels(version), schema: version.schema, buckets };
      }),
    ),
  ]);
}

async function scraped(): Promise<void> {
  const wanted = served + 2;
  for (const until = Date.now() + 20_000; served < wanted; await sleep(20))
    if (Date.now() > until) throw new Error('not scraped within 20 s');
}

beforeAll(async () => {
  proxy = createServer((_request, response) => {
    served += 1;
    response.writeHead(200, { 'content-type': PROTOBUF }).end(page());
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const address = `127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const flags = ['--enable-feature=native-histograms'];
  server = await startPrometheus({ targets: [{ address }], interval: SCRAPE, flags });
  await scraped();
});

afterAll(async () => {
  await server.stop();
  proxy.closeAllConnections();
  proxy.close();
});

test('responses beyond a bucket edge are counted through restarts and a resolution that is halved; others never', async () => {
  const provider = open(server.url, { scrapeIntervalMs: SCRAPE });
  // 250 ms lies within a bucket as soon as something is in that bucket.
  const looker = new Looker(provider, shop(), 'source', Date.now(), [128, 250, 256, 1024]);
  stable.latencies.push(5, 128, 129, 240, 2000);
  canary.latencies.push(240, 256, 257, 1500);
  await scraped();
  await looker.look();
  stable.schema = 1;
  stable.latencies.push(130, 130);
  await scraped();
  await sleep(1_000);
  await looker.look();
  // Fewer than before, but more of them slow: the process began anew.
  canary.latencies = [700, 700, 700];
  stable.schema = 0;
  stable.latencies.push(1);
  await scraped();
  await sleep(1_000);
  await looker.look();
  expect(looker.counted).toEqual({
    'canary null': [4 + 3, 0, 4 + 3, 4 + 3, 0, 2 + 3, 1],
    'stable null': [8, 0, 8, 3 + 2, 0, 1, 1],
  });
});

test('the survey finds the histogram, and bounds at which its buckets end', async () => {
  const survey = await open(server.url, { scrapeIntervalMs: SCRAPE }).survey?.(shop(), 600_000);
  expect(survey).toMatchObject({ ok: true, view: 'source' });
  const bounds = survey?.ok ? survey.bounds : [];
  expect(bounds).toContain(256);
  for (const bound of bounds) expect(Number.isInteger(Math.log2(bound))).toBe(true);
});
