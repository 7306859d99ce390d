/** Whatever stands in an object, a write moves the weights of the split and nothing else. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import type { MeshModule } from '../../src/adapters/mesh.ts';
import gatewayApi from '../../src/adapters/meshes/gateway-api.ts';
import istio from '../../src/adapters/meshes/istio.ts';
import smi from '../../src/adapters/meshes/linkerd-smi.ts';
import { memoryKube } from '../support/memory-kube.ts';
import { faulty } from '../support/mesh-faults.ts';
import type { Loose } from '../support/mesh-objects.ts';
import { decision, istioTarget, routeTarget, smiTarget, targetOf, untouched } from '../support/mesh-objects.ts';

// JSON as a server could hold it, without the words that a message must not have.
const anyJson = fc
  .json({ maxDepth: 3 })
  .map((text) => JSON.parse(text) as unknown)
  .filter((value) => !/__proto__|undefined|NaN|\[object/.test(JSON.stringify(value)));
const unknownFields = fc.dictionary(fc.stringMatching(/^x[A-Za-z~/.-]{0,8}$/), anyJson, { maxKeys: 3 });
const metadata = fc.record(
  {
    labels: fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), fc.string(), { maxKeys: 3 }),
    annotations: fc.dictionary(fc.stringMatching(/^[a-z]{1,8}(\/[a-z~]{1,8})?$/), fc.string(), { maxKeys: 3 }),
    finalizers: fc.array(fc.string(), { maxLength: 2 }),
    ownerReferences: fc.array(unknownFields, { maxLength: 2 }),
  },
  { requiredKeys: [] },
);
const weight = fc.integer({ min: 0, max: 1000 });
const next = fc.integer({ min: 0, max: 100 });

interface Made {
  readonly object: KubeObject;
  /** Pointers of the two entries whose weight may change. */
  readonly moved: readonly string[];
}

const madeOf = (
  list: string,
  entries: string,
  identity: (version: 'v1' | 'v2' | 'v3') => Loose,
  head: { apiVersion: string; kind: string; name: string; spec: Loose },
): fc.Arbitrary<Made> => {
  const other = fc.tuple(unknownFields, fc.boolean()).map(([fields, routes]) => ({
    ...fields,
    match: [{ uri: { prefix: '/x' } }],
    ...(routes ? { [entries]: [{ ...identity('v3'), weight: 100 }] } : {}),
  }));
  const split = fc
    .tuple(unknownFields, weight, weight, fc.boolean(), fc.boolean(), unknownFields)
    .filter(([, stable, canary]) => stable + canary > 0)
    .map(([fields, stable, canary, swapped, idle, entryFields]) => {
      const one = { ...identity('v1'), ...entryFields, weight: stable };
      const two = { ...identity('v2'), weight: canary };
      const pair = swapped ? [two, one] : [one, two];
      return {
        rule: { ...fields, [entries]: [...(idle ? [{ ...identity('v3'), weight: 0 }] : []), ...pair] },
        first: idle ? 1 : 0,
      };
    });
  return fc
    .tuple(
      metadata,
      unknownFields,
      fc.array(other, { maxLength: 3 }),
      split,
      fc.array(other, { maxLength: 3 }),
      anyJson,
    )
    .map(([meta, specFields, before, { rule, first }, after, status]): Made => {
      const at = `/spec/${list}/${before.length}/${entries}`;
      return {
        object: {
          apiVersion: head.apiVersion,
          kind: head.kind,
          metadata: { ...meta, name: head.name, namespace: 'production' } as KubeObject['metadata'],
          spec: { ...head.spec, ...specFields, [list]: [...before, rule, ...after] },
          status,
        },
        moved: [`${at}/${first}`, `${at}/${first + 1}`],
      };
    });
};

const virtualServices = madeOf('http', 'route', (v) => ({ destination: { host: 'myapp', subset: v } }), {
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  name: 'myapp',
  spec: { hosts: ['myapp'] },
});
const httpRoutes = madeOf('rules', 'backendRefs', (v) => ({ name: `myapp-${v}`, port: 80 }), {
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'HTTPRoute',
  name: 'myapp',
  spec: { parentRefs: [{ kind: 'Service', name: 'myapp' }] },
});

async function holds(mesh: MeshModule, target: Loose, { object, moved }: Made, canaryWeight: number): Promise<void> {
  const server = memoryKube();
  server.put(object);
  const kube = faulty(server, () => ({ versions: ['v1'] }));
  const router = mesh.open(targetOf(mesh, target), kube);
  const before = await router.read();
  if (!before.ok) throw new Error(before.message);
  const applied = await router.apply(decision(canaryWeight), before.token);
  expect(applied).toMatchObject({ kind: 'applied', before: before.canaryWeight, after: canaryWeight });
  const after = server.object(object.metadata.name) as KubeObject;
  expect(untouched(after, moved)).toBe(untouched(object, moved));
  expect(await router.read()).toMatchObject({ ok: true, canaryWeight, stamp: decision(canaryWeight).stamp });
  expect((await router.apply(decision(canaryWeight), after.metadata.resourceVersion ?? '')).kind).toBe('applied');
  expect(kube.asked.patches).toBe(1);
}

describe('a write moves two numbers', () => {
  it('of any VirtualService', () =>
    fc.assert(
      fc.asyncProperty(virtualServices, next, (made, w) => holds(istio, istioTarget(), made, w)),
      { numRuns: 300 },
    ));

  it('of any HTTPRoute', () =>
    fc.assert(
      fc.asyncProperty(httpRoutes, next, (made, w) => holds(gatewayApi, routeTarget(), made, w)),
      { numRuns: 300 },
    ));

  it('of any TrafficSplit, in its own units', () => {
    const quantity = fc.oneof(
      weight,
      weight.map(String),
      weight.map((w) => `${w}m`),
    );
    return fc.assert(
      fc.asyncProperty(quantity, quantity, unknownFields, next, async (stable, canary, fields, canaryWeight) => {
        fc.pre([stable, canary].some((w) => Number.parseInt(String(w), 10) > 0));
        const backends = [
          { service: 'myapp-v1', weight: stable },
          { service: 'myapp-v2', weight: canary },
        ];
        const object: KubeObject = {
          apiVersion: 'split.smi-spec.io/v1alpha1',
          kind: 'TrafficSplit',
          metadata: { name: 'myapp-canary', namespace: 'production' },
          spec: { service: 'myapp', ...fields, backends },
        };
        const server = memoryKube();
        server.put(object);
        const router = smi.open(
          targetOf(smi, smiTarget()),
          faulty(server, () => ({ versions: ['v1alpha2', 'v1alpha1'] })),
        );
        const before = await router.read();
        if (!before.ok) throw new Error(before.message);
        expect((await router.apply(decision(canaryWeight), before.token)).kind).toBe('applied');
        const after = server.object('myapp-canary') as KubeObject;
        const moved = ['/spec/backends/0', '/spec/backends/1'];
        expect(untouched(after, moved)).toBe(untouched(object, moved));
        expect(await router.read()).toMatchObject({ canaryWeight });
        const milli = [stable, canary].some((w) => String(w).endsWith('m'));
        const written = (after.spec as { backends: { weight: unknown }[] }).backends.map((b) => typeof b.weight);
        expect(written).toEqual(milli ? ['string', 'string'] : ['number', 'number']);
      }),
      { numRuns: 300 },
    );
  });
});

const oneOf = (...values: unknown[]): fc.Arbitrary<unknown> =>
  fc.oneof(anyJson, ...values.map((value) => fc.constant(value)));

/** Half right, half anything: what an open schema or a broken template lets through. */
const entry = fc.oneof(
  anyJson,
  fc.record(
    {
      destination: oneOf({ host: 'myapp', subset: 'v1' }, { host: 'myapp', subset: 'v2' }, { host: 5 }),
      service: oneOf('myapp-v1', 'myapp-v2'),
      name: oneOf('myapp-v1', 'myapp-v2'),
      weight: oneOf(0, 10, 90, -1, '900m', null),
    },
    { requiredKeys: [] },
  ),
);
const entries = fc.oneof(anyJson, fc.array(entry, { maxLength: 3 }));
const rule = fc.oneof(
  anyJson,
  fc.record(
    { route: entries, backendRefs: entries, match: entries, delegate: oneOf({ name: 'x' }), name: anyJson },
    { requiredKeys: [] },
  ),
);
const anySpec = fc.oneof(
  anyJson,
  fc.record(
    {
      hosts: entries,
      gateways: entries,
      parentRefs: entries,
      http: fc.oneof(anyJson, fc.array(rule, { maxLength: 3 })),
      rules: fc.oneof(anyJson, fc.array(rule, { maxLength: 3 })),
      backends: entries,
    },
    { requiredKeys: [] },
  ),
);

describe('a reading', () => {
  const targets = [
    [istio, istioTarget(), 'VirtualService', 'myapp'],
    [smi, smiTarget(), 'TrafficSplit', 'myapp-canary'],
    [gatewayApi, routeTarget(), 'HTTPRoute', 'myapp'],
  ] as const;

  it('is a share from 0 to 100 or a refusal in words, whatever people made of the object', async () => {
    const codes = new Set<string>();
    await fc.assert(
      fc.asyncProperty(anySpec, fc.constantFrom(...targets), async (spec, [mesh, target, kind, name]) => {
        const server = memoryKube();
        server.put({ apiVersion: 'x/v1', kind, metadata: { name, namespace: 'production' }, spec });
        const kube = faulty(server, () => ({ versions: ['v1', 'v1alpha1'] }));
        const route = await mesh.open(targetOf(mesh, target), kube).read();
        codes.add(route.ok ? 'ok' : route.code);
        if (route.ok) {
          expect(route.canaryWeight).toBeGreaterThanOrEqual(0);
          expect(route.canaryWeight).toBeLessThanOrEqual(100);
        } else expect(route.message).not.toMatch(/undefined|NaN|\[object/);
      }),
      { numRuns: 3000 },
    );
    // The generator is worth something only if it gets past the first guard.
    expect([...codes].sort()).toEqual(expect.arrayContaining(['canary_absent', 'ok', 'rule_not_found', 'shape']));
  });
});
