import { describe, it } from 'vitest';
import { guardQueries, watchQueries } from '../../src/adapters/policies/metrics.ts';
import type { Scope } from '../../src/domain/migration/migration.ts';
import { promtool } from './promtool.ts';

const WORKLOAD: Scope = { kind: 'workload', namespace: 'production', deployment: 'myapp-v1', selector: {}, labels: {} };
const NAMESPACE: Scope = { kind: 'namespace', namespace: 'production' };
const WINDOW = 600_000;

const series = (metric: string, more: Record<string, string>): string => {
  const labels = Object.entries({
    reporter: 'destination',
    source_workload: 'frontend',
    source_workload_namespace: 'production',
    destination_workload: 'myapp-v1',
    destination_workload_namespace: 'production',
    destination_service: 'myapp.production.svc.cluster.local',
    connection_security_policy: 'mutual_tls',
    ...more,
  });
  return `${metric}{${labels.map(([label, value]) => `${label}="${value}"`).join(',')}}`;
};
const requests = (more: Record<string, string> = {}): string => series('istio_requests_total', more);
const plain = (source_workload: string, more: Record<string, string> = {}) => ({
  source_workload,
  connection_security_policy: 'none',
  ...more,
});
const named = (source: string, destination = 'myapp-v1'): string =>
  `{destination_workload="${destination}", destination_workload_namespace="production", source_workload="${source}", source_workload_namespace="production"}`;
const by = (source: string): string => `{source_workload="${source}", source_workload_namespace="production"}`;

describe('who calls in plaintext', () => {
  const guard = guardQueries(WORKLOAD, WINDOW);

  it('is told by the called proxies: who called, not who is silent, not who uses mTLS, not by the callers’ count', () =>
    promtool({
      interval: '60s',
      series: {
        [requests()]: '0+10x60',
        [requests(plain('legacy'))]: '0+2x60',
        [requests(plain('silent'))]: '7x60',
        [requests(plain('elsewhere', { destination_workload: 'shop' }))]: '0+5x60',
        [requests({ reporter: 'source', source_workload: 'x', connection_security_policy: 'unknown' })]: '0+5x60',
      },
      expectations: [
        { expr: guard.http, at: '60m', samples: { [named('legacy')]: 20 } },
        {
          expr: guardQueries(NAMESPACE, WINDOW).http,
          at: '60m',
          samples: { [named('legacy')]: 20, [named('elsewhere', 'shop')]: 50 },
        },
      ],
    }));

  it('names one whose only call made its series, which increase() does not see', () =>
    promtool({
      interval: '60s',
      series: { [requests(plain('once'))]: '_x55 1x5' },
      expectations: [
        { expr: guard.http, at: '60m', samples: { [named('once')]: 1 } },
        // Twenty minutes later it is neither new nor growing.
        { expr: guard.http, at: '80m', samples: {} },
      ],
    }));

  it('names TCP callers by new connections, and by what an old one still sends', () =>
    promtool({
      interval: '60s',
      series: {
        [series('istio_tcp_connections_opened_total', plain('fresh'))]: '0+1x60',
        [series('istio_tcp_connections_opened_total', plain('old'))]: '3x60',
        [series('istio_tcp_received_bytes_total', plain('old'))]: '0+60x60',
      },
      expectations: [
        { expr: guard.opened, at: '60m', samples: { [named('fresh')]: 10 } },
        { expr: guard.received, at: '60m', samples: { [named('old')]: 600 } },
      ],
    }));
});

describe('what fails under STRICT', () => {
  const watch = watchQueries(WORKLOAD, WINDOW);
  const source = (flags: string, more: Record<string, string> = {}) =>
    requests({
      reporter: 'source',
      connection_security_policy: 'unknown',
      response_code: '503',
      response_flags: flags,
      ...more,
    });

  it('is 503 with UF or URX as callers counted it, and no other 503', () =>
    promtool({
      interval: '60s',
      series: {
        [source('UF,URX')]: '0+3x60',
        [source('URX', { source_workload: 'batch' })]: '0+1x60',
        [source('-', { source_workload: 'app-error' })]: '0+9x60',
        [source('UF', { reporter: 'destination', source_workload: 'wrong-side' })]: '0+9x60',
      },
      expectations: [
        { expr: watch.failures[0] ?? '', at: '60m', samples: { [by('frontend')]: 30, [by('batch')]: 10 } },
      ],
    }));

  it('is measured against the calls of each caller, as it counted them itself', () =>
    promtool({
      interval: '60s',
      series: {
        [source('UF')]: '0+3x60',
        [source('-', { response_code: '200' })]: '0+57x60',
        [source('-', { response_code: '200', source_workload: 'batch' })]: '0+1x60',
        [source('-', { reporter: 'destination', source_workload: 'wrong-side' })]: '0+9x60',
      },
      expectations: [{ expr: watch.calls[0] ?? '', at: '60m', samples: { [by('frontend')]: 600, [by('batch')]: 10 } }],
    }));

  it('is also what reached no workload of a Service that leads to the scope', () =>
    promtool({
      interval: '60s',
      series: {
        [source('-', { response_code: '200' })]: '0+9x60',
        [source('UF', { destination_workload: 'unknown' })]: '0+2x60',
        [source('UF', { destination_workload: 'unknown', destination_service: 'shop', source_workload: 'b' })]:
          '0+2x60',
      },
      expectations: [{ expr: watch.unreached, at: '60m', samples: { [by('frontend')]: 20 } }],
    }));

  it('is measured against what still arrives of each caller, per second', () =>
    promtool({
      interval: '60s',
      series: { [requests()]: '0+60x60', [requests({ response_code: '500' })]: '0+60x60' },
      expectations: [{ expr: watch.arrived[0] ?? '', at: '60m', samples: { [by('frontend')]: 2 } }],
    }));
});
