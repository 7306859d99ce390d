/** One rollout at a step in memory stores, with ports that a test can make fail, hang or lie. */

import type { KubeClient, KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import istio from '../../src/adapters/meshes/istio.ts';
import { DECISION_ANNOTATION, encodeDecision } from '../../src/adapters/routes/decision.ts';
import type {
  GuardGateway,
  Logger,
  MeshGateway,
  MetricsGateway,
  MetricsProvider,
  Recorder,
} from '../../src/app/ports.ts';
import { type TickPorts, tick } from '../../src/app/tick.ts';
import type { EvidenceSetup } from '../../src/domain/evidence/ledger.ts';
import type { Reading, RouteTrouble, Workload } from '../../src/domain/observation.ts';
import type { Plan } from '../../src/domain/plan.ts';
import type { Fact, Rollout, Stamp } from '../../src/domain/rollout.ts';
import { weightsOf } from '../simulation/invariants.ts';
import { seedRoute } from '../simulation/run.ts';
import { anAct } from '../support/audit.ts';
import { aPlan, ready } from '../support/builders.ts';
import { memoryKube } from '../support/memory-kube.ts';
import { memoryStore } from '../support/memory-store.ts';
import { deafRecorder, quietLog } from '../support/quiet.ts';

export const crashing = (name: string): Workload => ({
  ok: true,
  name,
  replicas: 3,
  ready: 0,
  settled: false,
  crash: { reason: 'CrashLoopBackOff', message: `pod ${name}-x: CrashLoopBackOff`, fatal: true },
});
export const unready = (name: string, part: { readonly ready?: number } = {}): Workload => ({
  ok: true,
  name,
  replicas: 3,
  ready: 0,
  settled: false,
  crash: null,
  ...part,
});
export const good = async (): Promise<Reading> => ({ ok: true, value: 0.001, samples: 500, query: 'q' });
export const never = (): Promise<never> => new Promise(() => {});

export interface Tuning {
  readonly plan?: Plan;
  readonly provider?: Partial<MetricsProvider>;
  readonly metrics?: MetricsGateway;
  readonly evaluateWithin?: number;
  readonly guards?: GuardGateway;
  /** How the canary is compared with the stable; the plan must want it. */
  readonly evidence?: EvidenceSetup;
}

export async function tickWorld(tuning: Tuning = {}) {
  let now = 0;
  let copy: KubeObject | null = null;
  const wakes: { delay: number; urgency: string }[] = [];
  const outcomes: string[] = [];
  const errors: string[] = [];
  const asked = { fresh: 0, copies: 0, freshPods: 0, pods: 0 };
  const pods = { canary: ready('myapp-v2'), canaryCopy: null as Workload | null, stable: null as Workload | null };
  /** Why no write goes through now; null: all do. */
  const mesh = { refuses: null as RouteTrouble | null };
  const store = memoryStore(() => now);
  const kube = memoryKube();
  kube.put(seedRoute, 'kubectl-apply');
  const client: KubeClient = {
    ...kube,
    get(ref) {
      asked.fresh += 1;
      return kube.get(ref);
    },
    async read(ref) {
      asked.copies += 1;
      return copy === null ? kube.get(ref) : { ok: true, value: copy };
    },
  };
  const meshes: MeshGateway = {
    router(target) {
      const router = istio.open(target, client);
      return {
        object: router.object,
        read: (options) => router.read(options),
        rehearse: (decision, token) => router.rehearse(decision, token),
        conclude: (ending) => router.conclude(ending),
        apply: async (decision, token) =>
          mesh.refuses === null ? router.apply(decision, token) : { kind: 'trouble', trouble: mesh.refuses },
      };
    },
    async workload(target, role, options) {
      if (options?.fresh === true) asked.freshPods += 1;
      else asked.pods += 1;
      if (role === 'stable') return pods.stable ?? ready(target.stable.deployment);
      return options?.fresh === true ? pods.canary : (pods.canaryCopy ?? pods.canary);
    },
  };
  const provider: MetricsProvider = {
    name: 'prometheus',
    scrapeInterval: 5_000,
    measure: good,
    share: async () => null,
    ping: async () => null,
    ...tuning.provider,
  };
  const log: Logger = { ...quietLog, error: (_, message) => void errors.push(message), child: () => log };
  const recorder: Recorder = { ...deafRecorder, tick: (_lag, _took, outcome) => void outcomes.push(outcome) };
  const ports: TickPorts = {
    store,
    meshes,
    metrics: tuning.metrics ?? { provider: () => provider },
    queue: {
      wake: async (_id, delay, urgency) => void wakes.push({ delay, urgency }),
      depth: async () => ({ waiting: 0, delayed: 0, active: 0 }),
      ping: async () => null,
    },
    recorder,
    log,
    monotonic: () => now,
    ...(tuning.guards === undefined ? {} : { guards: tuning.guards }),
    ...(tuning.evaluateWithin === undefined ? {} : { evaluateWithin: tuning.evaluateWithin }),
  };
  const started = await store.start(
    {
      id: 'r1',
      plan: tuning.plan ?? aPlan(),
      source: {},
      createdBy: 'test',
      act: anAct(),
      objectKey: 'default VirtualService production/myapp',
      epochAbove: 0,
      observedWeight: 0,
      idempotency: null,
      warnings: [],
      evidence: tuning.evidence ?? null,
    },
    'nobody',
  );
  if (started.kind !== 'created') throw new Error(`not created: ${started.kind}`);

  const world = {
    ports,
    store,
    kube,
    pods,
    mesh,
    asked,
    wakes,
    outcomes,
    errors,
    async tickAt(at: number): Promise<Rollout> {
      now = at;
      await tick(ports, 'r1');
      return world.rollout();
    },
    rollout(): Rollout {
      const row = store.row('r1');
      if (row === undefined) throw new Error('no rollout');
      return row.rollout;
    },
    facts: (): readonly string[] => (store.row('r1')?.facts ?? []).map((fact) => fact.type),
    told: (): readonly Fact[] => store.row('r1')?.facts ?? [],
    weight: (): number => weightsOf(world.object()).canary,
    object(): KubeObject {
      const object = kube.object('myapp');
      if (object === undefined) throw new Error('no object');
      return object;
    },
    /** From now on reads by copy answer this; null: the truth. */
    copyIs(object: KubeObject | null): void {
      copy = object;
    },
    /** Somebody else's decision comes onto the object. */
    stampObject(stamp: Stamp): void {
      const object = world.object();
      const decision = {
        stamp,
        canaryWeight: 5,
        temporary: [],
        goingBack: false,
        fact: 1,
        step: 0,
        from: 0,
        reason: 'test',
        actor: 'test',
        at: 0,
        link: null,
      };
      const annotations = { ...object.metadata.annotations, [DECISION_ANNOTATION]: encodeDecision(decision) };
      kube.put({ ...object, metadata: { ...object.metadata, annotations } }, 'sluice');
    },
    /** At 5 %, read back, with nothing asked so far. */
    async atFirstStep(): Promise<void> {
      await world.tickAt(0);
      await world.tickAt(250);
      Object.assign(asked, { fresh: 0, copies: 0, freshPods: 0, pods: 0 });
      wakes.length = 0;
    },
  };
  return world;
}
