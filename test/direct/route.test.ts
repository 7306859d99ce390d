/** One named route, counted by the pods' own proxies as they are read. */
import { afterEach, expect, it } from 'vitest';
import { linkerdCounting, linkerdProfileViews, linkerdViews } from '../../src/adapters/series/linkerd.ts';
import { shop } from '../support/prometheus-target.ts';
import { openDirect, proxyWorld } from '../support/proxies.ts';

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

/** Names that are awkward in PromQL and in an exposition. */
const BAD = 'POST /orders "größe"\\d+';

async function opened() {
  const world = proxyWorld();
  stops.push(() => world.close());
  for (const deployment of ['shop-v1', 'shop-v2']) {
    let readings = 0;
    const page = () => {
      readings += 1;
      const at = 100 * readings;
      const line = (route: string, classification: string, value: number) =>
        `route_response_total{direction="inbound",dst="shop.production.svc.cluster.local:80",rt_route="${route.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}",classification="${classification}"} ${value}`;
      return [
        line('GET /users', 'success', at),
        line(BAD, 'success', at / 2),
        line(BAD, 'failure', at / 2),
        `response_total{direction="inbound",classification="failure"} ${at}`,
      ].join('\n');
    };
    await world.pod({ deployment, page, kind: 'linkerd' });
  }
  const provider = openDirect(world, {
    viewsOf: (target, route) =>
      route === undefined ? linkerdViews : linkerdProfileViews(target.service, target.namespace, route),
    countingOf: () => linkerdCounting,
  });
  stops.push(() => provider.close());
  return (route?: string) =>
    provider.measure({
      kind: 'error-rate',
      target: shop({ mesh: 'linkerd-smi' }),
      role: 'canary',
      window: 5_000,
      ...(route === undefined ? {} : { route }),
    });
}

it('each route has its own failures, whatever its name is', async () => {
  const measure = await opened();
  expect(await measure('GET /users')).toMatchObject({ ok: true, value: 0 });
  expect(await measure(BAD)).toMatchObject({ ok: true, value: 0.5 });
  expect(await measure()).toMatchObject({ ok: true, value: 1 });
});

it('a route without requests has no value, and is named', async () => {
  const measure = await opened();
  expect(await measure('GET /nobody')).toMatchObject({
    ok: false,
    code: 'no_data',
    message: expect.stringContaining('production/shop-v2 on route "GET /nobody"'),
  });
});
