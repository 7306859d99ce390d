/** What a route by header does to requests, by the precedence of the Gateway API: whatever rules people have beside it. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import gatewayApi from '../../src/adapters/meshes/gateway-api.ts';
import type { Temporary } from '../../src/domain/temporary.ts';
import { httpRouteRules } from '../../src/sandbox/data-plane/http-route.ts';
import type { Asked } from '../../src/sandbox/data-plane/routing.ts';
import { memoryKube } from '../support/memory-kube.ts';
import type { Loose } from '../support/mesh-objects.ts';
import { backend, decision, httpRoute, routeTarget, targetOf } from '../support/mesh-objects.ts';

const TESTERS: Temporary = { kind: 'headerRoute', match: { header: 'x-canary', exact: 'always' } };
const COPIES: Temporary = { kind: 'mirror', percent: 100, allowUnsafeMethods: true };

// Few values, so that rules and requests meet.
const path = fc.constantFrom('/', '/a', '/a/b', '/c');
const pair = fc.constantFrom({ name: 'x', value: '1' }, { name: 'y', value: '1' });
const match = fc.record(
  {
    path: fc.record({ type: fc.constantFrom('Exact', 'PathPrefix'), value: path }),
    method: fc.constantFrom('GET', 'POST'),
    headers: fc.uniqueArray(pair, { selector: ({ name }) => name, maxLength: 2 }),
    queryParams: fc.uniqueArray(pair, { selector: ({ name }) => name, maxLength: 2 }),
  },
  { requiredKeys: [] },
);
const matches = fc.array(match, { maxLength: 3 });
const request = fc
  .record({
    method: fc.constantFrom('GET', 'POST'),
    path,
    headers: fc.subarray(['x', 'y']),
    query: fc.subarray(['x', 'y']),
  })
  .map(
    ({ method, path: at, headers, query }): Asked => ({
      method,
      host: 'myapp',
      path: at,
      headers: Object.fromEntries(headers.map((name) => [name, '1'])),
      query: new URLSearchParams(Object.fromEntries(query.map((name) => [name, '1']))),
    }),
  );
const route = fc.tuple(fc.array(matches, { maxLength: 3 }), matches, fc.array(matches, { maxLength: 3 }));

/** Services that may get the request, and those that get a copy; null: no rule fits. */
const served = (object: KubeObject, asked: Asked) => {
  const rule = httpRouteRules([object]).find((candidate) => candidate.matches(asked));
  if (rule === undefined) return null;
  return {
    by: rule.backends.map(({ destination }) => destination.service),
    copies: rule.mirrors.map(({ destination }) => destination.service),
  };
};

it('testers who would meet the moved rule reach the canary, and for everybody else nothing changes', () =>
  fc.assert(
    fc.asyncProperty(
      route,
      fc.array(request, { minLength: 1, maxLength: 8 }),
      async ([before, own, after], requests) => {
        const other = (side: string) => (those: unknown, n: number) => ({
          matches: those,
          backendRefs: [backend(`${side}-${n}`)],
        });
        const kube = memoryKube();
        kube.put(
          httpRoute([
            ...before.map(other('before')),
            { name: 'api', matches: own, backendRefs: [backend('myapp-v1', 99), backend('myapp-v2', 1)] },
            ...after.map(other('after')),
          ] as Loose[]),
        );
        const was = kube.object('myapp') as KubeObject;
        const router = gatewayApi.open(targetOf(gatewayApi, routeTarget({ rule: 'api' }, { proxy: 'istio' })), kube);
        const read = await router.read();
        const token = read.ok ? read.token : '';
        const applied = await router.apply(decision(1, 1, { temporary: [TESTERS, COPIES] }), token);
        expect(applied).toMatchObject({ kind: 'applied' });
        const is = kube.object('myapp') as KubeObject;
        for (const asked of requests) {
          const found = served(was, asked);
          const moved = found?.by.includes('myapp-v1') === true;
          expect(served(is, asked)).toEqual(found === null ? null : { ...found, copies: moved ? ['myapp-v2'] : [] });
          const tester = served(is, { ...asked, headers: { ...asked.headers, 'x-canary': 'always' } });
          // Those who met another rule meet it still, or the canary where that rule was first by less than a header.
          const toCanary = { by: ['myapp-v2'], copies: [] };
          if (moved) expect(tester).toEqual(toCanary);
          else expect([found, toCanary]).toContainEqual(tester);
        }
      },
    ),
    { numRuns: 500 },
  ));
