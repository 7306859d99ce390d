/** Small, valid domain objects for tests; each takes what the test is about. */
import type { Measurement, Observation, Reading, RouteReading, Workload } from '../../src/domain/observation.ts';
import type { Check, Plan } from '../../src/domain/plan.ts';
import type { Rollout, Stamp, Verdict } from '../../src/domain/rollout.ts';
import { desiredWeight, stampOf } from '../../src/domain/rollout.ts';

export const aCheck = (part: Partial<Check> = {}): Check => ({
  name: 'errors',
  kind: 'error-rate',
  provider: 'prometheus',
  threshold: { max: 0.01 },
  window: 60_000,
  minSamples: 20,
  failureLimit: 2,
  ...part,
});

export const aPlan = (part: Partial<Plan> = {}): Plan => ({
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
    { weight: 5, hold: 60_000, approval: 'none' },
    { weight: 25, hold: 60_000, approval: 'none' },
    { weight: 50, hold: 60_000, approval: 'none' },
  ],
  analysis: {
    interval: 10_000,
    settle: 0,
    noData: { patience: 300_000, then: 'pause' },
    trafficShare: 'auto',
    evidence: null,
    checks: [aCheck()],
  },
  drift: { then: 'pause', maxReasserts: 3 },
  readyDeadline: 600_000,
  meshPatience: 300_000,
  deadline: null,
  onConflict: 'reject',
  labels: {},
  ...part,
});

export const aRollout = (part: Partial<Rollout> = {}): Rollout => ({
  id: 'r1',
  epoch: 7,
  plan: aPlan(),
  createdAt: 0,
  createdBy: 'token ci',
  version: 1,
  generation: 0,
  phase: { name: 'pending', behind: null },
  tallies: {},
  observedWeight: 0,
  observedShare: null,
  evaluatedAt: null,
  judgement: null,
  reasserts: 0,
  movedBy: [],
  appliedGeneration: null,
  meshTrouble: null,
  unreadySince: null,
  attempts: 0,
  factCount: 1,
  ...part,
});

/** At `step`, in force since `reachedAt`. */
export const atStep = (step: number, reachedAt: number | null = 0, part: Partial<Rollout> = {}): Rollout =>
  aRollout({ generation: step + 1, phase: { name: 'progressing', step, reachedAt, from: null, go: null }, ...part });

export const ready = (name: string, replicas = 3): Workload => ({
  ok: true,
  name,
  replicas,
  ready: replicas,
  settled: true,
  crash: null,
});

export const aRoute = (canaryWeight: number, stamp: Stamp | null, part: Partial<RouteReading> = {}): RouteReading => ({
  ok: true,
  canaryWeight,
  stamp,
  carriesAllTraffic: true,
  temporary: [],
  token: '1',
  lastWriter: 'kubectl-edit, Update',
  ...part,
});

/** A look that finds everything as the rollout wants it. */
export const asWanted = (rollout: Rollout, at: number, part: Partial<Observation> = {}): Observation => ({
  at,
  route: aRoute(desiredWeight(rollout) ?? 0, rollout.generation === 0 ? null : stampOf(rollout)),
  workloads: { stable: ready('myapp-v1'), canary: ready('myapp-v2') },
  measurements: [],
  share: null,
  evidence: null,
  blocked: false,
  supersededBy: null,
  ...part,
});

export const aReading = (value: number, samples: number | null = 1000): Reading => ({
  ok: true,
  value,
  samples,
  query: 'q',
});

export const measured = (verdict: Verdict, part: Partial<Measurement> = {}): Measurement => ({
  check: 'errors',
  step: 0,
  verdict,
  code: verdict === 'pass' ? 'within' : verdict === 'fail' ? 'above_max' : 'no_data',
  reason: `canary error rate (${verdict})`,
  canary: aReading(verdict === 'fail' ? 0.2 : 0.001),
  stable: null,
  threshold: 0.01,
  window: 60_000,
  ...part,
});
