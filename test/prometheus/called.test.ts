/** Which Service a lost request was for. */
import { expect, test } from 'vitest';
import { calledBy, calledFor } from '../../src/adapters/prometheus/called.ts';
import { istioViews } from '../../src/adapters/series/istio.ts';
import type { Target } from '../../src/domain/plan.ts';
import { fakePrometheus, success } from '../support/prometheus-fake.ts';
import { open, shop } from '../support/prometheus-target.ts';

const hosts = ['host', 'service'];
const unreached = { metric: 'm', matchers: [], labels: { host: 'h', caller: 'c' }, hosts };
const at = (name: string, namespace = 'production') => ({ name, namespace });

test.each([
  ['shop', at('shop', 'web')],
  ['shop:8080', at('shop', 'web')],
  ['shop.production', at('shop')],
  ['shop.production.svc', at('shop')],
  ['shop.production.svc.cluster.local', at('shop')],
  ['shop.production.svc.corp.example:80', at('shop')],
  ['shop.example.com', null],
  ['10.0.0.7:80', null],
  ['', null],
])('%s, called from namespace web', (host, expected) => {
  expect(calledBy(host, 'web')).toEqual(expected);
});

test.each<[string, Partial<Target>, readonly object[]]>([
  ['subsets of one host', {}, [at('shop')]],
  ['the host in full', { canary: { deployment: 'b', host: 'shop.production.svc.cluster.local' } }, [at('shop')]],
  ['hosts of their own', { canary: { deployment: 'b', host: 'shop-v2' } }, [at('shop-v2'), at('shop')]],
  ['Services of their own', { canary: { deployment: 'b', service: 'shop-v2' } }, [at('shop-v2'), at('shop')]],
  ['a host elsewhere', { canary: { deployment: 'b', host: 'shop.example.com' } }, [at('shop')]],
])('the canary of a target with %s is called', (_name, target, expected) => {
  expect(calledFor(unreached, shop(target))).toEqual(expected);
});

test('lost requests are added up by service, and only where they are for this one', async () => {
  const row = (host: string, caller: string, value: string) =>
    [{ destination_service: host, source_workload_namespace: caller, counted: 'unreached' }, value] as const;
  const prometheus = await fakePrometheus(
    success([
      [{ destination_workload_namespace: 'production', destination_workload: 'shop-v1', counted: 'requests' }, '300'],
      [{ destination_workload_namespace: 'production', destination_workload: 'shop-v2', counted: 'requests' }, '100'],
      row('shop.production.svc.cluster.local', 'web', '1'),
      row('shop.production.svc.cluster.local', 'other', '2'),
      row('shop.production:80', 'web', '4'),
      row('shop', 'production', '8'),
      row('shop', 'web', '1000'),
      row('shop.staging.svc.cluster.local', 'production', '1000'),
      row('shop.example.com', 'production', '1000'),
    ]),
  );
  const share = await open(prometheus.url, { viewsOf: () => istioViews }).share(shop(), 30_000);
  const { requests } = prometheus;
  await prometheus.stop();
  expect(share).toEqual({ share: 0.25, samples: 400, unreached: 15 });
  // One query: that of the counts.
  expect(requests).toHaveLength(1);
});

test('a service of which nobody is reached has a reading', async () => {
  const labels = { destination_service: 'shop', source_workload_namespace: 'production', counted: 'unreached' };
  const prometheus = await fakePrometheus(success([[labels, '7']]));
  const share = await open(prometheus.url).share(shop(), 30_000);
  await prometheus.stop();
  expect(share).toEqual({ share: 0, samples: 0, unreached: 7 });
});
