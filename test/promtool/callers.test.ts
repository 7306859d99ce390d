import { describe, it } from 'vitest';
import { callersQuery, p99Query } from '../../src/adapters/inspect/istio/callers.ts';
import istio from '../../src/adapters/meshes/istio.ts';
import { istioTarget, targetOf } from '../support/mesh-objects.ts';
import { promtool } from './promtool.ts';

const target = targetOf(istio, istioTarget());
const labels = (more: Record<string, string>): string =>
  Object.entries({
    destination_workload: 'myapp-v1',
    destination_workload_namespace: 'production',
    reporter: 'destination',
    ...more,
  })
    .map(([label, value]) => `${label}="${value}"`)
    .join(',');
const requests = (account: string, more: Record<string, string> = {}): string =>
  `istio_requests_total{${labels({
    response_code: '200',
    source_principal: `spiffe://cluster.local/ns/production/sa/${account}`,
    source_workload: account,
    source_workload_namespace: 'production',
    ...more,
  })}}`;

describe('what the mesh checks ask of Prometheus', () => {
  it('are the callers of the last hour that were let in, whatever they were answered', () =>
    promtool({
      interval: '60s',
      series: {
        [requests('frontend')]: '0+2x70',
        [requests('frontend', { response_code: '503' })]: '0+1x70',
        [requests('denied', { response_code: '403' })]: '0+5x70',
        [requests('silent')]: '7x70',
        [requests('other', { destination_workload: 'myapp-v2' })]: '0+5x70',
        [requests('seen-by-caller', { reporter: 'source' })]: '0+5x70',
      },
      expectations: [
        {
          expr: callersQuery(target),
          at: '70m',
          samples: {
            '{source_principal="spiffe://cluster.local/ns/production/sa/frontend", source_workload="frontend", source_workload_namespace="production"}': 180,
          },
        },
      ],
    }));

  it('is the latency that 99 % of its answers stay below, in milliseconds', () => {
    const bucket = (le: string): string => `istio_request_duration_milliseconds_bucket{${labels({ le })}}`;
    return promtool({
      interval: '60s',
      series: { [bucket('100')]: '0+98x70', [bucket('500')]: '0+100x70', [bucket('+Inf')]: '0+100x70' },
      expectations: [{ expr: `round(${p99Query(target)})`, at: '70m', samples: { '{}': 300 } }],
    });
  });

  it('is nothing of a version without requests', () =>
    promtool({
      series: { [requests('frontend', { destination_workload: 'shop' })]: '0+1x300' },
      expectations: [
        { expr: callersQuery(target), at: '70m', samples: {} },
        { expr: p99Query(target), at: '70m', samples: {} },
      ],
    }));
});
