/** Migrations and looks for the reducer's tests: all is well unless the test says otherwise. */
import type { Migration, MigrationPhase, MigrationPlan } from '../../src/domain/migration/migration.ts';
import type {
  CallerTraffic,
  Look,
  PlaintextCaller,
  PolicyNow,
  Traffic,
} from '../../src/domain/migration/observation.ts';

export const MINUTE = 60_000;

export const aPlan = (over: Partial<MigrationPlan> = {}): MigrationPlan => ({
  cluster: 'default',
  mesh: 'istio',
  scope: { kind: 'namespace', namespace: 'production' },
  policy: { namespace: 'production', name: 'default', made: false },
  quiet: 10 * MINUTE,
  watch: 10 * MINUTE,
  patience: 30 * MINUTE,
  limits: { failures: 0.01, lost: 0.5 },
  shortest: MINUTE,
  ...over,
});

export const aMigration = (phase: MigrationPhase, plan: Partial<MigrationPlan> = {}): Migration => ({
  id: 'mm_1',
  epoch: 7,
  plan: aPlan(plan),
  createdAt: 0,
  createdBy: 'ana',
  version: 1,
  phase,
  trouble: null,
  attempts: 0,
  factCount: 1,
});

/** What is left out of a caller is nothing. */
export const someCaller = (over: Partial<CallerTraffic> = {}): CallerTraffic => ({
  workload: 'frontend',
  namespace: 'production',
  rps: 0,
  calls: 0,
  failures: 0,
  ...over,
});

export const someTraffic = (over: Partial<Traffic> = {}): Traffic => ({
  window: MINUTE,
  callers: [someCaller({ rps: 10, calls: 600 })],
  calls: 600,
  failures: 0,
  failing: [],
  ...over,
});

export const guarding = (over: object = {}): Extract<MigrationPhase, { name: 'guarding' }> => ({
  name: 'guarding',
  since: 0,
  heardSince: 0,
  blindSince: null,
  callers: [],
  ...over,
});

export const strict = (over: object = {}): Extract<MigrationPhase, { name: 'strict' }> => ({
  name: 'strict',
  since: 0,
  inForceAt: 0,
  judgedAt: null,
  blindSince: null,
  before: { mode: 'PERMISSIVE', traffic: someTraffic() },
  ...over,
});

export const back = (over: object = {}): Extract<MigrationPhase, { name: 'rolling_back' }> => ({
  name: 'rolling_back',
  reason: 'failures',
  since: 0,
  outcome: { code: 'failures', message: 'calls failed' },
  before: { mode: 'PERMISSIVE', traffic: someTraffic() },
  ...over,
});

export const stamped = (mode: string | null, generation: number, over: Partial<PolicyNow> = {}): PolicyNow => ({
  mode,
  stamp: { migration: 'mm_1', epoch: 7, generation },
  token: '1',
  lastWriter: 'kubectl-edit (Update)',
  ...over,
});

export const aCaller = (workload = 'legacy'): PlaintextCaller => ({
  workload,
  namespace: workload === 'unknown' ? 'unknown' : 'production',
  called: 'production/myapp-v1',
  protocol: 'http',
  calls: 42,
});

/** `whole`, unless it is said, is what `traffic` says. */
export const aLook = (at: number, over: Partial<Look> = {}): Look => ({
  at,
  policy: { ok: true, policy: stamped('PERMISSIVE', 0, { stamp: null }), before: [] },
  beyond: { ok: true, workloads: [] },
  plaintext: { ok: true, callers: [], calls: 600 },
  traffic: { ok: true, ...someTraffic() },
  whole: over.traffic === undefined ? { ok: true, ...someTraffic() } : over.traffic,
  ...over,
});

export const seen = (policy: PolicyNow | null, before: readonly string[] = []): Pick<Look, 'policy'> => ({
  policy: { ok: true, policy, before },
});
