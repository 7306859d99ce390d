/** Targets, views and providers for tests of the Prometheus provider. */
import prometheus, { type PrometheusOptions } from '../../src/adapters/metrics/prometheus.ts';
import { istioCounting, istioViews } from '../../src/adapters/series/istio.ts';
import type { Logger, MetricsProvider } from '../../src/app/ports.ts';
import type { Target } from '../../src/domain/plan.ts';

export const shop = (more: Partial<Target> = {}): Target => ({
  cluster: 'default',
  namespace: 'production',
  service: 'shop',
  mesh: 'istio',
  stable: { host: 'shop', subset: 'v1', deployment: 'shop-v1' },
  canary: { host: 'shop', subset: 'v2', deployment: 'shop-v2' },
  ...more,
});

/** Each target with names of its own. */
export const numbered = (n: number): Target =>
  shop({ service: `s${n}`, stable: { deployment: `s${n}-v1` }, canary: { deployment: `s${n}-v2` } });

export const silent: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silent,
};

export const open = (url: string, more: Partial<PrometheusOptions> = {}): MetricsProvider =>
  prometheus.open({
    url,
    viewsOf: () => istioViews,
    countingOf: () => istioCounting,
    recorder: { metricsQuery: () => {} },
    log: silent,
    ...more,
  });
