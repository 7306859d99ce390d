/** What the guards ask of Prometheus, run by promtool. */
import { describe, it } from 'vitest';
import { DENIAL_VIEWS } from '../../src/adapters/guards/denials.ts';
import { proxyUsage } from '../../src/adapters/guards/proxy-resources.ts';
import { amplificationQuery } from '../../src/adapters/guards/retries.ts';
import type { ByService, View } from '../../src/adapters/mesh.ts';
import istio from '../../src/adapters/meshes/istio.ts';
import { errorsBefore, requestsBefore, servicesBefore, unreachedBefore } from '../../src/adapters/prometheus/before.ts';
import { shareQuery } from '../../src/adapters/prometheus/share-query.ts';
import { countsQuery, errorRatioQuery, servicesQuery } from '../../src/adapters/prometheus/templates.ts';
import { istioViews } from '../../src/adapters/series/istio.ts';
import { istioTarget, targetOf } from '../support/mesh-objects.ts';
import { promtool } from './promtool.ts';

const target = targetOf(istio, istioTarget());
const UP = { 'up{job="mesh"}': '1x400' };
const WINDOW = 120_000;
const [callers, pods] = istioViews as readonly [View, View];

const series = (labels: Record<string, string>): string =>
  `istio_requests_total{${Object.entries({
    reporter: 'destination',
    destination_workload: 'myapp-v2',
    destination_workload_namespace: 'production',
    response_code: '200',
    response_flags: '-',
    ...labels,
  })
    .map(([label, value]) => `${label}="${value}"`)
    .join(',')}}`;
const lost = (more: Record<string, string> = {}): string =>
  series({
    reporter: 'source',
    destination_workload: 'unknown',
    destination_workload_namespace: 'unknown',
    destination_service: 'myapp.production.svc.cluster.local',
    source_workload_namespace: 'production',
    response_code: '503',
    response_flags: 'UH',
    ...more,
  });

describe('denials', () => {
  it('are the 403 of the pods of a version, beside all that they were asked', () =>
    promtool({
      series: {
        ...UP,
        [series({})]: '0+15x80',
        [series({ response_code: '403' })]: '0+5x80',
        [series({ response_code: '403', reporter: 'source' })]: '0+5x80',
        [series({ destination_workload: 'myapp-v1' })]: '0+15x80',
      },
      expectations: [
        {
          expr: countsQuery(
            DENIAL_VIEWS.istio,
            { namespaces: ['production'], names: ['myapp-v1', 'myapp-v2'] },
            WINDOW,
          ),
          at: '10m',
          samples: {
            '{destination_workload="myapp-v1",destination_workload_namespace="production",counted="requests"}': 120,
            '{destination_workload="myapp-v2",destination_workload_namespace="production",counted="requests"}': 160,
            '{destination_workload="myapp-v2",destination_workload_namespace="production",counted="errors"}': 40,
          },
        },
        {
          expr: errorRatioQuery(DENIAL_VIEWS.istio, 'production', 'myapp-v2', WINDOW),
          at: '10m',
          samples: { '{}': 0.25 },
        },
        {
          expr: errorRatioQuery(DENIAL_VIEWS.istio, 'production', 'myapp-v1', WINDOW),
          at: '10m',
          samples: { '{}': 0 },
        },
        { expr: errorRatioQuery(DENIAL_VIEWS.istio, 'production', 'other', WINDOW), at: '10m', samples: {} },
      ],
    }));

  it('of Linkerd are counted apart from the responses, and are requests all the same', () => {
    const of = (deployment: string) => `namespace="production",deployment="${deployment}"`;
    return promtool({
      series: {
        ...UP,
        [`response_total{direction="inbound",${of('myapp-v2')},classification="success"}`]: '0+15x80',
        [`response_total{direction="inbound",${of('myapp-v2')},route_name="probe"}`]: '0+15x80',
        [`inbound_http_authz_deny_total{${of('myapp-v2')}}`]: '0+5x80',
      },
      expectations: [
        {
          expr: errorRatioQuery(DENIAL_VIEWS.linkerd, 'production', 'myapp-v2', WINDOW),
          at: '10m',
          samples: { '{}': 0.25 },
        },
      ],
    });
  });
});

describe('before the rollout', () => {
  // Ten minutes ago it began; since then everything is denied and everything is tried five times.
  const past = {
    ...UP,
    [series({ destination_workload: 'myapp-v1' })]: '0+9x240 2160+0x40',
    [series({ destination_workload: 'myapp-v1', response_code: '403' })]: '0+1x240 240+50x40',
    [series({ destination_workload: 'myapp-v1', reporter: 'source' })]: '0+5x240 1200+10x40',
  };
  const at = '70m';
  const AGO = 600_000;

  it('the stable version denied a part of its requests', () =>
    promtool({
      series: past,
      expectations: [
        { expr: errorsBefore(DENIAL_VIEWS.istio, target, AGO, 20), at, samples: { '{}': 0.1 } },
        { expr: errorsBefore(DENIAL_VIEWS.istio, target, AGO, 5_000), at, samples: {} },
        { expr: errorsBefore(DENIAL_VIEWS.istio, target, AGO, 20), at: '5m', samples: {} },
      ],
    }));

  it('its pods got a number of attempts for each request', () =>
    promtool({
      series: past,
      expectations: [
        { expr: requestsBefore(pods, callers, target, AGO, 50), at, samples: { '{}': 2 } },
        { expr: requestsBefore(pods, callers, target, AGO, 5_000), at, samples: {} },
      ],
    }));
});

describe('retries', () => {
  it('are the attempts that pods counted for each request that callers counted', () =>
    promtool({
      series: { ...UP, [series({})]: '0+29x80', [series({ reporter: 'source' })]: '0+10x80' },
      expectations: [
        { expr: amplificationQuery(callers, pods, target, 'myapp-v2', WINDOW), at: '10m', samples: { '{}': 2.9 } },
        { expr: amplificationQuery(callers, pods, target, 'myapp-v1', WINDOW), at: '10m', samples: {} },
      ],
    }));
});

describe('injected faults', () => {
  it('are the delays and aborts of callers’ proxies for the service, from the first one on, beside those of before', () => {
    const host = 'destination_service="myapp.production.svc.cluster.local",source_workload_namespace="production"';
    const injected = callers.injected as ByService;
    return promtool({
      series: {
        ...UP,
        // Since the step began a minute ago: aborts, which name no workload, and delays, which do.
        [lost({ response_flags: 'FI' })]: '_x39 7 7 7 7',
        [series({
          reporter: 'source',
          response_flags: 'DI',
          destination_service: 'myapp.production.svc.cluster.local',
          source_workload_namespace: 'production',
        })]: '_x39 5 5 5 5',
        [lost({ response_flags: 'UH' })]: '0+100x80',
        [lost({ response_flags: 'FI', destination_service: 'other.production.svc.cluster.local' })]: '0+9x80',
      },
      expectations: [
        { expr: servicesQuery(injected, ['myapp'], 60_000), at: '10m30s', samples: { [`{${host}}`]: 12 } },
        { expr: servicesBefore(injected, ['myapp'], 60_000, 60_000), at: '10m30s', samples: {} },
        {
          expr: servicesBefore(injected, ['other'], 60_000, 60_000),
          at: '10m30s',
          samples: {
            [`{${host.replace('myapp', 'other')}}`]: 36,
          },
        },
      ],
    });
  });
});

describe('requests that reached nobody', () => {
  it('are counted by the service that was called, beside what both versions got', () =>
    promtool({
      series: {
        ...UP,
        [series({ reporter: 'source' })]: '0+1x80',
        [series({ reporter: 'source', destination_workload: 'myapp-v1' })]: '0+15x80',
        [lost()]: '0+4x80',
        [lost({ destination_service: 'other.production.svc.cluster.local' })]: '0+4x80',
        [lost({ response_flags: 'FI' })]: '0+4x80',
      },
      expectations: [
        {
          expr: shareQuery([callers, pods], target, WINDOW),
          at: '10m',
          samples: {
            '{destination_workload="myapp-v1",destination_workload_namespace="production",counted="requests"}': 120,
            '{destination_workload="myapp-v2",destination_workload_namespace="production",counted="requests"}': 8,
            '{destination_service="myapp.production.svc.cluster.local",source_workload_namespace="production",counted="unreached"}': 32,
          },
        },
      ],
    }));

  it('before the rollout are a part of what was asked then, whatever came since', () =>
    promtool({
      series: {
        ...UP,
        [series({ reporter: 'source', destination_workload: 'myapp-v1' })]: '0+9x400',
        // One in ten for an hour; all of them since the rollout began ten minutes ago.
        [lost()]: '0+1x240 1000+100x40',
      },
      expectations: [
        { expr: unreachedBefore(callers, target, 600_000), at: '70m', samples: { '{}': 0.1 } },
        { expr: unreachedBefore(callers, target, 600_000), at: '5m', samples: {} },
      ],
    }));

  it('before the rollout were none, where nothing was lost then', () =>
    promtool({
      series: { ...UP, [series({ reporter: 'source', destination_workload: 'myapp-v1' })]: '0+9x400' },
      expectations: [{ expr: unreachedBefore(callers, target, 600_000), at: '70m', samples: { '{}': 0 } }],
    }));
});

describe('what a proxy uses', () => {
  const container = (metric: string, name: string, more = ''): string =>
    `${metric}{namespace="production",pod="myapp-v2-a",container="${name}"${more}}`;

  it('is cores and bytes at the 95th percentile, of the proxy alone, once however often it is scraped', () =>
    promtool({
      series: {
        [container('container_cpu_usage_seconds_total', 'istio-proxy')]: '0+6x40',
        [container('container_cpu_usage_seconds_total', 'istio-proxy', ',job="twice"')]: '0+6x40',
        [container('container_cpu_usage_seconds_total', 'app')]: '0+15x40',
        [container('container_memory_working_set_bytes', 'istio-proxy')]: '200000000x40',
        [container('container_memory_working_set_bytes', 'app')]: '900000000x40',
      },
      expectations: [
        {
          expr: proxyUsage('istio', 300_000).text(['production'], ['myapp-v2-a', 'myapp-v2-b']),
          at: '10m',
          samples: {
            '{namespace="production",pod="myapp-v2-a",resource="cpu"}': 0.4,
            '{namespace="production",pod="myapp-v2-a",resource="memory"}': 200_000_000,
          },
        },
        { expr: proxyUsage('linkerd', 300_000).text(['production'], ['myapp-v2-a']), at: '10m', samples: {} },
      ],
    }));
});
