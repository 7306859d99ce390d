import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type OpenedKube, openKube } from '../../src/adapters/kubernetes/client.ts';
import { readWorkload } from '../../src/adapters/kubernetes/workloads.ts';
import { type JsonObject, type KubeApi, startKubeApi } from '../../src/sandbox/kube-api/index.ts';
import { type DeploymentState, deployment, pod } from '../support/kube-objects.ts';

const NOW = Date.parse('2026-03-01T12:00:00Z');
const minutesAgo = (minutes: number): string => new Date(NOW - minutes * 60_000).toISOString();
const ONE_NOT_READY = { replicas: 2, updatedReplicas: 2, readyReplicas: 1 };

let api: KubeApi;
let kube: OpenedKube;
beforeEach(async () => {
  api = await startKubeApi();
  kube = await openKube({ cluster: 'default', kubeconfig: api.kubeconfig(), timeoutMs: 500 });
});
afterEach(async () => {
  kube.close();
  await api.stop();
});

const read = () => readWorkload(kube, 'production', 'myapp-v2', { now: NOW });
const podLists = (): number => api.requests.count('list', 'pods');

describe('settled', () => {
  const rows: readonly [string, DeploymentState, boolean][] = [
    ['every wanted pod is new and ready', {}, true],
    ['no pod is wanted and none is there', { replicas: 0, status: {} }, true],
    [
      'the controller has not seen the newest spec',
      { generation: 3, status: { ...settledAt(2), observedGeneration: 2 } },
      false,
    ],
    ['a pod is not ready', { status: ONE_NOT_READY }, false],
    ['a pod is of an older template', { status: { replicas: 2, updatedReplicas: 1, readyReplicas: 2 } }, false],
    ['an older pod is left over', { status: { replicas: 3, updatedReplicas: 2, readyReplicas: 2 } }, false],
    ['more is wanted than there is', { replicas: 3, status: settledAt(2) }, false],
    ['the status is still empty', { status: {} }, false],
  ];
  it.each(rows)('%s', async (_, state, settled) => {
    api.put(deployment('myapp-v2', state));
    expect(await read()).toMatchObject({ ok: true, name: 'myapp-v2', settled, crash: null });
    expect(podLists()).toBe(settled ? 0 : 1);
  });

  it('replicas is 1 where the spec does not say', async () => {
    const object = deployment('myapp-v2', { replicas: 1 });
    const { replicas: _, ...spec } = object['spec'] as JsonObject;
    api.put({ ...object, spec });
    expect(await read()).toMatchObject({ replicas: 1, ready: 1, settled: true });
  });

  it('counts wanted and ready pods', async () => {
    api.put(deployment('myapp-v2', { status: ONE_NOT_READY }));
    expect(await read()).toMatchObject({ replicas: 2, ready: 1, settled: false });
  });
});

function settledAt(replicas: number): JsonObject {
  return { replicas, updatedReplicas: replicas, readyReplicas: replicas };
}

interface PodRow {
  readonly what: string;
  readonly status: JsonObject;
  readonly reason: string | null;
  readonly says?: string;
  readonly fatal?: boolean;
}

const app = (state: JsonObject, more: JsonObject = {}): JsonObject => ({
  containerStatuses: [{ name: 'app', ready: false, restartCount: 0, state, ...more }],
});
const waiting = (reason: string, message: string): JsonObject => ({ waiting: { reason, message } });
const died = (exitCode: number, reason: string, minutes: number): JsonObject => ({
  terminated: { exitCode, reason, finishedAt: minutesAgo(minutes) },
});
const BACK_OFF = 'back-off 40s restarting failed container=app pod=myapp-v2-x';

const PODS: readonly PodRow[] = [
  {
    what: 'running and ready',
    status: {
      containerStatuses: [
        { name: 'app', ready: true, restartCount: 9, state: { running: {} }, lastState: died(1, 'Error', 1) },
      ],
    },
    reason: null,
  },
  { what: 'on its way', status: app({ waiting: { reason: 'ContainerCreating' } }), reason: null },
  { what: 'running, not ready yet', status: app({ running: { startedAt: minutesAgo(1) } }), reason: null },
  {
    what: 'crash loop',
    status: app(waiting('CrashLoopBackOff', BACK_OFF), { restartCount: 4, lastState: died(1, 'Error', 1) }),
    reason: 'CrashLoopBackOff',
    says: `pod myapp-v2-x: CrashLoopBackOff: ${BACK_OFF}; container app: last exit 1 (Error), 4 restarts`,
    fatal: true,
  },
  {
    what: 'crash loop by memory',
    status: app(waiting('CrashLoopBackOff', BACK_OFF), { restartCount: 1, lastState: died(137, 'OOMKilled', 1) }),
    reason: 'CrashLoopBackOff',
    says: 'last exit 137 (OOMKilled), 1 restart',
    fatal: true,
  },
  {
    what: 'crash loop of an init container',
    status: {
      initContainerStatuses: [
        { name: 'migrate', restartCount: 5, state: waiting('CrashLoopBackOff', 'back-off 2m40s') },
      ],
    },
    reason: 'CrashLoopBackOff',
    says: 'container migrate: 5 restarts',
    fatal: true,
  },
  {
    what: 'crash loop of the proxy as a sidecar that is ready otherwise',
    status: {
      initContainerStatuses: [
        { name: 'istio-proxy', ready: false, restartCount: 3, state: waiting('CrashLoopBackOff', 'back-off 40s') },
      ],
      containerStatuses: [{ name: 'app', ready: true, state: { running: {} } }],
    },
    reason: 'CrashLoopBackOff',
    says: 'container istio-proxy',
    fatal: true,
  },
  {
    what: 'between two back-offs: running, died 3 times, the last time a minute ago',
    status: app({ running: {} }, { restartCount: 3, lastState: died(1, 'Error', 1) }),
    reason: 'Error',
    says: 'restarts again and again; container app: last exit 1 (Error), 3 restarts',
    fatal: true,
  },
  {
    what: 'ends well again and again',
    status: app({ running: {} }, { restartCount: 6, lastState: died(0, 'Completed', 1) }),
    reason: 'Completed',
    says: 'last exit 0 (Completed), 6 restarts',
    fatal: true,
  },
  {
    what: 'died 3 times, the last time 11 minutes ago',
    status: app({ running: {} }, { restartCount: 3, lastState: died(1, 'Error', 11) }),
    reason: 'Error',
    fatal: false,
  },
  {
    what: 'died twice',
    status: app({ running: {} }, { restartCount: 2, lastState: died(1, 'Error', 1) }),
    reason: 'Error',
    says: 'last exit 1 (Error), 2 restarts',
    fatal: false,
  },
  {
    what: 'has just died',
    status: app(died(137, 'OOMKilled', 0)),
    reason: 'OOMKilled',
    says: 'container app: last exit 137 (OOMKilled)',
    fatal: false,
  },
  {
    what: 'no image',
    status: app(waiting('ErrImagePull', 'manifest unknown')),
    reason: 'ErrImagePull',
    says: 'manifest unknown',
    fatal: false,
  },
  {
    what: 'no image, waiting',
    status: app(waiting('ImagePullBackOff', 'Back-off pulling image "x:9"')),
    reason: 'ImagePullBackOff',
    says: 'Back-off pulling image "x:9"',
    fatal: false,
  },
  {
    what: 'bad image name',
    status: app(waiting('InvalidImageName', 'couldn’t parse image')),
    reason: 'InvalidImageName',
    fatal: false,
  },
  {
    what: 'no config',
    status: app(waiting('CreateContainerConfigError', 'secret "db" not found')),
    reason: 'CreateContainerConfigError',
    says: 'secret "db" not found',
    fatal: false,
  },
  {
    what: 'no node',
    status: {
      phase: 'Pending',
      conditions: [
        {
          type: 'PodScheduled',
          status: 'False',
          reason: 'Unschedulable',
          message: '0/3 nodes are available: 3 Insufficient cpu.',
        },
      ],
    },
    reason: 'Unschedulable',
    says: '0/3 nodes are available: 3 Insufficient cpu.',
    fatal: false,
  },
  {
    what: 'evicted',
    status: { phase: 'Failed', reason: 'Evicted', message: 'The node was low on resource: memory.' },
    reason: 'Evicted',
    says: 'low on resource',
    fatal: false,
  },
  {
    what: 'an init container that is done',
    status: {
      initContainerStatuses: [{ name: 'migrate', ready: true, restartCount: 0, state: died(0, 'Completed', 1) }],
      containerStatuses: [{ name: 'app', ready: false, state: { running: {} } }],
    },
    reason: null,
  },
];

describe('a pod that is not ready speaks for itself', () => {
  it.each(PODS)('$what', async ({ status, reason, says = '', fatal }) => {
    api.put(deployment('myapp-v2', { status: ONE_NOT_READY }));
    api.put(pod('myapp-v2-x', 'myapp-v2', status));
    api.put(
      pod('myapp-v2-y', 'myapp-v2', { containerStatuses: [{ name: 'app', ready: true, state: { running: {} } }] }),
    );
    const workload = await read();
    if (reason === null) expect(workload).toMatchObject({ ok: true, crash: null });
    else {
      expect(workload).toMatchObject({ ok: true, crash: { reason, fatal, message: expect.stringContaining(says) } });
      expect(workload).toMatchObject({ crash: { message: expect.stringContaining('pod myapp-v2-x: ') } });
    }
  });

  it('the worst pod is quoted', async () => {
    api.put(deployment('myapp-v2', { status: ONE_NOT_READY }));
    api.put(pod('a', 'myapp-v2', app(waiting('ImagePullBackOff', ''))));
    api.put(pod('b', 'myapp-v2', app(waiting('CrashLoopBackOff', ''))));
    api.put(pod('c', 'myapp-v2', { phase: 'Failed', reason: 'Evicted' }));
    expect(await read()).toMatchObject({
      crash: { reason: 'CrashLoopBackOff', fatal: true, message: expect.stringMatching(/^pod b: /) },
    });
  });

  it('pods of another Deployment say nothing about this one', async () => {
    api.put(deployment('myapp-v2', { status: ONE_NOT_READY }));
    api.put(pod('myapp-v1-x', 'myapp-v1', app(waiting('CrashLoopBackOff', ''))));
    expect(await read()).toMatchObject({ settled: false, crash: null });
  });

  it('a terminating pod no longer counts', async () => {
    api.put(deployment('myapp-v2', { status: ONE_NOT_READY }));
    api.put(pod('old', 'myapp-v2', app(waiting('CrashLoopBackOff', '')), { terminating: minutesAgo(1) }));
    expect(await read()).toMatchObject({ crash: null });
  });

  it('the crash loop of an older template is told, and not fatal while a newer one comes up', async () => {
    api.put(deployment('myapp-v2', { status: ONE_NOT_READY }));
    api.put(pod('old', 'myapp-v2', app(waiting('CrashLoopBackOff', '')), { hash: 'a', created: minutesAgo(30) }));
    api.put(pod('new', 'myapp-v2', app({ running: {} }), { hash: 'b', created: minutesAgo(1) }));
    expect(await read()).toMatchObject({ crash: { reason: 'CrashLoopBackOff', fatal: false } });
    api.put(pod('new', 'myapp-v2', app(waiting('CrashLoopBackOff', '')), { hash: 'b', created: minutesAgo(1) }));
    expect(await read()).toMatchObject({ crash: { fatal: true, message: expect.stringMatching(/^pod new: /) } });
  });

  it('a crash loop is seen by the first look after it began', async () => {
    api.put(deployment('myapp-v2'));
    expect(await read()).toMatchObject({ settled: true, crash: null });
    api.put(deployment('myapp-v2', { status: ONE_NOT_READY }));
    api.put(pod('myapp-v2-x', 'myapp-v2', app(waiting('CrashLoopBackOff', ''))));
    expect(await read()).toMatchObject({ settled: false, crash: { fatal: true } });
  });

  it('pods that cannot be created at all: the Deployment says why', async () => {
    const conditions = [
      {
        type: 'ReplicaFailure',
        status: 'True',
        reason: 'FailedCreate',
        message: 'pods "x" is forbidden: exceeded quota',
      },
    ];
    api.put(deployment('myapp-v2', { status: { replicas: 0, conditions } }));
    expect(await read()).toMatchObject({
      crash: { reason: 'FailedCreate', fatal: false, message: expect.stringContaining('exceeded quota') },
    });
  });

  it('expressions of the selector are understood', async () => {
    const object = deployment('myapp-v2', { status: ONE_NOT_READY });
    const matchExpressions = [
      { key: 'app', operator: 'In', values: ['myapp-v2', 'x'] },
      { key: 'job', operator: 'DoesNotExist' },
      { key: 'pod-template-hash', operator: 'Exists' },
      { key: 'app', operator: 'NotIn', values: ['y'] },
    ];
    api.put({ ...object, spec: { ...(object['spec'] as JsonObject), selector: { matchExpressions } } });
    api.put(pod('other', 'y', app(waiting('CrashLoopBackOff', ''))));
    expect(await read()).toMatchObject({ crash: null });
    api.put(pod('own', 'myapp-v2', app(waiting('CrashLoopBackOff', ''))));
    expect(await read()).toMatchObject({ crash: { fatal: true } });
  });
});

describe('trouble', () => {
  it('a Deployment that is not there', async () => {
    expect(await read()).toMatchObject({
      ok: false,
      name: 'myapp-v2',
      code: 'not_found',
      message: expect.stringContaining('production/myapp-v2'),
    });
  });

  it.each([
    [403, 'forbidden'],
    [401, 'unauthorized'],
    [500, 'unavailable'],
    [429, 'unavailable'],
  ] as const)('HTTP %i is %s', async (status, code) => {
    api.put(deployment('myapp-v2'));
    api.fail({ path: 'deployments', status });
    expect(await read()).toMatchObject({ ok: false, code });
  });

  it('no answer is timeout', async () => {
    api.put(deployment('myapp-v2'));
    api.fail({ path: 'deployments', hang: true });
    expect(await read()).toMatchObject({ ok: false, code: 'timeout' });
  });

  it('pods that cannot be listed are no crash, and the reason is told', async () => {
    api.put(deployment('myapp-v2', { status: ONE_NOT_READY }));
    api.fail({ verb: 'list', path: 'pods', status: 403 });
    expect(await read()).toMatchObject({
      ok: true,
      settled: false,
      crash: {
        reason: 'PodsUnknown',
        fatal: false,
        message: expect.stringContaining('resources: ["pods"], verbs: ["list"]'),
      },
    });
  });
});
