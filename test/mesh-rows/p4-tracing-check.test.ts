/** Practice 4: is the mesh traced, and can what Sluice itself did be followed from the history to a trace. In full: test/telemetry/whole.test.ts. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Unread } from '../../src/adapters/inspect/check.ts';
import check from '../../src/adapters/inspect/checks/tracing.ts';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import { openTracing } from '../../src/telemetry/tracing.ts';
import { istioTarget, type Loose } from '../support/mesh-objects.ts';
import { type OtlpReceiver, otlpReceiver } from '../support/otlp-receiver.ts';
import { seedCluster } from '../support/seed-cluster.ts';
import { type Around, bothVersions, expectOne, object, run, statuses, surroundings } from '../support/surroundings.ts';
import { planOf, type Whole, wholeService } from '../support/whole-service.ts';

const telemetry = (tracing: readonly Loose[], namespace = 'istio-system', more: Loose = {}): KubeObject =>
  object('telemetry.istio.io/v1', 'Telemetry', 'tracing', { tracing, ...more }, namespace);
const config = (mesh: string): KubeObject => ({
  ...object('v1', 'ConfigMap', 'istio', {}, 'istio-system'),
  data: { mesh },
});
const jaeger = { providers: [{ name: 'jaeger' }] };
const WITH_JAEGER = 'extensionProviders: [{ name: jaeger, opentelemetry: { service: jaeger, port: 4317 } }]';
const look = (objects: readonly KubeObject[], around: Around = {}) =>
  run(check, surroundings([...objects, ...bothVersions()], around));

describe('tracing', () => {
  it.each([
    ['by a Telemetry of the mesh', [telemetry([{ ...jaeger, randomSamplingPercentage: 10 }]), config(WITH_JAEGER)], 10],
    ['by a provider with the default sampling', [telemetry([jaeger]), config(WITH_JAEGER)], 1],
    [
      'by the default provider',
      [config('defaultProviders: { tracing: [jaeger] }\ndefaultConfig: { tracing: { sampling: 5 } }')],
      5,
    ],
    [
      'by an address in the proxies’ configuration',
      [config('defaultConfig: { tracing: { zipkin: { address: "zipkin:9411" } } }')],
      1,
    ],
    [
      'by the namespace before the mesh, field by field',
      [
        telemetry([{ randomSamplingPercentage: 50 }], 'production'),
        telemetry([{ ...jaeger, randomSamplingPercentage: 0 }]),
        config(WITH_JAEGER),
      ],
      50,
    ],
    [
      'by the workload before the namespace',
      [
        {
          ...telemetry([{ randomSamplingPercentage: 100 }], 'production', {
            selector: { matchLabels: { version: 'v2' } },
          }),
          metadata: { name: 'own', namespace: 'production' },
        },
        telemetry([{ ...jaeger, randomSamplingPercentage: 0 }], 'production'),
        config(WITH_JAEGER),
      ],
      100,
    ],
  ])('%s passes', async (_, objects, sampling) => {
    const results = await look(objects);
    expect(statuses(results)).toEqual(['pass']);
    expect(results[0]?.evidence).toMatchObject({ sampling });
  });

  it('of 1 % says what a missing trace does not mean', async () => {
    const [one] = await look([telemetry([{ ...jaeger, randomSamplingPercentage: 1 }]), config(WITH_JAEGER)]);
    expect(one?.message).toMatch(/1 % of the requests: where no failing trace is found, none may have been sampled/);
  });

  it('without a provider is warned of', async () => {
    for (const mesh of [
      '{}',
      WITH_JAEGER,
      'enableTracing: false\ndefaultConfig: { tracing: { zipkin: { address: "zipkin:9411" } } }',
    ])
      expectOne(await look([config(mesh)]), 'warn', {
        object: 'namespace production',
        field: 'spec.tracing',
        says: /meshConfig\.defaultProviders\.tracing/,
        remedy: /kind: Telemetry\nmetadata: \{ name: tracing, namespace: production \}[\s\S]*name: jaeger/,
      });
  });

  it.each([
    [
      'that is sampled at 0 %',
      [{ ...jaeger, randomSamplingPercentage: 0 }],
      'spec.tracing[].randomSamplingPercentage',
      'Set spec.tracing[].randomSamplingPercentage',
    ],
    [
      'that reports no span',
      [{ ...jaeger, disableSpanReporting: true }],
      'spec.tracing[].disableSpanReporting',
      'Remove spec.tracing[].disableSpanReporting',
    ],
    [
      'by a provider that the mesh does not have',
      [{ providers: [{ name: 'tempo' }] }],
      'spec.tracing[].providers',
      'Add tempo to meshConfig.extensionProviders',
    ],
  ])('%s is warned of', async (_, tracing, field, remedy) => {
    expectOne(await look([telemetry(tracing), config(WITH_JAEGER)]), 'warn', {
      object: 'Telemetry istio-system/tracing',
      field,
      remedy,
    });
  });

  it('for callers alone says nothing of the versions', async () => {
    const mine = telemetry([{ ...jaeger, match: { mode: 'CLIENT' } }], 'production');
    expect(statuses(await look([mine, config('{}')]))).toEqual(['warn']);
  });

  it('is asked of a namespace without a target too', async () => {
    expect(statuses(await look([telemetry([jaeger]), config(WITH_JAEGER)], { namespaceOnly: true }))).toEqual(['pass']);
  });

  it('is decided by a Telemetry alone where the mesh’s configuration may not be read, else unknown', async () => {
    const unread = ['configmaps istio-system'];
    expect(statuses(await look([telemetry([{ ...jaeger, randomSamplingPercentage: 5 }])], { unread }))).toEqual([
      'pass',
    ]);
    await expect(look([telemetry([jaeger])], { unread })).rejects.toThrow(Unread);
    await expect(look([])).rejects.toThrow(/no ConfigMap istio/);
    await expect(look([config('a: [')])).rejects.toThrow(/is no YAML/);
    await expect(look([config(WITH_JAEGER)], { unread: ['telemetries istio-system'] })).rejects.toThrow(Unread);
    expect(check.rbac.flatMap(({ resources }) => resources)).toEqual(['telemetries']);
  });
});

describe("Sluice's own traces", () => {
  let collector: OtlpReceiver;
  let whole: Whole;
  beforeAll(async () => {
    collector = await otlpReceiver();
    whole = await wholeService({
      objects: await seedCluster('istio'),
      telemetry: {
        tracing: (ports) =>
          openTracing({
            endpoint: collector.url,
            headers: {},
            resource: { 'service.name': 'sluice' },
            sampler: { name: 'always_on', ratio: 1 },
            propagators: ['tracecontext'],
            version: '1.2.3',
            delay: 50,
            ...ports,
          }),
      },
    });
  }, 60_000);
  afterAll(async () => {
    await whole?.close();
    await collector?.close();
  });

  it('have the step, its query and its patch in the trace that the history names for the step', async () => {
    const steps = [
      { weight: 20, hold: '300ms' },
      { weight: 40, hold: '300ms' },
    ];
    const id = await whole.started(planOf(istioTarget(), steps));
    await whole.ended(id);
    const { body } = await whole.call('get', `/rollouts/${id}/events?limit=200`);
    const rows = body.items as { step: number | null; type: string; traceId: string }[];
    for (const step of [0, 1]) {
      const traces = new Set(rows.filter((row) => row.step === step).map(({ traceId }) => traceId));
      expect([...traces]).toEqual([expect.stringMatching(/^[0-9a-f]{32}$/)]);
      const [traceId] = traces;
      for (const name of ['rollout.step', 'prometheus.query', 'kube.patch'])
        expect(await collector.span((span) => span.name === name && span.traceId === traceId), name).toBeDefined();
    }
  });
});
