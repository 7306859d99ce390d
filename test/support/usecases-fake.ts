/**
 * The use cases without a cluster or a database: the real plan schema, preflight, start, commands and reducer over the
 * store in memory. Only the mesh and the metrics are made up, and `tick` says what they show.
 */
import { z } from 'zod';
import type { MeshModule } from '../../src/adapters/mesh.ts';
import { capabilityMatrix, loadMeshes } from '../../src/adapters/registry.ts';
import { backTest } from '../../src/app/backtest.ts';
import { command, retry } from '../../src/app/commands.ts';
import { meshStatus } from '../../src/app/mesh.ts';
import { metricsStatus } from '../../src/app/metrics-status.ts';
import { planParser } from '../../src/app/plan-schema.ts';
import type {
  Logger,
  MeshFinding,
  MeshGateway,
  MetricsGateway,
  Survey,
  TickQueue,
  TrafficRouter,
} from '../../src/app/ports.ts';
import { revert } from '../../src/app/revert.ts';
import type { StartPorts } from '../../src/app/start.ts';
import { dryRun, start } from '../../src/app/start.ts';
import type { UseCases } from '../../src/app/usecases.ts';
import { observe } from '../../src/domain/advance.ts';
import type { Measurement, Observation, Reading } from '../../src/domain/observation.ts';
import type { Target } from '../../src/domain/plan.ts';
import type { Rollout, Verdict } from '../../src/domain/rollout.ts';
import { desiredWeight, stampOf } from '../../src/domain/rollout.ts';
import type { MemoryAudit } from './audit.ts';
import { memoryAudit } from './audit.ts';
import { aProvider } from './evidence.ts';
import { anInspector } from './inspector.ts';
import type { MemoryStore } from './memory-store.ts';
import { memoryStore } from './memory-store.ts';

export interface FakeUseCases extends UseCases {
  readonly store: MemoryStore;
  readonly startPorts: StartPorts;
  readonly audit: MemoryAudit;
  /** Moves the clock that the store and the reducer see. */
  advance(ms: number): void;
  /**
   * One look at a healthy world in which the wanted weight is in place; `seen` says what is different.
   * Commits whatever the reducer makes of it.
   */
  tick(id: string, seen?: Partial<Observation>): Promise<Rollout>;
  /** As many looks as it takes until the first step's weight is in force. */
  toFirstStep(id: string): Promise<Rollout>;
  /** Every call rejects with this error from now on; null: no more. */
  breakWith(error: unknown): void;
  /** What the preflight finds wrong with the route; null: nothing. */
  refuseRoute(message: string | null): void;
  /** What the route sends to the canary, in percent, and the ready pods of both versions. */
  cluster(weight: number, ready?: { readonly stable?: number; readonly canary?: number }): void;
  /** What the metrics provider knows of every service; null: it cannot count. */
  surveyWith(survey: Survey | null): void;
  /** What is wrong with the metrics provider; null: it answers. */
  metricsAway(message: string | null): void;
  /** What the checks of the mesh find around every target, and in the cluster. */
  findAround(findings: readonly MeshFinding[]): void;
}

const capabilities = capabilityMatrix(await loadMeshes());

export const quietLog: Logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => quietLog };

const queue: TickQueue = {
  async wake() {},
  async depth() {
    return { waiting: 0, delayed: 0, active: 0 };
  },
  async ping() {
    return null;
  },
};

const NAME = z.string().regex(/^[a-z0-9-]+$/);
const version = z.strictObject({ host: NAME, subset: NAME, deployment: NAME });
const istio = {
  kind: 'istio',
  target: z.strictObject({
    cluster: NAME,
    namespace: NAME,
    service: NAME,
    mesh: z.literal('istio'),
    virtualService: z.strictObject({ name: NAME, route: NAME.optional() }),
    stable: version,
    canary: version,
  }) as unknown as z.ZodType<Target>,
};

/** The plan of the documentation; `over` replaces its parts. */
export const planDocument = (over: Record<string, unknown> = {}): Record<string, unknown> => ({
  target: {
    cluster: 'default',
    namespace: 'production',
    service: 'myapp',
    mesh: 'istio',
    virtualService: { name: 'myapp', route: 'api' },
    stable: { host: 'myapp', subset: 'v1', deployment: 'myapp-v1' },
    canary: { host: 'myapp', subset: 'v2', deployment: 'myapp-v2' },
  },
  steps: [
    { weight: 5, hold: '2m' },
    { weight: 50, hold: '5m', approval: 'required' },
  ],
  analysis: {
    interval: '10s',
    failureLimit: 2,
    evidence: { mode: 'off' },
    checks: [{ name: 'errors', kind: 'error-rate', max: '1%' }],
  },
  ...over,
});

/** The plan for a service of that name. */
export const planFor = (service: string, over: Record<string, unknown> = {}): Record<string, unknown> => {
  const plan = planDocument(over);
  return { ...plan, target: { ...(plan['target'] as object), service } };
};

const ready = { ok: true, replicas: 2, ready: 2, settled: true, crash: null } as const;

/** One evaluation of the check "errors" as it would be stored. */
export function evaluation(rollout: Rollout, verdict: Verdict, value = verdict === 'fail' ? 0.05 : 0.001): Measurement {
  const phase = rollout.phase as { readonly step?: number };
  const reading: Reading = { ok: true, value, samples: 1000, query: 'sum(rate(istio_requests_total[1m]))' };
  const reason = `canary error rate ${value * 100} %`;
  return {
    check: 'errors',
    step: phase.step ?? 0,
    verdict,
    code: verdict === 'fail' ? 'above_max' : 'within',
    reason,
    canary: reading,
    stable: null,
    threshold: 0.01,
    window: 60_000,
  };
}

/** `targets`: kinds of mesh that plans may name; by themselves one that looks like Istio. */
export function fakeUseCases(targets: readonly Pick<MeshModule, 'kind' | 'target'>[] = [istio]): FakeUseCases {
  let offset = 0;
  let broken: unknown = null;
  let routeRefusal: string | null = null;
  let routeWeight = 0;
  const pods = { stable: 2, canary: 2 };
  let known: Survey | null = null;
  let metricsTrouble: string | null = null;
  let meshFindings: readonly MeshFinding[] = [];
  let made = 0;
  const now = (): number => Date.now() + offset;
  const audit = memoryAudit(() => broken, now);
  const store = memoryStore(now, (act) => void audit.note(act));

  const router = (target: Target): TrafficRouter => ({
    object: `VirtualService ${target.namespace}/${target.service}`,
    async read() {
      if (routeRefusal !== null) return { ok: false, code: 'not_found', message: routeRefusal };
      return {
        ok: true,
        canaryWeight: routeWeight,
        stamp: null,
        carriesAllTraffic: true,
        temporary: [],
        token: '1',
        lastWriter: null,
      };
    },
    async apply() {
      throw new Error('requests never write to the mesh');
    },
    async rehearse() {
      return { kind: 'applied', token: '1', before: 0, after: 5 };
    },
    async conclude() {
      throw new Error('requests never write to the mesh');
    },
  });
  const meshes: MeshGateway = {
    router,
    async workload(target, role) {
      const replicas = pods[role];
      return { ...ready, replicas: Math.max(1, replicas), ready: replicas, name: target[role].deployment };
    },
  };
  const measure = async (): Promise<Reading> => ({
    ok: true,
    value: 0.002,
    samples: 4321,
    query: 'sum(rate(istio_requests_total[1m]))',
  });
  const metrics: MetricsGateway = {
    provider: (name) => ({ ...aProvider(known), name, scrapeInterval: 1000, measure }),
  };

  const commandPorts = { store, queue, audit, log: quietLog };
  const startPorts: StartPorts = {
    ...commandPorts,
    meshes,
    metrics,
    inspector: anInspector(() => meshFindings),
    parser: planParser(
      targets,
      ['prometheus'],
      () => null,
      () => null,
      ['mesh.installed', 'mesh.version'],
    ),
    clusters: ['default'],
    newId: () => {
      made += 1;
      return `ro_${made}`;
    },
  };

  const whole = async <T>(answer: () => Promise<T>): Promise<T> => {
    if (broken !== null) throw broken;
    return answer();
  };
  const presentOf = (id: string): Rollout => {
    const row = store.row(id);
    if (row === undefined) throw new Error(`the test names a rollout that is not there: ${id}`);
    return row.rollout;
  };

  async function tick(id: string, seen: Partial<Observation> = {}): Promise<Rollout> {
    for (;;) {
      const rollout = presentOf(id);
      const { stable, canary } = rollout.plan.target;
      const canaryWeight = desiredWeight(rollout) ?? rollout.observedWeight ?? 0;
      const started = rollout.generation > 0;
      const observation: Observation = {
        at: now(),
        route: {
          ok: true,
          canaryWeight,
          stamp: started ? stampOf(rollout) : null,
          carriesAllTraffic: true,
          temporary: [],
          token: '1',
          lastWriter: null,
        },
        workloads: { stable: { ...ready, name: stable.deployment }, canary: { ...ready, name: canary.deployment } },
        measurements: [],
        share: null,
        evidence: null,
        supersededBy: (await store.load(id))?.supersededBy ?? null,
        blocked: false,
        ...seen,
      };
      const change = observe(rollout, observation);
      const next = { ...change.rollout, version: rollout.version + 1 };
      const { facts } = change;
      const landed = await store.commit({
        previous: rollout,
        next,
        facts,
        measurements: observation.measurements,
        evidence: null,
        at: observation.at,
        nextTickAt: null,
      });
      if (landed) return next;
    }
  }

  return {
    store,
    startPorts,
    audit,
    advance(ms) {
      offset += ms;
    },
    tick,
    async toFirstStep(id) {
      await tick(id);
      return tick(id);
    },
    breakWith(error) {
      broken = error;
    },
    cluster(weight, counts = {}) {
      routeWeight = weight;
      Object.assign(pods, counts);
    },
    refuseRoute(message) {
      routeRefusal = message;
    },
    findAround(findings) {
      meshFindings = findings;
    },
    metricsAway(message) {
      metricsTrouble = message;
    },
    surveyWith(survey) {
      known = survey;
    },
    planSchema: startPorts.parser.jsonSchema,
    capabilities,
    start: (document, principal, idempotency) => whole(() => start(startPorts, { document, principal, idempotency })),
    dryRun: (document, principal) => whole(() => dryRun(startPorts, document, principal)),
    backTest: (document, past) => whole(() => backTest(startPorts, document, past)),
    metricsProviders: () =>
      whole(() =>
        metricsStatus([{ cluster: 'default', provider: { name: 'prometheus', ping: async () => metricsTrouble } }]),
      ),
    mesh: (question) => whole(() => meshStatus({ inspector: anInspector(() => meshFindings) }, question)),
    command: (id, wanted, principal, expected) =>
      whole(() => {
        const request = {
          id,
          command: wanted,
          by: principal,
          expectedStep: expected.step,
          expectedVersion: expected.version,
        };
        return wanted.name === 'retry'
          ? retry(commandPorts, startPorts, request, principal)
          : command(commandPorts, request);
      }),
    revert: (id, how, principal) => whole(() => revert(startPorts, { id, ...how, principal })),
    get: (id) => whole(async () => (await store.load(id))?.rollout ?? null),
    list: (filter, limit, cursor) => whole(() => store.list(filter, limit, cursor)),
    facts: (id, after, limit) => whole(() => store.facts(id, after, limit)),
    measurements: (id, limit, cursor) => whole(() => store.measurements(id, limit, cursor)),
    writes: (id, limit, cursor) => whole(() => store.writes(id, limit, cursor)),
    evidence: (id, limit, cursor) => whole(() => store.evidence(id, limit, cursor)),
    ledger: (id) => whole(() => store.ledger(id)),
    traces: () => whole(async () => ({ traces: [], search: null, waiting: false })),
    tracesNow: () => whole(async () => null),
    meshHealth: () => whole(async () => ({ snapshot: null, waiting: false })),
    source: (id) => whole(() => store.source(id)),
    waitForChange: (id, version, wait, signal) => whole(() => store.waitForChange(id, version, wait, signal)),
  };
}
