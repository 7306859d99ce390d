/**
 * One tick of one rollout: load, observe, advance, commit, apply, re-arm. Safe to run twice, late, in any process.
 *
 * The order is the guarantee. Commit before effect: a crash in between leaves a row that wants more than the mesh has,
 * and the next tick puts it right. The row's version stops a second writer; the object's resourceVersion and stamp stop
 * a stalled one.
 */
import { observe, weightToWrite, writeFailed, writeLanded } from '../domain/advance.ts';
import type { Change } from '../domain/change.ts';
import { SYSTEM, stepWords } from '../domain/change.ts';
import { comparisonDue, withoutLedger } from '../domain/comparison.ts';
import { canGoOn } from '../domain/evidence/ledger.ts';
import { duration } from '../domain/format.ts';
import { guardKey, guardsAt, isGuardKey, isNews } from '../domain/guard.ts';
import { inForce } from '../domain/in-force.ts';
import { measurement } from '../domain/judge.ts';
import type {
  Measurement,
  NoValueCode,
  Observation,
  Reading,
  Route,
  RouteReading,
  RouteTrouble,
  ShareReading,
} from '../domain/observation.ts';
import type { Check, Instant, Millis, Weight } from '../domain/plan.ts';
import { weightAt } from '../domain/plan.ts';
import type { Rollout, Stamp } from '../domain/rollout.ts';
import { desiredTemporary, desiredWeight, stampOf, stepOf } from '../domain/rollout.ts';
import { checksDue, nextTickAt, READ_BACK, windowAt } from '../domain/schedule.ts';
import type { Doubt } from '../domain/share.ts';
import { doubtOf, NO_DOUBT } from '../domain/share.ts';
import { count, FALLBACK } from './count.ts';
import { askGates } from './gates.ts';
import {
  type Decided,
  decide,
  glance,
  goesBack,
  goesBackWhateverIsMeasured,
  type Lookout,
  type Refusals,
} from './look.ts';
import type {
  Applied,
  CrashPoint,
  Decision,
  FaultWitness,
  GateKeeper,
  GuardFinding,
  GuardGateway,
  Loaded,
  Logger,
  MeshGateway,
  MetricsGateway,
  MetricsProvider,
  PreparationGateway,
  Prober,
  Question,
  Recorder,
  RolloutStore,
  TickQueue,
  TrafficRouter,
} from './ports.ts';
import { bringBeside, lookBeside } from './prepare.ts';
import { rehearse } from './rehearse.ts';
import { stepAt, type Tracer, UNTRACED } from './tracer.ts';

export interface TickPorts {
  readonly store: RolloutStore;
  readonly meshes: MeshGateway;
  readonly metrics: MetricsGateway;
  /** Absent: guards are not asked, and a plan that has strict ones goes nowhere. */
  readonly guards?: GuardGateway;
  readonly queue: TickQueue;
  readonly recorder: Recorder;
  /** Absent: nothing is traced. */
  readonly tracer?: Tracer;
  readonly log: Logger;
  /** Milliseconds of a monotonic clock, for durations within this process. */
  readonly monotonic: () => Millis;
  /** Calls back after that time unless the answer is called before. Default: a timer of this process. */
  readonly after?: (time: Millis, what: () => void) => () => void;
  /** How long the checks of one tick may take together. Default 6 s: one query's own deadline and something to spare. */
  readonly evaluateWithin?: Millis;
  /** Absent: this process makes nothing ready beside routes, and a plan that wants it goes nowhere. */
  readonly preparations?: PreparationGateway;
  /** Absent: a rollout that has waited begins on the preflight of its acceptance. */
  readonly refusals?: Refusals;
  /** Absent: this process asks no gates, and none opens. */
  readonly gates?: GateKeeper;
  /** Absent: this process sends no probes, and a rehearsal cannot be made. */
  readonly prober?: Prober;
  /** Absent: no proxies tell of injected faults. */
  readonly faults?: FaultWitness;
  readonly crashPoint?: CrashPoint;
  /** Where people see a rollout; null: this installation has no public address. Absent: the same. */
  readonly pageOf?: (id: string) => string | null;
}

const OBSERVED_WRITES = 3;
const EVALUATE_WITHIN: Millis = 6_000;

type TickOutcome = Parameters<Recorder['tick']>[2];

/** Looks at rollout `id` once and moves it as far as one look allows. Throws: a bug, or the store cannot be used. */
export async function tick(ports: TickPorts, id: string): Promise<void> {
  const started = ports.monotonic();
  let lag: Millis = 0;
  const record = (outcome: TickOutcome): void => ports.recorder.tick(lag, ports.monotonic() - started, outcome);
  try {
    const loaded = await ports.store.load(id);
    if (loaded === null || loaded.rollout.phase.name === 'ended') return;
    lag = loaded.dueAt === null ? 0 : Math.max(0, loaded.now - loaded.dueAt);
    record(await traced(ports, loaded.rollout, () => move(ports, loaded)));
  } catch (error) {
    record('failed');
    throw error;
  }
}

/** In the trace of the step that the rollout stands at. */
const traced = (
  { tracer = UNTRACED }: TickPorts,
  rollout: Rollout,
  work: () => Promise<TickOutcome>,
): Promise<TickOutcome> =>
  tracer.step(stepAt(rollout), 'rollout.tick', { 'sluice.version': rollout.version }, async (span) => {
    const outcome = await work();
    span.set({ 'sluice.tick': outcome });
    return outcome;
  });

async function move(ports: TickPorts, loaded: Loaded): Promise<TickOutcome> {
  const loadedAt = ports.monotonic();
  const { rollout, now } = loaded;
  const { id } = rollout;
  const log = logOf(ports, rollout, rollout);
  await ports.crashPoint?.('loaded');

  const router = ports.meshes.router(rollout.plan.target);
  const { seen, change } = await look(ports, router, loaded);
  await ports.crashPoint?.('observed');

  const next = bump(change);
  const committed = await ports.store.commit({
    previous: rollout,
    next,
    facts: change.facts,
    measurements: seen.measurements.filter((measured) => isNews(rollout, measured)),
    evidence: seen.evidence?.ok === true ? seen.evidence : null,
    at: now,
    nextTickAt: nextTickAt(next, now),
  });
  for (const m of seen.measurements) ports.recorder.check(kindOf(rollout, m), m.verdict, m.code);
  if (!committed) {
    log.info({}, 'somebody else moved first; looking again');
    await ports.queue.wake(id, 0, 'command');
    return 'lost_race';
  }
  for (const fact of change.facts) log.info({ fact: fact.type, step: fact.step, seq: fact.seq }, fact.message);
  await ports.crashPoint?.('committed');
  if (change.facts.some((fact) => fact.type === 'weight_reached') && rollout.appliedGeneration !== rollout.generation)
    await recordFound(ports, router, rollout, now);

  const { tracer = UNTRACED } = ports;
  // What a new step wants is done for that one, and told in its trace.
  const go = () => bringAbout(ports, router, next, seen, loadedAt, logOf(ports, rollout, next));
  const wakeIn = await (stepOf(next) === stepOf(rollout) ? go() : tracer.step(stepAt(next), 'rollout.enter', {}, go));
  if (wakeIn !== null) await ports.queue.wake(id, wakeIn, next.phase.name === 'rolling_back' ? 'rollback' : 'tick');
  // After the wake: an object beside the route that does not answer must not delay the next look at the route.
  await prepare(ports, next, seen, log);
  await conclude(ports, router, next, log);
  return next.phase.name === 'ended' ? 'ended' : 'committed';
}

/** A write that was refused is remembered, so that whoever waits is told why. Losing this commit loses only that. */
async function prepare(ports: TickPorts, rollout: Rollout, seen: Observation, log: Logger): Promise<void> {
  const failed = await bringBeside(ports.preparations, rollout, seen, log);
  if (failed === null) return;
  await ports.store.commit({
    previous: rollout,
    next: { ...failed, version: failed.version + 1 },
    facts: [],
    measurements: [],
    evidence: null,
    at: seen.at,
    nextTickAt: nextTickAt(failed, seen.at),
  });
}

/** Lines of a tick that loaded `loaded`, about the step at which `rollout` stands. */
function logOf(ports: TickPorts, loaded: Rollout, rollout: Rollout): Logger {
  const traceId = traceOf(ports, rollout);
  return ports.log.child({ rolloutId: loaded.id, version: loaded.version, ...(traceId === null ? {} : { traceId }) });
}

/** Every commit is a new version, also where only the time of the next look changed. */
const bump = (change: Change): Rollout => ({ ...change.rollout, version: change.rollout.version + 1 });

const kindOf = (rollout: Rollout, m: Measurement): string =>
  isGuardKey(m.check) ? 'guard' : (rollout.plan.analysis.checks.find((c) => c.name === m.check)?.kind ?? 'unknown');

// ── look ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * First what needs no metrics: a canary that cannot run, or a deadline, must not wait for a Prometheus that hangs. Then,
 * with the checks that are due, everything else.
 */
async function look(
  ports: TickPorts,
  router: TrafficRouter,
  { rollout, now: at, blocked, supersededBy, ledger }: Loaded,
): Promise<Decided> {
  const given = { at, blocked, supersededBy };
  const { preparations: beside, refusals } = ports;
  const lookout: Lookout = {
    meshes: ports.meshes,
    router,
    ...(beside === undefined ? {} : { preparations: beside }),
    ...(refusals === undefined ? {} : { refusals }),
  };
  let seen = await glance(lookout, rollout, given);
  if (goesBackWhateverIsMeasured(observe(rollout, seen).rollout)) {
    const early = await decide(lookout, rollout, seen);
    if (goesBack(early.change.rollout)) return early;
    seen = early.seen;
  }
  const deadline = startDeadline(ports);
  const { route } = seen;
  const [{ share, doubt, judged }, rehearsed, evidence, preparations, gates] = await Promise.all([
    evaluate(ports, rollout, route, at, deadline),
    route === null ? [] : rehearse(ports, rollout, at),
    route === null || !comparisonDue(rollout, at)
      ? null
      : ledger === null || !canGoOn(ledger)
        ? withoutLedger(rollout, at)
        : hurrying(deadline, count(ports, rollout, ledger, route, at, deadline.orElse)),
    seen.preparations ?? deadline.orElse(lookBeside(beside, rollout, seen, ports.log), () => []),
    askGates(ports, rollout, at, deadline.orElse),
  ]);
  deadline.clear();
  const looked = route === null ? [] : [...judged(doubt(route)), ...rehearsed];
  // Who was not waited for has nothing to answer for.
  const measurements = isProvenBad(evidence) ? looked.filter(({ code }) => code !== 'timeout') : looked;
  return decide(lookout, rollout, { ...seen, measurements, share, evidence, preparations, gates });
}

/** The canary is proven bad: whoever has not answered in a moment is not waited for. */
async function hurrying(
  deadline: Deadline,
  counting: Promise<Observation['evidence']>,
): Promise<Observation['evidence']> {
  const evidence = await counting;
  if (isProvenBad(evidence)) deadline.within(A_MOMENT);
  return evidence;
}

const isProvenBad = (evidence: Observation['evidence']): boolean =>
  evidence?.ok === true && evidence.closed?.finding.verdict === 'bad';

/** A Prometheus that is well has answered by then, and its last numbers are in the history. */
const A_MOMENT: Millis = 250;

interface Evaluated {
  readonly share: ShareReading | null;
  doubt(route: Route): Doubt;
  judged(doubt: Doubt): readonly Measurement[];
}

const NOTHING: Evaluated = { share: null, doubt: () => NO_DOUBT, judged: () => [] };

interface DueCheck {
  readonly check: Check;
  readonly window: Millis;
  /** A string: why there is none to ask. */
  readonly provider: MetricsProvider | string;
}

/** Asks the due checks, both versions and the share at once, all in parallel and all within one deadline. */
async function evaluate(
  ports: TickPorts,
  rollout: Rollout,
  route: Route | null,
  at: Instant,
  deadline: Deadline,
): Promise<Evaluated> {
  const { phase, plan } = rollout;
  if ((phase.name !== 'progressing' && phase.name !== 'paused') || !checksDue(rollout, at)) return NOTHING;
  const due = plan.analysis.checks.flatMap((check) => dueCheck(ports, rollout, check, at) ?? []);
  const [first] = due;
  const [share, answers, guarded] = await Promise.all([
    first === undefined ? null : deadline.orElse(shareOf(ports, rollout, first), () => null),
    Promise.all(due.map((one) => ask(ports, rollout, one, at, deadline))),
    route?.ok === true ? lookOut(ports, rollout, route, at, deadline) : [],
  ]);
  if (answers.length + guarded.length === 0) return NOTHING;
  const wanted = inForce(rollout)?.weight ?? weightAt(plan, phase.step);
  return {
    share,
    doubt: (route) => doubtOf(plan, route, wanted, share),
    judged: (doubt) => [
      ...answers.map((a) => ({
        ...measurement(a.check, phase.step, a.window, a.canary, a.stable, doubt),
        ...(a.instead === null ? {} : { instead: a.instead }),
      })),
      ...guarded,
    ],
  };
}

/** How far back a guard may look at a weight with few users. */
const LONGEST_LOOK: Millis = 3_600_000;

/** What the guards that are due found. One that is late, or has a bug, does not know: it keeps nobody from rolling back. */
async function lookOut(
  { guards, log }: TickPorts,
  rollout: Rollout,
  route: RouteReading,
  at: Instant,
  deadline: Deadline,
): Promise<readonly Measurement[]> {
  const { phase, plan, createdAt } = rollout;
  if (guards === undefined || phase.name === 'pending' || phase.name === 'ended') return [];
  const { step } = phase;
  const { target, analysis } = plan;
  const scrapeInterval = guards.scrapeInterval(target.cluster);
  const asked = guardsAt(rollout).map(async (guard): Promise<readonly Measurement[]> => {
    const window = windowAt(rollout, guard, at, scrapeInterval);
    if (window === null) return [];
    const { trafficShare } = analysis;
    const wanted = inForce(rollout)?.weight ?? weightAt(plan, step);
    const longest = Math.max(window, windowAt(rollout, { window: LONGEST_LOOK }, at, scrapeInterval) ?? window);
    const question = { guard, target, window, longest, wanted, route, trafficShare, since: createdAt, now: at };
    const none = (code: NoValueCode, message: string): GuardFinding => ({
      // A strict one is waited for while it may yet be answered, as a check is.
      verdict: guard.strict ? 'error' : 'unknown',
      code,
      reason: message,
      canary: { ok: false, code, message, query: '' },
      stable: null,
      threshold: null,
    });
    const looking = guards.look(question).catch((error: unknown) => {
      log.error({ err: error, guard: guard.name }, 'a guard threw: this is a bug');
      return none('unavailable', `the guard failed by a bug of its own, which the log has: ${wordsOf(error)}`);
    });
    const found = await deadline.orElse(looking, (within) =>
      none('timeout', `${guards.asks(guard.name)} gave it no answer within ${duration(within)}; it is slow or hangs`),
    );
    return found === null ? [] : [{ window, ...found, check: guardKey(guard.name), step }];
  });
  return (await Promise.all(asked)).flat();
}

/** null: the step is too young for this check. */
function dueCheck(ports: TickPorts, rollout: Rollout, check: Check, at: Instant): DueCheck | null {
  const { provider, scrapeInterval } = providerOf(ports, rollout, check);
  const window = windowAt(rollout, check, at, scrapeInterval);
  return window === null ? null : { check, window, provider };
}

/** A provider that is not known any more (the configuration changed since the start) is an error of each of its checks. */
function providerOf(
  { metrics, log }: TickPorts,
  { plan }: Rollout,
  check: Check,
): { provider: MetricsProvider | string; scrapeInterval: Millis } {
  try {
    const provider = metrics.provider(check.provider, plan.target.cluster);
    return { provider, scrapeInterval: provider.scrapeInterval };
  } catch (error) {
    log.error({ err: error, provider: check.provider, check: check.name }, 'a check has no metrics provider');
    return { provider: `metrics provider ${check.provider}: ${wordsOf(error)}`, scrapeInterval: 0 };
  }
}

async function shareOf(
  { log }: TickPorts,
  { plan }: Rollout,
  { provider, window }: DueCheck,
): Promise<ShareReading | null> {
  if (typeof provider === 'string') return null;
  try {
    return await provider.share(plan.target, window);
  } catch (error) {
    log.error({ err: error, provider: provider.name }, 'a metrics provider threw at the share: this is a bug');
    return null;
  }
}

interface Answers {
  readonly check: Check;
  readonly window: Millis;
  readonly canary: Reading;
  readonly stable: Reading | null;
  readonly instead: NonNullable<Measurement['instead']> | null;
}

/** The plan's provider; where that one is away, Prometheus in its place, and never without a word. */
async function ask(
  ports: TickPorts,
  rollout: Rollout,
  due: DueCheck,
  at: Instant,
  deadline: Deadline,
): Promise<Answers> {
  const { check } = due;
  const other = fallbackFor(ports, rollout, check, at);
  const known = rollout.tallies[check.name];
  // Both at once where it did not answer the last time: one that hangs until the deadline leaves no time for another.
  const eager = other !== null && (known?.provider === FALLBACK || (known?.blindSince ?? null) !== null);
  const second = other !== null && eager ? askOne(ports, rollout, other, deadline) : null;
  const first = await askOne(ports, rollout, due, deadline);
  const away = [first.canary, first.stable].find((reading) => reading?.ok === false && AWAY.has(reading.code));
  if (other === null || away === undefined || away === null || away.ok) return { ...first, instead: null };
  const answer = await (second ?? askOne(ports, rollout, other, deadline));
  if (!answer.canary.ok) return { ...first, instead: null };
  return { ...answer, instead: { provider: FALLBACK, why: `${check.provider}: ${away.message}` } };
}

/** The provider could not answer, whatever the service does. */
const AWAY: ReadonlySet<NoValueCode> = new Set(['timeout', 'unavailable', 'unauthorized', 'malformed', 'partial']);

/** null: the plan's own is that one, only that one can answer, or the time is too short for its scrapes. */
function fallbackFor(ports: TickPorts, rollout: Rollout, check: Check, at: Instant): DueCheck | null {
  if (check.provider === FALLBACK || check.kind === 'prometheus') return null;
  try {
    const provider = ports.metrics.provider(FALLBACK, rollout.plan.target.cluster);
    const window = windowAt(rollout, check, at, provider.scrapeInterval);
    return window === null ? null : { check, window, provider };
  } catch {
    return null; // an installation without Prometheus
  }
}

async function askOne(ports: TickPorts, rollout: Rollout, due: DueCheck, deadline: Deadline) {
  const { check, window, provider } = due;
  const question = {
    kind: check.kind,
    target: rollout.plan.target,
    window,
    ...(check.route === undefined ? {} : { route: check.route }),
    ...(check.quantile === undefined ? {} : { quantile: check.quantile }),
    ...(check.query === undefined ? {} : { query: check.query }),
  };
  // A custom query is asked of the stable version only where a relative limit needs it; the built-in ones always, for the record.
  const wantsStable = check.kind !== 'prometheus' || check.threshold.relative !== undefined;
  const [canary, stable] = await Promise.all([
    askedFor(ports, check, provider, { ...question, role: 'canary' }, deadline),
    wantsStable ? askedFor(ports, check, provider, { ...question, role: 'stable' }, deadline) : Promise.resolve(null),
  ]);
  return { check, window, canary, stable };
}

/** A span of its own: one query may answer many rollouts, and is then in the trace of the one that asked first. */
const askedFor = (
  ports: TickPorts,
  check: Check,
  provider: MetricsProvider | string,
  question: Question,
  deadline: Deadline,
): Promise<Reading> =>
  (ports.tracer ?? UNTRACED).part(
    'rollout.check',
    { 'sluice.check': check.name, 'sluice.role': question.role, 'sluice.provider': check.provider },
    async (span) => {
      const reading = await guarded(ports, provider, question, deadline);
      if (!reading.ok) span.fail(reading.code);
      return reading;
    },
  );

/** A bug in a provider must not keep the tick from seeing a crashed canary or from rolling back: it is an error of this check. */
async function guarded(
  { log }: TickPorts,
  provider: MetricsProvider | string,
  question: Question,
  deadline: Deadline,
): Promise<Reading> {
  const query = question.query ?? question.kind;
  const none = (code: NoValueCode, message: string): Reading => ({ ok: false, code, message, query });
  if (typeof provider === 'string') return none('unavailable', provider);
  const measured = async (): Promise<Reading> => {
    try {
      return await provider.measure(question);
    } catch (error) {
      log.error(
        { err: error, provider: provider.name, kind: question.kind },
        'a metrics provider threw: this is a bug',
      );
      return none('unavailable', `metrics provider ${provider.name} failed: ${wordsOf(error)}`);
    }
  };
  return deadline.orElse(measured(), (within) =>
    none('timeout', `metrics provider ${provider.name} gave no answer within ${duration(within)}; it is slow or hangs`),
  );
}

const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

interface Deadline {
  /** What `answer` gives, or after the deadline what `late` says instead. */
  orElse<T>(answer: Promise<T>, late: (within: Millis) => T): Promise<T>;
  /** It passes after `time` at the latest. */
  within(time: Millis): void;
  clear(): void;
}

function startDeadline({ after = afterTimer, evaluateWithin = EVALUATE_WITHIN }: TickPorts): Deadline {
  const { promise: passed, resolve: pass } = Promise.withResolvers<void>();
  const timers = [after(evaluateWithin, pass)];
  return {
    orElse: (answer, late) => Promise.race([answer, passed.then(() => late(evaluateWithin))]),
    within(time) {
      timers.push(after(time, pass));
    },
    clear() {
      for (const clear of timers) clear();
    },
  };
}

const afterTimer = (time: Millis, what: () => void): (() => void) => {
  const timer = setTimeout(what, time);
  return () => clearTimeout(timer);
};

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
  const decision = (weight: Weight): Decision => decisionOf(rollout, weight, seen.at, pageOf(ports, rollout));
  for (let attempt = 1; attempt <= OBSERVED_WRITES; attempt += 1) {
    const weight = weightToWrite(rollout, look);
    if (weight === null || look.route?.ok !== true) return remaining;
    const applied = await write(ports, router, rollout, decision(weight), look.route.token, log);
    if (applied.kind === 'applied') {
      await ports.crashPoint?.('recorded');
      return await keepLanded(ports, rollout, look.at);
    }
    if (applied.kind === 'superseded')
      return await keepTrouble(ports, rollout, look.at, overtaken(router, rollout, applied.by), wait);
    if (applied.kind === 'trouble') return await keepTrouble(ports, rollout, look.at, applied.trouble, wait);
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
  decision: Decision,
  token: string,
  log: Logger,
): Promise<Applied> {
  const started = ports.monotonic();
  const applied = await router.apply(decision, token);
  const tookMs = ports.monotonic() - started;
  await ports.crashPoint?.('applied');
  ports.recorder.meshWrite(rollout.plan.target.mesh, applied.kind, tookMs);
  const message = describe(applied);
  const { canaryWeight } = decision;
  log.info(
    { weight: canaryWeight, generation: rollout.generation, result: applied.kind },
    `${router.object}: ${message}`,
  );
  await ports.store.recordWrite(rollout.id, {
    at: decision.at,
    object: router.object,
    generation: rollout.generation,
    canaryWeight,
    before: applied.kind === 'applied' ? applied.before : null,
    result: applied.kind,
    message,
    tookMs,
    traceId: traceOf(ports, rollout),
  });
  return applied;
}

/** A process that died between its write and the record of it leaves the write in the history all the same. */
function recordFound(ports: TickPorts, { object }: TrafficRouter, rollout: Rollout, at: Instant): Promise<void> {
  const canaryWeight = desiredWeight(rollout) ?? 0;
  const message = `canary weight ${canaryWeight} read back; the process that wrote it did not confirm it`;
  const { id, generation } = rollout;
  return ports.store.recordWrite(id, {
    at,
    object,
    generation,
    canaryWeight,
    before: null,
    result: 'applied',
    message,
    tookMs: 0,
    traceId: traceOf(ports, rollout),
  });
}

const traceOf = ({ tracer = UNTRACED }: TickPorts, rollout: Rollout): string | null => tracer.traceOf(stepAt(rollout));

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

const pageOf = (ports: TickPorts, { id }: Rollout): string | null => ports.pageOf?.(id) ?? null;

/** What stands on the object beside the weights: who decided what, and why, as the committed row has it. `at`: of this look. */
export function decisionOf(rollout: Rollout, canaryWeight: Weight, at: Instant, link: string | null = null): Decision {
  return {
    stamp: stampOf(rollout),
    canaryWeight,
    temporary: desiredTemporary(rollout),
    goingBack: rollout.phase.name === 'rolling_back',
    ...(decidedAs(rollout, canaryWeight) ?? untold(rollout, at)),
    link,
  };
}

type Told = Pick<Decision, 'fact' | 'step' | 'from' | 'reason' | 'actor' | 'at'>;

/** null: what the row has is of another decision, since a worker of a release that does not keep it has moved on. */
function decidedAs(rollout: Rollout, canaryWeight: Weight): Told | null {
  const { decided } = rollout;
  return decided !== undefined && decided.to === canaryWeight && decided.step === stepOf(rollout) ? decided : null;
}

function untold(rollout: Rollout, at: Instant): Told {
  const { phase } = rollout;
  const step = stepOf(rollout);
  const reason =
    phase.name === 'rolling_back' ? phase.outcome.message : step === null ? phase.name : stepWords(rollout, step);
  return { fact: null, step, from: null, reason, actor: SYSTEM, at };
}

/** The end is committed, and waits for nothing: a process that dies here, or an object that cannot be written, leaves it unsaid. */
async function conclude(ports: TickPorts, router: TrafficRouter, rollout: Rollout, log: Logger): Promise<void> {
  const { phase } = rollout;
  // Before the first step nothing was written, and nothing is.
  if (phase.name !== 'ended' || rollout.decided === undefined) return;
  const said = await router.conclude({
    stamp: stampOf(rollout),
    status: phase.status,
    step: phase.step,
    weight: phase.status === 'succeeded' ? 100 : 0,
    outcome: phase.outcome.message,
    actor: rollout.decided.actor,
    at: phase.at,
    link: pageOf(ports, rollout),
  });
  if (said.kind === 'left') log.info({}, `${router.object}: its end is not said on the object: ${said.message}`);
}

/** A newer decision is on the object: another installation's, or our own from before the database was restored. */
function overtaken({ object }: TrafficRouter, { id, epoch, generation }: Rollout, by: Stamp): RouteTrouble {
  const message =
    by.rollout === id
      ? `${object} carries generation ${by.generation} of this rollout where generation ${generation} was to be written: the database is behind the object (restored from a backup?). The next look decides above it`
      : `${object} carries a newer decision, of rollout ${by.rollout} (epoch ${by.epoch}, generation ${by.generation}); this rollout has epoch ${epoch}, generation ${generation}. Another installation of Sluice writes to it: stop one of them and remove its decision (an annotation) from the object`;
  return { ok: false, code: 'superseded', message };
}

/** The write landed: remembered on the row, so that a revert right after it is seen as one. Losing this commit loses only that. */
async function keepLanded(ports: TickPorts, rollout: Rollout, at: Instant): Promise<Millis | null> {
  const next = bump(writeLanded(rollout));
  const due = nextTickAt(next, at);
  const kept = await ports.store.commit({
    previous: rollout,
    next,
    facts: [],
    measurements: [],
    evidence: null,
    at,
    nextTickAt: due,
  });
  if (!kept) return 0;
  return due === null ? null : Math.min(READ_BACK, due - at);
}

/** The write failed: remembered on the row for the back-off and for people. Losing this commit loses nothing. */
async function keepTrouble(
  ports: TickPorts,
  rollout: Rollout,
  at: Instant,
  trouble: RouteTrouble,
  wait: Millis | null,
): Promise<Millis | null> {
  const change = writeFailed(rollout, at, trouble);
  const next = bump(change);
  const due = nextTickAt(next, at);
  const { facts } = change;
  const kept = await ports.store.commit({
    previous: rollout,
    next,
    facts,
    measurements: [],
    evidence: null,
    at,
    nextTickAt: due,
  });
  // Somebody else moved on: what is wanted now is on the row.
  if (!kept) return 0;
  const backOff = due === null ? wait : Math.max(0, due - at);
  return backOff === null ? null : Math.max(backOff, (trouble.retryAfter ?? 0) * 1000);
}
