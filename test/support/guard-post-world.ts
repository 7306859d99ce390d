/** The guards as a worker asks them, of a sandbox: real cluster client, real Prometheus, a data plane that routes. */
import { openGuards } from '../../src/adapters/guard-post.ts';
import { openKube } from '../../src/adapters/kubernetes/client.ts';
import prometheus from '../../src/adapters/metrics/prometheus.ts';
import { guardSpecs, loadGuards, loadMeshes, meshFor } from '../../src/adapters/registry.ts';
import type { GuardFinding } from '../../src/app/ports.ts';
import type { Target } from '../../src/domain/plan.ts';
import type { Kind } from '../../src/sandbox/data-plane/api.ts';
import { openApi } from '../../src/sandbox/data-plane/api.ts';
import { AUTHORIZATION_POLICIES, LINKERD_SERVERS } from '../../src/sandbox/data-plane/cluster-view.ts';
import type { Sandbox } from '../../src/sandbox/sandbox.ts';
import { startSandbox } from '../../src/sandbox/sandbox.ts';
import type { Mesh } from '../../src/sandbox/seeds.ts';
import { APP, NAMESPACE } from '../../src/sandbox/seeds.ts';
import { deafRecorder, quietLog } from './quiet.ts';

interface Moment {
  readonly window?: number;
  /** How long the weight has been in force. Default: the window. */
  readonly longest?: number;
  /** Milliseconds after the rollout's beginning. */
  readonly now?: number;
}

export interface GuardPostWorld {
  readonly sandbox: Sandbox;
  /** One look of a guard with its default limit, at a rollout that began with the world. */
  look(guard: string, moment?: Moment): Promise<GuardFinding | null>;
  /** Gives the canary a weight, as a rollout would. */
  shift(weight: number): Promise<void>;
  /** A policy that lets nobody call the canary's pods. */
  denyCanary(): Promise<void>;
  stop(): Promise<void>;
}

export async function startGuardPost(mesh: Mesh): Promise<GuardPostWorld> {
  const [sandbox, meshes, guards] = await Promise.all([startSandbox({ mesh, rps: 150 }), loadMeshes(), loadGuards()]);
  const since = Date.now();
  const kube = await openKube({ cluster: 'default', log: quietLog, kubeconfigFile: sandbox.kubeconfig });
  const provider = prometheus.open({
    url: sandbox.prometheusUrl,
    scrapeIntervalMs: 1_000,
    viewsOf: (target) => meshFor(meshes, target.mesh).views(target),
    countingOf: (target) => meshFor(meshes, target.mesh).counting(target),
    recorder: deafRecorder,
    log: quietLog,
  });
  const target: Target = meshFor(meshes, String(sandbox.target['mesh'])).target.parse(sandbox.target);
  const cluster = {
    name: 'default',
    kube,
    providers: new Map([['prometheus', provider]]),
    defaultProvider: 'prometheus',
  };
  const post = openGuards({ clusters: new Map([[target.cluster, cluster]]), meshes, guards });
  const specs = new Map(guardSpecs(guards, meshes).map((spec) => [spec.name, spec]));
  const api = openApi(sandbox.kubeApiUrl, NAMESPACE, 'test');
  const router = meshFor(meshes, target.mesh).open(target, kube);
  let wanted = 0;
  await sandbox.release('myapp:watched');
  return {
    sandbox,
    async look(name, { window = 5_000, longest = window, now = 0 } = {}) {
      const spec = specs.get(name);
      const route = await router.read({ fresh: true });
      if (spec === undefined || !route.ok) throw new Error(`no guard ${name}, or no route`);
      const { then, limit, strict } = spec;
      const guard = { name, then, limit, strict, window, failureLimit: 1 };
      return post.look({
        guard,
        target,
        window,
        longest,
        wanted,
        route,
        trafficShare: 'auto',
        since,
        now: since + now,
      });
    },
    async shift(weight) {
      const route = await router.read({ fresh: true });
      if (!route.ok) throw new Error(route.message);
      const stamp = { rollout: 'test', epoch: 1, generation: 1 };
      const decision = {
        stamp,
        canaryWeight: weight,
        fact: null,
        step: null,
        from: null,
        reason: 'test',
        actor: 'test',
        at: Date.now(),
        link: null,
        temporary: [],
        goingBack: false,
      };
      const applied = await router.apply(decision, route.token);
      if (applied.kind !== 'applied') throw new Error(applied.kind);
      wanted = weight;
    },
    async denyCanary() {
      await api.create(...denialOf(mesh));
    },
    async stop() {
      kube.close();
      await sandbox.stop();
    },
  };
}

type Denial = readonly [kind: Kind, object: object];

/** Nobody is on the list of who may call the pods of v2. */
function denialOf(mesh: Mesh): Denial {
  const metadata = { name: 'deny-canary', namespace: NAMESPACE };
  const labels = { app: APP, version: 'v2' };
  return mesh === 'istio'
    ? [
        AUTHORIZATION_POLICIES,
        {
          apiVersion: AUTHORIZATION_POLICIES.apiVersion,
          kind: 'AuthorizationPolicy',
          metadata,
          spec: { selector: { matchLabels: labels }, action: 'DENY', rules: [{}] },
        },
      ]
    : [
        LINKERD_SERVERS,
        {
          apiVersion: LINKERD_SERVERS.apiVersion,
          kind: 'Server',
          metadata,
          spec: { podSelector: { matchLabels: labels }, port: 8080, accessPolicy: 'deny' },
        },
      ];
}
