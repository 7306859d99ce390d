/** The whole service with Kiali and Jaeger beside it: composed from settings, on a real Postgres and an API server in process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Service } from '../../src/compose.ts';
import { isLive, statusOf } from '../../src/domain/rollout.ts';
import { type JaegerFake, jaegerFake } from '../support/jaeger-fake.ts';
import { type KialiFake, kialiFake } from '../support/kiali-fake.ts';
import { istioTarget } from '../support/mesh-objects.ts';
import { seedCluster } from '../support/seed-cluster.ts';
import { planOf, type Whole, wholeService } from '../support/whole-service.ts';

const PRINCIPAL = { id: 't', name: 'token test', role: 'admin' as const };
const plan = planOf(istioTarget(), [{ weight: 20, hold: '10m' }], {
  analysis: { interval: '1s', evidence: { mode: 'off' }, checks: [] },
});

let kiali: KialiFake;
let jaeger: JaegerFake;
let whole: Whole;
let service: Service;
let child: ChildProcess | null = null;

beforeAll(async () => {
  [kiali, jaeger] = await Promise.all([kialiFake({ generation: 2 }), jaegerFake({ version: '2.21' })]);
  whole = await wholeService({
    objects: await seedCluster('istio'),
    clusters: [
      {
        prometheus: { url: 'http://127.0.0.1:9', timeoutMs: 200 },
        kiali: {
          url: kiali.url,
          publicUrl: 'https://kiali.example.com',
          objectPath: 'gvk',
          validations: true,
          token: null,
        },
        jaeger: { url: jaeger.url, publicUrl: 'https://jaeger.example.com', api: 'auto', auth: null },
      },
    ],
    works: false,
  });
  service = whole.service;
});
afterAll(async () => {
  child?.kill('SIGKILL');
  await whole?.close();
  await Promise.all([kiali?.close(), jaeger?.close()]);
});

async function workerProcess(): Promise<ChildProcess> {
  const script = new URL('../support/crash-worker.ts', import.meta.url).pathname;
  const started = spawn(
    process.execPath,
    [script, JSON.stringify({ settings: whole.settings, place: 'nowhere', nth: 1 })],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  await once(started.stdout as NodeJS.EventEmitter, 'data');
  return started;
}

async function until<T>(look: () => Promise<T | null>, within = 30_000): Promise<T> {
  for (const end = Date.now() + within; Date.now() < end; await sleep(100)) {
    const found = await look();
    if (found !== null) return found;
  }
  throw new Error('it did not come about in time');
}

describe('with Kiali and Jaeger', () => {
  it('a plan is refused for what Kiali calls an error, and nothing is written', async () => {
    kiali.route = [{ code: 'KIA1107', severity: 'error', message: 'KIA1107 Subset not found' }];
    const refused = await service.useCases.start(plan, PRINCIPAL, null);
    kiali.route = [];
    expect(refused).toMatchObject({
      kind: 'preflight_failed',
      findings: expect.arrayContaining([expect.objectContaining({ check: 'kiali.KIA1107', level: 'fail' })]),
    });
    expect((await service.useCases.list({}, 10, null)).items).toEqual([]);
  });

  it('a rollback waits for nobody, and its traces are kept though the worker that began it was killed', async () => {
    const { useCases } = service;
    jaeger.trouble = 'hangs';
    child = await workerProcess();
    const started = await useCases.start(plan, PRINCIPAL, null);
    if (started.kind !== 'created') throw new Error(JSON.stringify(started));
    const { id } = started.rollout;
    await until(async () => ((await useCases.get(id))?.observedWeight === 20 ? true : null));
    const failing = {
      traceId: 'ab'.repeat(16),
      service: 'myapp.production',
      start: Date.now(),
      tags: { error: true, 'http.status_code': 503, 'istio.canonical_revision': 'v2' },
    };
    jaeger.spans = [
      failing,
      { ...failing, traceId: 'cd'.repeat(16), tags: { ...failing.tags, 'istio.canonical_revision': 'v1' } },
    ];

    kiali.health = {
      service: { myapp: { requests: { inbound: { http: { 200: 9, 503: 1 } } }, status: { status: 'Degraded' } } },
      workload: {
        'myapp-v2': {
          requests: { inbound: { http: { 503: 1 } } },
          workloadStatus: { desiredReplicas: 1, availableReplicas: 1 },
          status: { status: 'Failure' },
        },
      },
    };
    await useCases.command(id, { name: 'abort', reason: 'it fails' }, PRINCIPAL, {});
    const ended = await until(async () => {
      const rollout = await useCases.get(id);
      return rollout !== null && !isLive(rollout) ? rollout : null;
    }, 8_000);
    expect(statusOf(ended)).toBe('aborted');
    expect(await useCases.traces(id)).toEqual({ traces: [], search: null, waiting: true });

    // Kiali tells of now: it is asked at once, while the search for traces still waits.
    await until(async () => ((await useCases.meshHealth(id)).snapshot === null ? null : true));
    child.kill('SIGKILL');
    await once(child, 'exit');
    jaeger.trouble = 'none';
    const worker = service.startWorker();
    const { traces } = await until(async () => {
      const kept = await useCases.traces(id);
      return kept.traces.length > 0 ? kept : null;
    });
    await worker.stop(2_000);
    expect(traces).toMatchObject([
      { traceId: 'ab'.repeat(16), status: 'HTTP 503', link: `https://jaeger.example.com/trace/${'ab'.repeat(16)}` },
    ]);
    const { snapshot, waiting } = await useCases.meshHealth(id);
    expect(waiting).toBe(false);
    expect(snapshot).toMatchObject({
      result: 'taken',
      message:
        'service myapp: Degraded, 10 requests/s, 10 % of them failed; workload myapp-v2: Failure, 1 requests/s, 100 % of them failed, 1 of 1 pods available',
      canary: { requests: 1, failed: 1, pods: { wanted: 1, available: 1 }, status: 'Failure' },
      link: 'https://kiali.example.com/console/namespaces/production/services/myapp',
    });
    const began = (await useCases.facts(id, 0, 50)).find(({ type }) => type === 'rollback_started');
    expect(snapshot?.at).toBeGreaterThanOrEqual(began?.at ?? Number.NaN);
    expect(useCases.outside?.(ended)).toMatchObject({
      kiali: {
        object:
          'https://kiali.example.com/console/namespaces/production/istio/networking.istio.io/v1/VirtualService/myapp',
      },
      jaeger: {
        search: expect.stringMatching(/^https:\/\/jaeger\.example\.com\/search\?.*&end=\d+/),
        trace: 'https://jaeger.example.com/trace/',
      },
    });
  });
});
