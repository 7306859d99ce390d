/**
 * One seeded run of the production tick, commands and sweep against the production reducer and the production router,
 * over ports in memory whose every call may be slow, fail, be cut off by a crash, or come from a stalled twin.
 */
import type { KubeClient, KubeObject, ObjectRef, PatchOp } from '../../src/adapters/kubernetes/kube.ts';
import type { MeshModule } from '../../src/adapters/mesh.ts';
import { openPreparations } from '../../src/adapters/preparation-post.ts';
import { loadPreparations } from '../../src/adapters/registry.ts';
import { ours as ownRule } from '../../src/adapters/routes/temporary-rules.ts';
import { command } from '../../src/app/commands.ts';
import type {
  Commit,
  GateKeeper,
  Logger,
  MeshGateway,
  MetricsProvider,
  Recorder,
  TickQueue,
} from '../../src/app/ports.ts';
import { revert } from '../../src/app/revert.ts';
import { openSweep } from '../../src/app/sweep.ts';
import { tick } from '../../src/app/tick.ts';
import type { SessionAffinity } from '../../src/domain/affinity.ts';
import type { Command } from '../../src/domain/command.ts';
import type { EvidenceSetup } from '../../src/domain/evidence/ledger.ts';
import { pacesFor, settingsOf } from '../../src/domain/evidence/setup.ts';
import type { Reading, Workload } from '../../src/domain/observation.ts';
import type { GateWebhook, Plan, Step } from '../../src/domain/plan.ts';
import type { ScaleTo } from '../../src/domain/preparation.ts';
import type { GateDecision } from '../../src/domain/rollout.ts';
import { isLive } from '../../src/domain/rollout.ts';
import { anAct, unheard } from '../support/audit.ts';
import { aCheck, aPlan } from '../support/builders.ts';
import { anEvidencePlan } from '../support/evidence.ts';
import { memoryKube } from '../support/memory-kube.ts';
import { type MemoryStore, memoryStore } from '../support/memory-store.ts';
import { weightsOf } from './invariants.ts';
import { chance, type Scheduler, scheduler } from './scheduler.ts';
import { SCRAPE, type Users, users } from './users.ts';

const ANA = { id: 'ana', name: 'ana' };

const quiet: Logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => quiet };
const deaf: Recorder = {
  tick() {},
  check() {},
  meshWrite() {},
  metricsQuery() {},
  notification() {},
  httpRequest() {},
  spans() {},
  async expose() {
    return { contentType: '', body: '' };
  },
};

const preparations = await loadPreparations();

/** What the seed decided about this run. */
export interface Script {
  readonly seed: number;
  readonly plan: Plan;
  /** From when on the canary's errors are above the limit; null: never. */
  readonly badFrom: number | null;
  readonly crashAt: number | null;
  readonly blind: readonly [number, number] | null;
  readonly commands: readonly { readonly at: number; readonly command: Command }[];
  /** Somebody edits the route by hand. */
  readonly edits: readonly { readonly at: number; readonly weight: number | null }[];
  /** The API server refuses everything. */
  readonly outage: readonly [number, number] | null;
  readonly crashRate: number;
  readonly stallRate: number;
  readonly failRate: number;
  readonly lostWakes: number;
  /** How often a read is answered by a copy that is behind, as one that another worker's watch keeps. */
  readonly staleRate: number;
  /** Metrics are asked and never answer. */
  readonly hang: readonly [number, number] | null;
  /** Until when the canary's pods are not ready. */
  readonly readyFrom: number;
  /** From when on each gate of the plan approves; until then it says one thing or another. By its name. */
  readonly gates: Readonly<Record<string, { readonly from: number; readonly before: GateDecision }>>;
  /** A person asks to take the promotion back; too early, it is refused. */
  readonly reverts: readonly { readonly at: number; readonly force: boolean }[];
}

/** A guard taken away on purpose: shows that the invariants notice. */
export type Sabotage =
  | 'no_row_version'
  | 'no_resource_version'
  | 'no_fresh_reads'
  | 'no_token_beside'
  | 'evidence_apart'
  | 'any_answer_approves';

export interface World {
  readonly script: Script;
  readonly store: MemoryStore;
  readonly kube: ReturnType<typeof memoryKube>;
  readonly time: Scheduler;
  /** Every question that reached its gate, in order. */
  readonly asked: readonly Asked[];
  readonly users: Users;
}

export interface Asked {
  readonly question: string;
  readonly at: number;
  readonly decision: GateDecision;
}

/** After this the world is calm: no new faults, so that everything must come to rest. */
export const FAULTS_UNTIL = 20 * 60_000;
export const END = 45 * 60_000;

const TESTERS: Step = {
  weight: 0,
  hold: 20_000,
  approval: 'none',
  adds: { kind: 'headerRoute', match: { header: 'x-version', exact: 'v2' } },
};
const KEPT: SessionAffinity = {
  cookie: 'sluice-session',
  maxAge: 3_600_000,
  path: '/',
  secure: false,
  sameSite: 'Lax',
};
const COPIES: Step = {
  weight: 0,
  hold: 20_000,
  approval: 'none',
  adds: { kind: 'mirror', percent: 100, allowUnsafeMethods: true },
};

const SUBSETS: Step = {
  weight: 0,
  hold: 1_000,
  approval: 'none',
  prepares: { kind: 'ensureSubset', labels: null, settle: 10_000 },
};
const pods = (to: ScaleTo, seed: number): Step => ({
  weight: 0,
  hold: 1_000,
  approval: 'none',
  prepares: { kind: 'scale', to, onRollback: seed % 2 === 0 ? 'restore' : 'zero' },
});

/** Who has the canary's pods in a run that scales them. */
export const scaledBy = (seed: number): 'deployment' | 'hpa' | 'keda' =>
  (['deployment', 'hpa', 'keda'] as const)[Math.floor(seed / 5) % 3] ?? 'deployment';

/** A canary without pods, where its first step brings them. A HorizontalPodAutoscaler does not. */
export const beginsAsleep = (seed: number): boolean =>
  seed % 5 === 2 && seed % 4 !== 1 && seed % 3 !== 0 && scaledBy(seed) !== 'hpa';

export function scriptOf(seed: number): Script {
  const { random } = scheduler(seed ^ 0x5eed);
  const maybe = <T>(p: number, value: () => T): T | null => (random() < p ? value() : null);
  const span = (max: number) => Math.floor(random() * max);
  const weights = [5, 25, 50].slice(0, 1 + span(3)).map((weight, i, all) => ({
    weight,
    hold: 20_000 + span(40_000),
    approval: i === all.length - 1 && random() < 0.3 ? ('required' as const) : ('none' as const),
  }));
  // Some begin with what stands beside weights; drawn from the seed itself, so that all else stays as it was.
  const steps = [
    ...(seed % 4 === 1 ? [SUBSETS] : []),
    ...(seed % 3 === 0 ? [TESTERS] : []),
    ...(seed % 6 === 0 ? [COPIES] : []),
    ...(seed % 5 === 2 ? [pods({ match: 'nextWeight' }, seed)] : []),
    ...weights.slice(0, 1).map((step) => ({ ...step, ...(seed % 5 === 2 ? { approval: 'none' as const } : {}) })),
    ...(seed % 5 === 2 ? [{ ...pods({ replicas: 6 }, seed), weight: 5 }] : []),
    ...weights.slice(1),
  ];
  const base = aPlan();
  const plan: Plan = {
    ...base,
    steps,
    ...(seed % 4 === 1 ? { sessionAffinity: KEPT } : {}),
    analysis: {
      ...base.analysis,
      noData: { patience: 120_000, then: random() < 0.5 ? 'pause' : 'rollback' },
      trafficShare: 'observe',
      checks: [
        aCheck({ window: 20_000 }),
        aCheck({ name: 'latency', kind: 'latency', quantile: 0.99, threshold: { max: 500 }, window: 20_000 }),
      ],
    },
    drift: { then: random() < 0.5 ? 'pause' : 'reassert', maxReasserts: 2 },
    readyDeadline: 120_000,
    meshPatience: 60_000,
  };
  const verbs: readonly Command[] = [
    { name: 'abort', reason: 'test' },
    { name: 'promote', full: false },
    { name: 'promote', full: true },
    { name: 'pause', reason: '' },
    { name: 'resume' },
    { name: 'retry' },
  ];
  const commands = Array.from({ length: span(4) }, () => ({
    at: span(300_000),
    command: verbs[span(verbs.length)] ?? { name: 'resume' as const },
  }));
  const gated = gatesOf(seed);
  const judged = judgedOf(seed);
  const outageAt = span(240_000);
  const blindAt = span(200_000);
  return {
    seed,
    plan: {
      ...plan,
      analysis: { ...plan.analysis, ...judged },
      ...(gated.webhooks.length === 0 ? {} : { webhooks: gated.webhooks }),
    },
    gates: gated.says,
    badFrom: maybe(0.4, () => span(250_000)),
    crashAt: maybe(0.1, () => span(250_000)),
    blind: maybe(0.2, () => [blindAt, blindAt + span(300_000)] as const),
    commands,
    edits: Array.from({ length: random() < 0.3 ? 1 + span(3) : 0 }, () => ({
      at: span(300_000),
      weight: random() < 0.3 ? null : span(101),
    })),
    outage: maybe(0.2, () => [outageAt, outageAt + span(180_000)] as const),
    crashRate: random() < 0.5 ? random() * 0.02 : 0,
    stallRate: random() < 0.5 ? random() * 0.03 : 0,
    failRate: random() < 0.5 ? random() * 0.1 : 0,
    lostWakes: random() < 0.3 ? random() * 0.3 : 0,
    staleRate: random() < 0.5 ? random() * 0.5 : 0,
    hang: maybe(0.2, () => window(span(200_000), span(600_000))),
    readyFrom: random() < 0.2 ? span(60_000) : 0,
    reverts: revertsOf(seed),
  };
}

/** From a chance of their own: the rest of a seed's script stays what it was. */
function revertsOf(seed: number): Script['reverts'] {
  const { random } = scheduler(seed ^ 0xbac4);
  if (random() < 0.5) return [];
  return Array.from({ length: 1 + Math.floor(random() * 3) }, () => ({
    at: Math.floor(random() * FAULTS_UNTIL),
    force: random() < 0.3,
  }));
}

/** Who judges, from a chance of its own: one in four compares, half of those without any limit beside it. */
function judgedOf(seed: number): Pick<Plan['analysis'], 'evidence'> & Partial<Pick<Plan['analysis'], 'checks'>> {
  const random = chance(seed ^ 0xe71d);
  if (random() >= 0.25) return { evidence: null };
  const then = (['pause', 'rollback', 'promote'] as const)[Math.floor(random() * 3)] ?? 'pause';
  const unproven = { after: 60_000 + Math.floor(random() * 600_000), then };
  const evidence = anEvidencePlan({ mode: 'robust', latency: null, unproven, bake: random() < 0.3 ? 20_000 : 0 });
  return { evidence, ...(random() < 0.5 ? { checks: [] } : {}) };
}

/** As a preflight would have set it up. The bound of a ratio is words only, and takes most of the time. */
function setupOf({ analysis }: Plan): EvidenceSetup | null {
  const { evidence } = analysis;
  if (evidence === null) return null;
  const [pace] = pacesFor(evidence, SCRAPE);
  if (pace === undefined) throw new Error('the plan has no pace');
  const settings = { ...settingsOf(evidence, pace, []), keepBound: false };
  return { provider: 'prometheus', view: 'callers', pace, settings, words: 'simulated', calibration: null };
}

/** From a chance of their own, too. */
function gatesOf(seed: number): { readonly webhooks: readonly GateWebhook[]; readonly says: Script['gates'] } {
  const { random } = scheduler(seed ^ 0x6a7e);
  if (random() < 0.7) return { webhooks: [], says: {} };
  const said: readonly GateDecision[] = ['wait', 'wait', 'unavailable', 'unavailable', 'refuse'];
  const webhooks = (['beforeStart', 'beforeStep', 'beforePromotion'] as const)
    .filter(() => random() < 0.6)
    .map(
      (gate): GateWebhook => ({
        name: `at-${gate.toLowerCase()}`,
        url: 'https://gates.example.com/',
        gate,
        timeout: 3_000,
        interval: 5_000,
        deadline: 30_000 + Math.floor(random() * 120_000),
        then: random() < 0.5 ? 'pause' : 'rollback',
        onUnavailable: random() < 0.7 ? 'wait' : 'refuse',
      }),
    );
  const says = webhooks.map(({ name }) => {
    const before = said[Math.floor(random() * said.length)] ?? 'wait';
    return [name, { from: random() < 0.4 ? 0 : Math.floor(random() * 400_000), before }] as const;
  });
  return { webhooks, says: Object.fromEntries(says) };
}

const window = (from: number, length: number) => [from, from + length] as const;

/** A copy is at most this old. */
const STALE = 5_000;

const AWAY_FROM_PROMETHEUS = {
  ok: false as const,
  code: 'unavailable' as const,
  message: 'Prometheus is away',
  query: 'q',
};

const AWAY = { ok: false as const, code: 'unavailable' as const, status: 503, message: 'the API server is away' };

/** Runs the whole life of one rollout (and, in some seeds, its stalled twins) to `END` of virtual time. */
export async function simulate(
  script: Script,
  mesh: MeshModule,
  object: Parameters<ReturnType<typeof memoryKube>['put']>[0],
  sabotage: Sabotage | null = null,
): Promise<World> {
  const time = scheduler(script.seed);
  const honest = memoryStore(() => time.now());
  const store: MemoryStore =
    sabotage === 'no_row_version'
      ? { ...honest, commit: (change) => honest.commit(asIfCurrent(change, honest)) }
      : sabotage === 'evidence_apart'
        ? { ...honest, commit: (change) => keepingEvidence(change, honest) }
        : honest;
  const kube = remembering(memoryKube(), () => time.now());
  kube.put(object, 'kubectl-apply');
  for (const one of beside(script)) kube.put(one, 'kubectl-apply');
  const faulty = () => time.now() < FAULTS_UNTIL;
  const down = () => script.outage !== null && time.now() >= script.outage[0] && time.now() < script.outage[1];

  /** Every call to the world: takes time, may stall for minutes (a zombie), may never come back (a crash). */
  async function call<T>(effect: () => Promise<T>): Promise<T> {
    const { random } = time;
    await time.sleep(1 + random() * 20);
    if (faulty() && random() < script.crashRate) await new Promise<never>(() => {});
    if (faulty() && random() < script.stallRate) await time.sleep(random() * 180_000);
    const result = await effect();
    await time.sleep(random() * 5);
    if (faulty() && random() < script.crashRate) await new Promise<never>(() => {});
    return result;
  }

  const flaky = (): boolean => down() || (faulty() && time.random() < script.failRate);
  /** How far behind the copy is that answers now; 0: it is not. */
  const behind = (): number => (faulty() && time.random() < script.staleRate ? time.random() * STALE : 0);
  const fresh = sabotage === 'no_fresh_reads' ? behind : () => 0;
  const slowKube: KubeClient = {
    ...kube,
    get: (ref) => call(async () => (flaky() ? AWAY : kube.getAsOf(ref, fresh()))),
    read: (ref) => call(async () => (flaky() ? AWAY : kube.getAsOf(ref, behind()))),
    list: (kind) => call(async () => (flaky() ? AWAY : kube.list(kind))),
    patch: (ref, ops, options) =>
      call(async () => {
        if (down()) return AWAY;
        const free =
          sabotage ===
          (ref.plural === 'virtualservices' || ref.plural === 'httproutes' ? 'no_resource_version' : 'no_token_beside');
        const answer = await kube.patch(ref, free ? withoutPrecondition(ops, kube, ref) : ops, options);
        if (answer.ok) time.after(SCALES_AFTER, () => keepBounds(kube));
        // The answer may be lost although the write landed.
        return faulty() && time.random() < script.failRate
          ? { ...AWAY, code: 'timeout' as const, status: null }
          : answer;
      }),
  };

  const at = script.plan.target;
  const workload = (name: string, when: number): Workload => {
    const isCanary = name === at.canary.deployment;
    const crashed = isCanary && script.crashAt !== null && time.now() >= script.crashAt;
    if (!crashed && isCanary && when < script.readyFrom)
      return { ok: true, name, replicas: 2, ready: 0, settled: false, crash: null };
    const replicas = isCanary ? podsOf(kube) : 2;
    const crash = { reason: 'CrashLoopBackOff', message: `pod ${name}-a: CrashLoopBackOff`, fatal: true };
    return {
      ok: true,
      name,
      replicas,
      ready: crashed ? 0 : replicas,
      settled: !crashed,
      crash: crashed ? crash : null,
    };
  };
  const meshes: MeshGateway = {
    router: (target) => mesh.open(target, slowKube),
    workload: (target, role, options) =>
      call(async () => workload(target[role].deployment, time.now() - (options?.fresh === true ? fresh() : behind()))),
  };

  const isBlind = (): boolean => script.blind !== null && time.now() >= script.blind[0] && time.now() < script.blind[1];
  const measure = (role: 'stable' | 'canary', kind: string): Reading => {
    const now = time.now();
    if (isBlind()) return AWAY_FROM_PROMETHEUS;
    const bad = role === 'canary' && script.badFrom !== null && now >= script.badFrom && kind === 'error-rate';
    return { ok: true, value: kind === 'latency' ? 40 : bad ? 0.2 : 0.001, samples: 500, query: 'q' };
  };
  const seenBy = users({
    seed: script.seed,
    now: () => time.now(),
    weight: () => weightsOf(kube.object('myapp') as KubeObject).canary,
    bad: () => script.badFrom !== null && time.now() >= script.badFrom,
  });
  const scrapeOnce = (): void => {
    seenBy.scrape();
    if (time.now() < END) time.after(SCRAPE, scrapeOnce);
  };
  if (script.plan.analysis.evidence !== null) time.after(0, scrapeOnce);
  const hanging = (): Promise<never> | null =>
    script.hang !== null && time.now() >= script.hang[0] && time.now() < script.hang[1]
      ? new Promise<never>(() => {})
      : null;
  const provider: MetricsProvider = {
    name: 'prometheus',
    scrapeInterval: SCRAPE,
    measure: (question) => hanging() ?? call(async () => measure(question.role, question.kind)),
    count: (question) => hanging() ?? call(async () => (isBlind() ? AWAY_FROM_PROMETHEUS : seenBy.count(question))),
    share: () => hanging() ?? Promise.resolve(null),
    ping: async () => null,
  };

  // As the real queue: one scheduled look per rollout, replaced by a later one; commands and rollbacks beside it.
  let scheduled = 0;
  const queue: TickQueue = {
    async wake(id, delay, urgency) {
      if (faulty() && time.random() < script.lostWakes) return;
      if (urgency === 'tick') scheduled += 1;
      const mine = scheduled;
      time.after(delay + time.random() * 50, () => {
        if (urgency !== 'tick' || mine === scheduled) void run(id);
      });
    },
    async depth() {
      return { waiting: 0, delayed: 0, active: 0 };
    },
    async ping() {
      return null;
    },
  };

  const gateway = openPreparations({
    clusters: new Map([['default', { name: 'default', kube: slowKube, providers: new Map(), defaultProvider: '' }]]),
    meshes: new Map([[mesh.kind, mesh]]),
    preparations,
    writesHere: true,
  });
  const asked: Asked[] = [];
  const gates: GateKeeper = {
    objection: () => null,
    ask: ({ id, webhook }) =>
      call(async () => {
        const { from, before } = script.gates[webhook.name] ?? { from: 0, before: 'wait' };
        const decision = time.now() >= from ? 'approve' : before;
        asked.push({ question: id, at: time.now(), decision });
        return { decision: sabotage === 'any_answer_approves' ? 'approve' : decision, message: '' };
      }),
  };

  const ports = {
    store,
    gates,
    meshes,
    preparations: gateway,
    metrics: { provider: () => provider },
    queue,
    recorder: deaf,
    log: quiet,
    monotonic: () => time.now(),
    after: (delay: number, what: () => void) => {
      let wanted = true;
      time.after(delay, () => {
        if (wanted) what();
      });
      return () => {
        wanted = false;
      };
    },
    crashPoint: async () => {
      if (faulty() && time.random() < script.crashRate) await new Promise<never>(() => {});
    },
  };
  const run = (id: string): Promise<void> => tick(ports, id);
  const backstop = openSweep(
    { store, tick: run, log: quiet, now: () => time.now() },
    { grace: 3_000, claim: 5_000, limit: 100, atOnce: 100, lostAfter: 10_000 },
  );
  const sweepOnce = (): void => {
    void backstop.pass();
    if (time.now() < END) time.after(2_000, sweepOnce);
  };

  const started = await store.start(
    {
      id: `s${script.seed}`,
      plan: script.plan,
      source: {},
      createdBy: 'test',
      act: anAct(),
      objectKey: 'default VirtualService production/myapp',
      epochAbove: 0,
      observedWeight: 0,
      idempotency: null,
      warnings: [],
      evidence: setupOf(script.plan),
    },
    'nobody',
  );
  if (started.kind !== 'created') throw new Error('not created');
  const { id } = started.rollout;
  await queue.wake(id, 0, 'command');
  time.after(1_000, sweepOnce);
  for (const { at: when, command: wanted } of script.commands) {
    time.after(
      when,
      () => void command({ store, queue, audit: unheard, log: quiet }, { id, command: wanted, by: ANA }),
    );
  }
  for (const [i, { at: when, force }] of script.reverts.entries()) {
    const newId = () => `${id}-back${i}`;
    const asked = { id, reason: 'test', force, principal: ANA };
    time.after(when, () => void call(() => revert({ store, meshes, queue, audit: unheard, log: quiet, newId }, asked)));
  }
  for (const edit of script.edits) time.after(edit.at, () => editByHand(kube, edit.weight, script.seed % 8 === 1));
  // A second worker that ticks the same rollout now and then, whatever the queue says.
  for (let i = 0; i < 10; i += 1) time.after(time.random() * 300_000, () => void run(id));
  await time.run(END);
  return { script, store, kube, time, asked, users: seenBy };
}

const withoutPrecondition = (
  ops: readonly PatchOp[],
  kube: ReturnType<typeof memoryKube>,
  { name, plural }: ObjectRef,
): PatchOp[] =>
  ops.map((op) =>
    op.op === 'replace' && op.path === '/metadata/resourceVersion'
      ? { ...op, value: kube.object(name, plural)?.metadata.resourceVersion }
      : op,
  );

/** A commit that comes too late keeps its evidence all the same, as if that were stored apart from the decision. */
async function keepingEvidence(change: Commit, store: MemoryStore): Promise<boolean> {
  const landed = await store.commit(change);
  const row = store.row(change.previous.id);
  if (landed || change.evidence === null || row === undefined) return landed;
  row.ledger = change.evidence.ledger;
  if (change.evidence.closed !== null) row.blocks.push(change.evidence.closed);
  return false;
}

const asIfCurrent = (change: Commit, store: MemoryStore): Commit => ({
  ...change,
  previous: { ...change.previous, version: store.row(change.previous.id)?.rollout.version ?? 0 },
});

// ── what stands beside the route ────────────────────────────────────────────────────────────────────────────────────

const SCALES_AFTER = 2_000;
const anObject = (apiVersion: string, kind: string, name: string, spec: object): KubeObject => ({
  apiVersion,
  kind,
  metadata: { name, namespace: 'production' },
  spec,
});
const deployment = (version: string, replicas = 2): KubeObject =>
  anObject('apps/v1', 'Deployment', `myapp-${version}`, {
    replicas,
    template: { metadata: { labels: { app: 'myapp', version } } },
  });
const service = (name: string, selector: object): KubeObject => anObject('v1', 'Service', name, { selector });
const scaleTargetRef = { kind: 'Deployment', name: 'myapp-v2' };

function beside({ seed, plan }: Script): readonly KubeObject[] {
  const made = plan.steps.some(({ prepares }) => prepares?.kind === 'ensureSubset');
  const names = made ? ['v1'] : ['v1', 'v2'];
  const by = scaledBy(seed);
  return [
    deployment('v1'),
    deployment('v2', beginsAsleep(seed) ? 0 : 2),
    service('myapp', { app: 'myapp' }),
    service('myapp-v1', { app: 'myapp', version: 'v1' }),
    service('myapp-v2', { app: 'myapp', version: 'v2' }),
    anObject('networking.istio.io/v1', 'DestinationRule', 'myapp', {
      host: 'myapp',
      subsets: names.map((version) => ({ name: version, labels: { version } })),
    }),
    ...(by === 'hpa'
      ? [
          anObject('autoscaling/v2', 'HorizontalPodAutoscaler', 'myapp-v2', {
            scaleTargetRef,
            minReplicas: 2,
            maxReplicas: 9,
          }),
        ]
      : []),
    ...(by === 'keda'
      ? [anObject('keda.sh/v1alpha1', 'ScaledObject', 'myapp-v2', { scaleTargetRef, minReplicaCount: 2 })]
      : []),
  ];
}

const podsOf = (kube: ReturnType<typeof memoryKube>): number =>
  ((kube.object('myapp-v2', 'deployments')?.spec ?? { replicas: 0 }) as { replicas: number }).replicas;

/** As an autoscaler does, a moment later; what is scaled to 0 it leaves alone, but for KEDA. */
function keepBounds(kube: ReturnType<typeof memoryKube>): void {
  const found = kube.object('myapp-v2', 'deployments');
  const now = podsOf(kube);
  const least = Math.max(
    (kube.object('myapp-v2', 'horizontalpodautoscalers')?.spec as { minReplicas?: number } | undefined)?.minReplicas ??
      0,
    (kube.object('myapp-v2', 'scaledobjects')?.spec as { minReplicaCount?: number } | undefined)?.minReplicaCount ?? 0,
  );
  const wakes = kube.object('myapp-v2', 'scaledobjects') !== undefined;
  if (found === undefined || (now === 0 && !wakes) || now >= least) return;
  kube.put({ ...found, spec: { ...(found.spec as object), replicas: least } }, 'autoscaler');
}

interface RememberingKube extends ReturnType<typeof memoryKube> {
  /** The object as it was `age` milliseconds ago, as far back as it is known. */
  getAsOf(ref: Parameters<KubeClient['get']>[0], age: number): ReturnType<KubeClient['get']>;
}

function remembering(kube: ReturnType<typeof memoryKube>, now: () => number): RememberingKube {
  const pasts = new Map<string, { readonly at: number; readonly object: KubeObject }[]>();
  const pastOf = (name: string, plural: string) => {
    const past = pasts.get(`${plural}/${name}`) ?? [];
    pasts.set(`${plural}/${name}`, past);
    return past;
  };
  const note = (name: string, plural: string): void => {
    const object = kube.object(name, plural);
    const past = pastOf(name, plural);
    if (object !== undefined && past.at(-1)?.object !== object) past.push({ at: now(), object });
  };
  return {
    ...kube,
    put(object, by) {
      kube.put(object, by);
      note(object.metadata.name, `${object.kind.toLowerCase()}s`);
    },
    async patch(ref, ops, options) {
      const answer = await kube.patch(ref, ops, options);
      note(ref.name, ref.plural);
      return answer;
    },
    async getAsOf(ref, age) {
      const past = pastOf(ref.name, ref.plural);
      const then = past.findLast(({ at }) => at <= now() - age) ?? past[0];
      return age === 0 || then === undefined ? kube.get(ref) : { ok: true, value: then.object };
    },
  };
}

interface Rule {
  name?: string;
  route?: { weight?: number }[];
  backendRefs?: { weight?: number }[];
}

const keepsUsers = ({ name, route }: Rule): boolean =>
  ownRule(name ?? null)?.kind === 'sessionAffinity' && route?.length === 2;

/**
 * Someone with kubectl: weights by hand, or an unrelated edit that only moves the resourceVersion. `own`: the weights of a rule
 * that keeps users, where there is one.
 */
function editByHand(kube: ReturnType<typeof memoryKube>, weight: number | null, own: boolean): void {
  const object = kube.object('myapp');
  if (object === undefined) return;
  const copy = structuredClone(object) as unknown as {
    metadata: { labels?: Record<string, string> };
    spec: { http?: Rule[]; rules?: Rule[] };
  };
  const rules = copy.spec.http ?? copy.spec.rules;
  const rule = (own ? rules?.find(keepsUsers) : undefined) ?? rules?.find((r) => r.name === 'api');
  const [stable, canary] = rule?.route ?? rule?.backendRefs ?? [];
  if (weight === null || stable === undefined || canary === undefined)
    copy.metadata.labels = { ...copy.metadata.labels, edited: String(Math.random()) };
  else {
    stable.weight = 100 - weight;
    canary.weight = weight;
  }
  kube.put(copy as never);
}

export const lastCommit = (commits: readonly Commit[]): Commit | undefined => commits.at(-1);
export { isLive };
