/** A proxy that is scraped twice is counted once, also when one of the two stops. */
import { describe, expect, it } from 'vitest';
import type { CountView, RawSeries } from '../../src/adapters/series/counting.ts';
import { countersOf } from '../../src/adapters/series/counting.ts';
import { istioCounting } from '../../src/adapters/series/istio.ts';
import { consume, NO_CURSOR } from '../../src/domain/evidence/increments.ts';

const view = istioCounting.find(({ name }) => name === 'destination') as CountView;
const NAMED = { namespace: 'production', stable: 'shop-v1', canary: 'shop-v2' };

const scraped = (labels: Readonly<Record<string, string>>, samples: RawSeries['samples']): RawSeries => ({
  name: 'istio_requests_total',
  labels: {
    destination_workload: 'shop-v2',
    destination_workload_namespace: 'production',
    reporter: 'destination',
    request_protocol: 'http',
    response_code: '200',
    response_flags: '-',
    ...labels,
  },
  samples,
});

const POD = { namespace: 'production', pod: 'shop-v2-a' };
const ENVOY = { ...POD, job: 'envoy-stats', instance: '10.0.0.1:15090' };
const MERGED = { ...POD, job: 'kubernetes-pods', instance: '10.0.0.1:15020' };

const requests = (...looks: readonly (readonly RawSeries[])[]): number => {
  let cursor = NO_CURSOR;
  let sum = 0;
  for (const raw of looks) {
    const taken = consume(cursor, countersOf(view, NAMED, [], raw), 0);
    cursor = taken.cursor;
    for (const { canary } of taken.counted.values()) sum += canary.requests;
  }
  return sum;
};

const line = (from: number, to: number, offset = 0): RawSeries['samples'] =>
  Array.from({ length: (to - from) / 15 + 1 }, (_, i) => {
    const seconds = from + 15 * i + offset;
    return [seconds * 1000, 100 + seconds] as const;
  });

describe('a proxy', () => {
  it('that two jobs scrape is counted once', () => {
    const twice = [scraped(ENVOY, line(-15, 60)), scraped(MERGED, line(-15, 60, 7))];
    expect(requests(twice)).toBe(requests([scraped(ENVOY, line(-15, 60))]));
    expect(requests(twice)).toBeGreaterThan(0);
  });

  it('whose first job stops is counted on by the other, without a gap and without counting anything twice', () => {
    const both = [scraped(ENVOY, line(-15, 60)), scraped(MERGED, line(-15, 60, 7))];
    // What the first one saw last stays in the answers for as long as they look back.
    const other = [scraped(ENVOY, line(30, 60)), scraped(MERGED, line(30, 120, 7))];
    const back = [scraped(ENVOY, line(120, 180)), scraped(MERGED, line(120, 180, 7))];
    // A counter that grows by one each second, from 0 to 180.
    expect(requests(both, other, back)).toBe(180 - 0 + requests(both) - 60);
  });

  it('that another job with labels of its own begins to scrape does not bring its whole life once more', () => {
    const first = [scraped(ENVOY, line(-15, 60))];
    const extra = { ...MERGED, container: 'istio-proxy' };
    const late = [scraped(ENVOY, line(45, 120)), scraped(extra, line(75, 120, 7))];
    // 120 by the one; by the other only what it saw grow, and nothing of the 182 that the counter had before.
    expect(requests(first, late)).toBeLessThanOrEqual(120 + 45);
    expect(requests(first, late)).toBeGreaterThanOrEqual(120);
  });

  it('that two replicas of a Prometheus scrape is counted once', () => {
    const replicas = ['a', 'b'].map((prometheus_replica) =>
      scraped({ ...ENVOY, prometheus_replica }, line(-15, 60, prometheus_replica === 'a' ? 0 : 3)),
    );
    expect(requests(replicas)).toBe(requests([scraped(ENVOY, line(-15, 60))]));
  });
});

it('two proxies are two, whoever scrapes them: by pod, and by address where no label names the pod', () => {
  const alone = requests([scraped(ENVOY, line(-15, 60))]);
  expect(requests([scraped(ENVOY, line(-15, 60)), scraped({ ...ENVOY, pod: 'shop-v2-b' }, line(-15, 60))])).toBe(
    2 * alone,
  );
  const addresses = ['10.0.0.1:15090', '10.0.0.2:15090'].map((instance) =>
    scraped({ job: 'envoy-stats', instance }, line(-15, 60)),
  );
  expect(requests(addresses)).toBe(2 * alone);
});
