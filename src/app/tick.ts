/**
 * One tick of one rollout: load, observe, advance, commit, apply, re-arm. Safe to run twice, late, in any process.
 *
 * The order is the guarantee. Commit before effect: a crash in between leaves a row that wants more than the mesh has,
 * and the next tick puts it right. The row's version stops a second writer; the object's resourceVersion and stamp stop
 * a stalled one.
 */
import { observe, weightToWrite, writeFailed } from '../domain/advance.ts';
import type { Change } from '../domain/change.ts';
import { stepWords } from '../domain/change.ts';
import { measurement } from '../domain/judge.ts';
import type { Measurement, Observation, Reading, Route, ShareReading, Workloads } from '../domain/observation.ts';
import type { Check, Instant, Millis, Weight } from '../domain/plan.ts';
import { weightAt } from '../domain/plan.ts';
import type { Rollout } from '../domain/rollout.ts';
import { stampOf } from '../domain/rollout.ts';
import { checksDue, nextTickAt, windowAt } from '../domain/schedule.ts';
import type { Doubt } from '../domain/share.ts';
import { doubtOf, NO_DOUBT } from '../domain/share.ts';
import type {
  Applied,
  CrashPoint,
  Decision,
  Logger,
  MeshGateway,
  MetricsGateway,
  MetricsProvider,
  Question,
  Recorder,
  RolloutStore,
  TickQueue,
  TrafficRouter,
} from './ports.ts';

export interface TickPorts {
  readonly store: RolloutStore;
  readonly meshes: MeshGateway;
  readonly metrics: MetricsGateway;
  readonly queue: TickQueue;
  readonly recorder: Recorder;
  readonly log: Logger;
  /** Milliseconds of a monotonic clock, for durations within this process. */
  readonly monotonic: () => Millis;
  readonly crashPoint?: CrashPoint;
}

const OBSERVED_WRITES = 3;

/** Looks at rollout `id` once and moves it as far as one look allows. */
export async function tick(ports: TickPorts, id: string): Promise<void> {
  const started = ports.monotonic();
  const loaded = await ports.store.load(id);
  if (loaded === null || loaded.rollout.phase.name === 'ended') return;
  const loadedAt = ports.monotonic();
  const { rollout, now, blocked, dueAt } = loaded;
  const log = ports.log.child({ rolloutId: id, version: rollout.version });
  const lag = dueAt === null ? 0 : Math.max(0, now - dueAt);
  await ports.crashPoint?.('loaded');

  const router = ports.meshes.router(rollout.plan.target);
  const seen = await look(ports, router, rollout, now, blocked);
  await ports.crashPoint?.('observed');

  const change = observe(rollout, seen);
  const next = bump(change);
  const committed = await ports.store.commit({
    previous: rollout,
    next,
    facts: change.facts,
    measurements: seen.measurements,
    at: now,
    nextTickAt: nextTickAt(next, now),
  });
  for (const m of seen.measurements) ports.recorder.check(kindOf(rollout, m), m.verdict, m.code);
  if (!committed) {
    log.info({}, 'somebody else moved first; looking again');
    await ports.queue.wake(id, 0, 'command');
    ports.recorder.tick(lag, ports.monotonic() - started, 'lost_race');
    return;
  }
  for (const fact of change.facts) log.info({ fact: fact.type, step: fact.step, seq: fact.seq }, fact.message);
  await ports.crashPoint?.('committed');

  const wakeIn = await bringAbout(ports, router, next, seen, loadedAt, log);
  ports.recorder.tick(lag, ports.monotonic() - started, next.phase.name === 'ended' ? 'ended' : 'committed');
  if (wakeIn !== null) await ports.queue.wake(id, wakeIn, next.phase.name === 'rolling_back' ? 'rollback' : 'tick');
}

/** Every commit is a new version, also where only the time of the next look changed. */
const bump = (change: Change): Rollout => ({ ...change.rollout, version: change.rollout.version + 1 });

const kindOf = (rollout: Rollout, m: Measurement): string =>
  rollout.plan.analysis.checks.find((c) => c.name === m.check)?.kind ?? 'unknown';

// ── look ────────────────────────────────────────────────────────────────────────────────────────────────────────────

async function look(
  ports: TickPorts,
  router: TrafficRouter,
  rollout: Rollout,
  at: Instant,
  blocked: boolean,
): Promise<Observation> {
  const waits = rollout.phase.name === 'pending' && rollout.phase.behind !== null;
  if (waits) return { at, route: null, workloads: null, measurements: [], share: null, blocked };
  // A rollback asks nothing of metrics or pods: only the object decides when it is over.
  if (rollout.phase.name === 'rolling_back')
    return {
      at,
      route: await router.read({ fresh: true, goingBack: true }),
      workloads: null,
      measurements: [],
      share: null,
      blocked,
    };
  const [route, workloads, evaluated] = await Promise.all([
    router.read(),
    lookAtWorkloads(ports, rollout),
    evaluate(ports, rollout, at),
  ]);
  const doubt = evaluated.doubt(route);
  return { at, route, workloads, measurements: evaluated.judged(doubt), share: evaluated.share, blocked };
}

async function lookAtWorkloads({ meshes }: TickPorts, rollout: Rollout): Promise<Workloads> {
  const { target } = rollout.plan;
  const [stable, canary] = await Promise.all([meshes.workload(target, 'stable'), meshes.workload(target, 'canary')]);
  return { stable, canary };
}

interface Evaluated {
  readonly share: ShareReading | null;
  doubt(route: Route): Doubt;
  judged(doubt: Doubt): readonly Measurement[];
}

const NOTHING: Evaluated = { share: null, doubt: () => NO_DOUBT, judged: () => [] };

/** Asks the due checks, both versions at once, all in parallel. */
async function evaluate(ports: TickPorts, rollout: Rollout, at: Instant): Promise<Evaluated> {
  const { phase, plan } = rollout;
  if ((phase.name !== 'progressing' && phase.name !== 'paused') || !checksDue(rollout, at)) return NOTHING;
  const { checks } = plan.analysis;
  const asked = await Promise.all(checks.map((check) => ask(ports, rollout, check, at)));
  const answers = asked.filter((answer) => answer !== null);
  if (answers.length === 0) return NOTHING;
  const { window } = answers[0] as NonNullable<(typeof answers)[number]>;
  const firstProvider = checks[0]?.provider ?? 'prometheus';
  const share = await ports.metrics.provider(firstProvider, plan.target.cluster).share(plan.target, window);
  const wanted = weightAt(plan, phase.step);
  return {
    share,
    doubt: (route) => doubtOf(plan, route, wanted, share),
    judged: (doubt) => answers.map((a) => measurement(a.check, phase.step, a.window, a.canary, a.stable, doubt)),
  };
}

async function ask(ports: TickPorts, rollout: Rollout, check: Check, at: Instant) {
  const { target } = rollout.plan;
  const provider = ports.metrics.provider(check.provider, target.cluster);
  const window = windowAt(rollout, check, at, provider.scrapeInterval);
  if (window === null) return null;
  const question = {
    kind: check.kind,
    target,
    window,
    ...(check.quantile === undefined ? {} : { quantile: check.quantile }),
    ...(check.query === undefined ? {} : { query: check.query }),
  };
  // A custom query is asked of the stable version only where a relative limit needs it; the built-in ones always, for the record.
  const wantsStable = check.kind !== 'prometheus' || check.threshold.relative !== undefined;
  const [canary, stable] = await Promise.all([
    guarded(ports, provider, { ...question, role: 'canary' }),
    wantsStable ? guarded(ports, provider, { ...question, role: 'stable' }) : Promise.resolve(null),
  ]);
  return { check, window, canary, stable };
}

/** A bug in a provider must not keep the tick from seeing a crashed canary or from rolling back: it is an error of this check. */
async function guarded({ log }: TickPorts, provider: MetricsProvider, question: Question): Promise<Reading> {
  try {
    return await provider.measure(question);
  } catch (error) {
    log.error({ err: error, provider: provider.name, kind: question.kind }, 'a metrics provider threw: this is a bug');
    const message = `metrics provider ${provider.name} failed: ${error instanceof Error ? error.message : String(error)}`;
    return { ok: false, code: 'unavailable', message, query: question.query ?? question.kind };
  }
}

// ── bring about ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** Moves the mesh toward the committed weight. Answers in how many milliseconds to look again; null: never. */
async function bringAbout(
  ports: TickPorts,
  router: TrafficRouter,
  rollout: Rollout,
  seen: Observation,
  loadedAt: Millis,
  log: Logger,
): Promise<Millis | null> {
  const due = nextTickAt(rollout, seen.at);
  const wait = due === null ? null : Math.max(0, due - seen.at);
  // The tick itself took time: counted from now, the next look would be late by as much.
  const remaining = wait === null ? null : Math.max(0, wait - (ports.monotonic() - loadedAt));
  let look = seen;
  for (let attempt = 1; attempt <= OBSERVED_WRITES; attempt += 1) {
    const weight = weightToWrite(rollout, look);
    if (weight === null || look.route?.ok !== true) return remaining;
    const applied = await write(ports, router, rollout, weight, look.route.token, log);
    if (applied.kind === 'applied') {
      await ports.crashPoint?.('recorded');
      return wait === null ? null : Math.min(wait, 250);
    }
    if (applied.kind === 'superseded') return wait;
    if (applied.kind === 'trouble') return await keepTrouble(ports, rollout, look, applied, wait);
    // A conflict on the way up is decided anew by the next tick; on the way down the write is repeated at once.
    if (rollout.phase.name !== 'rolling_back') return 0;
    look = { ...look, route: await router.read({ fresh: true, goingBack: true }) };
  }
  return wait;
}

async function write(
  ports: TickPorts,
  router: TrafficRouter,
  rollout: Rollout,
  weight: Weight,
  token: string,
  log: Logger,
): Promise<Applied> {
  const decision = decisionOf(rollout, weight);
  const started = ports.monotonic();
  const applied = await router.apply(decision, token);
  const tookMs = ports.monotonic() - started;
  await ports.crashPoint?.('applied');
  ports.recorder.meshWrite(rollout.plan.target.mesh, applied.kind, tookMs);
  const message = describe(applied);
  log.info({ weight, generation: rollout.generation, result: applied.kind }, `${router.object}: ${message}`);
  await ports.store.recordWrite(rollout.id, {
    at: decision.at,
    object: router.object,
    generation: rollout.generation,
    canaryWeight: weight,
    before: applied.kind === 'applied' ? applied.before : null,
    result: applied.kind,
    message,
    tookMs,
  });
  return applied;
}

function describe(applied: Applied): string {
  switch (applied.kind) {
    case 'applied':
      return `canary weight ${applied.before} -> ${applied.after}`;
    case 'conflict':
      return 'the object changed since it was read';
    case 'superseded':
      return `the object carries a newer decision (rollout ${applied.by.rollout}, generation ${applied.by.generation})`;
    case 'trouble':
      return applied.trouble.message;
    default:
      return applied satisfies never;
  }
}

/** What stands on the object beside the weights: who decided what, and why. */
export function decisionOf(rollout: Rollout, canaryWeight: Weight): Decision {
  const { phase } = rollout;
  const at = phase.name === 'rolling_back' || phase.name === 'paused' ? phase.since : rollout.createdAt;
  const reason =
    phase.name === 'rolling_back'
      ? phase.outcome.message
      : phase.name === 'progressing' || phase.name === 'paused'
        ? stepWords(rollout, phase.step)
        : phase.name;
  return { stamp: stampOf(rollout), canaryWeight, reason: reason.slice(0, 500), actor: 'sluice', at };
}

/** The write failed: remembered on the row for the back-off and for people. Losing this commit loses nothing. */
async function keepTrouble(
  ports: TickPorts,
  rollout: Rollout,
  seen: Observation,
  applied: Extract<Applied, { kind: 'trouble' }>,
  wait: Millis | null,
): Promise<Millis | null> {
  const change = writeFailed(rollout, seen.at, applied.trouble);
  const next = bump(change);
  const due = nextTickAt(next, seen.at);
  await ports.store.commit({
    previous: rollout,
    next,
    facts: change.facts,
    measurements: [],
    at: seen.at,
    nextTickAt: due,
  });
  const backOff = due === null ? wait : Math.max(0, due - seen.at);
  return backOff === null ? null : Math.max(backOff, (applied.trouble.retryAfter ?? 0) * 1000);
}
