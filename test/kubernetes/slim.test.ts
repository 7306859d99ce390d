/** What is kept of a watched object is enough for everybody who reads one. */
import { expect, test } from 'vitest';
import { slim } from '../../src/adapters/kubernetes/slim.ts';

const deployment = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: {
    name: 'myapp-v2',
    namespace: 'production',
    generation: 4,
    resourceVersion: '17',
    labels: { app: 'myapp' },
    annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{}' },
    managedFields: [{ manager: 'kubectl' }],
  },
  spec: { replicas: 3, selector: { matchLabels: { app: 'myapp' } }, template: { spec: { containers: [] } } },
  status: { readyReplicas: 3 },
};

test('a Deployment keeps what says whether it is settled, and loses its template, annotations and field managers', () => {
  expect(slim(deployment)).toEqual({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {
      name: 'myapp-v2',
      namespace: 'production',
      generation: 4,
      resourceVersion: '17',
      labels: { app: 'myapp' },
    },
    spec: { replicas: 3, selector: { matchLabels: { app: 'myapp' } } },
    status: { readyReplicas: 3 },
  });
});

test('the object that came is not changed', () => {
  const before = structuredClone(deployment);
  slim(deployment);
  expect(deployment).toEqual(before);
});

test.each([
  ['a route', { ...deployment, apiVersion: 'networking.istio.io/v1', kind: 'VirtualService' }],
  ['a Deployment of another group', { ...deployment, apiVersion: 'example.com/v1' }],
])('%s is kept as it came', (_, object) => {
  expect(slim(object)).toBe(object);
});
