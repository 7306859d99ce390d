import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import { amount, openPodMetrics } from '../../src/sandbox/pod-metrics.ts';
import { samples, total } from './objects.ts';

const pod = (name: string, workload: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'production', labels: { workload } },
  spec: {
    containers: [{ name: 'app', image: 'a:1' }],
    initContainers: [{ name: 'istio-proxy', image: 'p:1', resources: { limits: { cpu: '2', memory: '1Gi' } } }],
  },
  status: { initContainerStatuses: [{ name: 'istio-proxy', restartCount: 4 }] },
});

describe('quantities', () => {
  it.each([
    ['100m', 0.1],
    ['2', 2],
    ['0.5', 0.5],
    ['128Mi', 134_217_728],
    ['1G', 1e9],
    ['much', undefined],
    ['1Xi', undefined],
  ])('%s is %s', (text, value) => expect(amount(text)).toBe(value));
});

describe('metrics of pods', () => {
  it('add up the CPU that was used at each rate, and go with the pod', () => {
    let now = 0;
    const metrics = openPodMetrics(
      () => now,
      ({ metadata }) => metadata.labels?.['workload'] ?? '',
    );
    metrics.set('v2', 'istio-proxy', { cpu: 0.1 });
    metrics.observe([pod('a', 'v1'), pod('b', 'v2')]);
    now = 10_000;
    metrics.set('v2', 'istio-proxy', { cpu: 0.5, memory: 7 });
    now = 20_000;
    const proxy = { pod: 'b', container: 'istio-proxy' };
    const seen = samples(metrics.text());
    expect(total(seen, 'container_cpu_usage_seconds_total', proxy)).toBeCloseTo(6);
    expect(total(seen, 'container_memory_working_set_bytes', proxy)).toBe(7);
    expect(total(seen, 'kube_pod_container_status_restarts_total', proxy)).toBe(4);
    expect(total(seen, 'kube_pod_container_resource_limits', { ...proxy, resource: 'memory' })).toBe(1024 ** 3);
    expect(total(seen, 'kube_pod_container_resource_limits', { ...proxy, resource: 'cpu', unit: 'core' })).toBe(2);
    expect(total(seen, 'container_cpu_usage_seconds_total', { pod: 'a', container: 'istio-proxy' })).toBeCloseTo(0.1);
    metrics.observe([pod('a', 'v1')]);
    expect(samples(metrics.text()).some(({ labels }) => labels['pod'] === 'b')).toBe(false);
  });
});
