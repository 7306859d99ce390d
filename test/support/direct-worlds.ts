/** The traffic of the contract suite as the proxies of the pods show it, of either mesh. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { DirectProvider } from '../../src/adapters/metrics/direct.ts';
import { istioCounting, istioViews } from '../../src/adapters/series/istio.ts';
import { linkerdCounting, linkerdViews } from '../../src/adapters/series/linkerd.ts';
import type { Target } from '../../src/domain/plan.ts';
import { exposition, type MetricsWorld, type Traffic } from './prometheus-worlds.ts';
import { openDirect, type ProxyKind, proxyWorld } from './proxies.ts';

export interface DirectWorld extends MetricsWorld {
  readonly provider: DirectProvider;
}

const INTERVAL = 200;

/** `targets`: those that are asked for, which are read for a while before this resolves. */
export async function directWorld(
  kind: ProxyKind,
  traffic: readonly Traffic[],
  targets: readonly Target[],
): Promise<DirectWorld> {
  const world = proxyWorld();
  const named = targets.flatMap(({ namespace, stable, canary }) =>
    [stable, canary].map(({ deployment }) => ({ namespace, deployment })),
  );
  for (const { namespace, deployment } of named) {
    const own = traffic.filter((one) => one.namespace === namespace && one.deployment === deployment);
    // All pods count the same time at the same reading, so that ratios between them are exact, too.
    let readings = 0;
    const page = () => {
      readings += 1;
      const seconds = 100 + (readings * INTERVAL) / 1000;
      return kind === 'istio' ? exposition(own, seconds) : inbound(own, seconds);
    };
    await world.pod({ deployment, namespace, page, kind });
  }
  const provider = openDirect(world, {
    intervalMs: INTERVAL,
    viewsOf: () => (kind === 'istio' ? istioViews : linkerdViews),
    countingOf: () => (kind === 'istio' ? istioCounting : linkerdCounting),
  });
  const window = 5_000;
  const warm = () => targets.map((target) => provider.measure({ kind: 'error-rate', target, role: 'canary', window }));
  await Promise.all(warm());
  await sleep(0.6 * window);
  return {
    url: world.url,
    window,
    provider,
    async down() {
      const message = 'the API server is gone';
      world.kubeTrouble = { ok: false, code: 'unavailable', status: null, message };
      await world.close();
      await sleep(4 * INTERVAL);
    },
    async close() {
      provider.close();
      await world.close();
    },
  };
}

/** As Linkerd's proxy shows it: it knows neither its pod nor its Deployment. */
function inbound(traffic: readonly Traffic[], seconds: number): string {
  return traffic
    .flatMap(({ rate, failing, latency }) => {
      const line = (metric: string, labels: string, part: number) =>
        `${metric}{direction="inbound",target_port="8080",${labels}} ${rate * part * seconds}`;
      return [
        line('response_total', 'classification="success",status_code="200"', 1 - failing),
        ...(failing > 0 ? [line('response_total', 'classification="failure",status_code="503"', failing)] : []),
        ...Object.entries({ ...latency, '+Inf': 1 }).map(([le, part]) =>
          line('response_latency_ms_bucket', `status_code="200",le="${le}"`, part),
        ),
        // The kubelet asks, too.
        `response_total{direction="inbound",route_name="probe",classification="success",status_code="200"} ${seconds}`,
      ];
    })
    .join('\n');
}
