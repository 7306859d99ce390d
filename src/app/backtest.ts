/** Back-tests: the plan is put through the stable's own past before it is put through the world. Only reads. */
import type { BackTest, BackTestInput } from '../domain/evidence/backtest.ts';
import { backTesting, minimumOf, trialTime } from '../domain/evidence/backtest.ts';
import { backTestWords, livedWords } from '../domain/evidence/backtest-words.ts';
import type { History } from '../domain/evidence/calibrate.ts';
import type { EvidenceSetup } from '../domain/evidence/ledger.ts';
import { DEFAULTS } from '../domain/evidence/settings.ts';
import { lengthOf, podsOf, recounted, slotsTogether } from '../domain/evidence/setup.ts';
import type { TrialPlan } from '../domain/evidence/trial-judges.ts';
import { duration, percent } from '../domain/format.ts';
import type { Check, Millis, Plan } from '../domain/plan.ts';
import type { NoHistory, Prepared } from './evidence-setup.ts';
import { PREPARE, pastOf, prepareEvidence, surveyed, withPast } from './evidence-setup.ts';
import type { ParsePorts } from './parse.ts';
import { parse } from './parse.ts';
import type { MetricsGateway } from './ports.ts';
import { oneAtATime, unhurried } from './unhurried.ts';
import { durationSchema, short } from './units.ts';
import type { BackTestReport, BackTestResult, EvidencePreview, Finding, Problem } from './usecases.ts';

export interface BackTestPorts extends ParsePorts {
  readonly metrics: MetricsGateway;
}

/** A trial takes half an hour of the past, and raw samples are rarely kept for longer than some hours in memory. */
export const PAST = { least: '35m', most: '12h', usual: PREPARE.past } as const;

interface Limits {
  readonly budget: Millis;
  readonly most: BackTestInput['most'];
}
const FULL: Limits = { budget: 10_000, most: { healthy: 400, perRegression: 60 } };
/** Somebody waits for the dry run. */
const BRIEF: Limits = { budget: 2_000, most: { healthy: 100, perRegression: 20 } };
/** For survey and A/A check. */
const PREPARED_WITHIN: Millis = 15_000;
/** The same trials for the same past, so that two plans differ by what they say. */
const SEED = 20_260_101;

/** The processor is what they share, so the turns are those of the process. A dry run does not wait for a long one. */
const inTurn = oneAtATime(2);
const brieflyInTurn = oneAtATime(2);

export async function backTest(ports: BackTestPorts, document: unknown, past: Millis | null): Promise<BackTestResult> {
  const asked = askedOf(document, past);
  if (!asked.ok) return { kind: 'invalid', problems: asked.problems };
  const parsed = parse(ports, asked.document);
  if (!parsed.ok) return { kind: 'invalid', problems: parsed.problems.map((p) => within(asked.pointer, p)) };
  const { plan } = parsed;
  const done = await inTurn(async (): Promise<BackTestResult> => {
    const found = await pastOfPlan(ports, plan, asked.past);
    if (found.history === null) return without(found.noHistory);
    const { history, setup, findings } = found;
    const report = await reported(plan, setup, findings, history, FULL);
    if (report.test !== null) return { kind: 'ok', report };
    return { kind: 'no_history', message: `${report.whyNot}; ${report.advice}` };
  });
  return done ?? { kind: 'busy' };
}

/** What the dry run tells of the comparison; null: the plan wants none. */
export async function previewEvidence(plan: Plan, prepared: Prepared): Promise<EvidencePreview | null> {
  const { evidence: setup, history, noHistory, findings } = prepared;
  if (setup === null) return null;
  if (history === null) return { setup, backTest: null, whyNot: noHistory?.message ?? 'there is no past to try it on' };
  const made = await brieflyInTurn(async () => reported(plan, setup, findings, history, BRIEF));
  if (made === null) return { setup, backTest: null, whyNot: 'other back-tests are being made; ask again' };
  if (made.test !== null) return { setup, backTest: made, whyNot: null };
  return { setup, backTest: null, whyNot: made.whyNot };
}

// ── what is asked ───────────────────────────────────────────────────────────────────────────────────────────────────

type Asked =
  | { readonly ok: true; readonly document: unknown; readonly pointer: string; readonly past: Millis }
  | { readonly ok: false; readonly problems: readonly Problem[] };

const pastSchema = durationSchema(PAST.least, PAST.most);

/** A plan, or { plan, past }. */
function askedOf(document: unknown, past: Millis | null): Asked {
  const usual = past ?? PAST.usual;
  const isEnvelope = typeof document === 'object' && document !== null && 'plan' in document && !('target' in document);
  if (!isEnvelope) return { ok: true, document, pointer: '', past: usual };
  const problems: Problem[] = Object.keys(document)
    .filter((key) => key !== 'plan' && key !== 'past')
    .map((key) => ({
      pointer: `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`,
      code: 'unknown_field',
      message: `unknown field ${JSON.stringify(key.slice(0, 100))}: wanted plan and past`,
    }));
  const given = 'past' in document ? document.past : undefined;
  const parsed = given === undefined ? null : pastSchema.safeParse(given);
  if (parsed?.success === false) {
    const message = `wanted a duration from ${PAST.least} to ${PAST.most}; found ${short(given)}`;
    problems.push({ pointer: '/past', code: 'invalid_value', message });
  }
  if (problems.length > 0) return { ok: false, problems };
  return { ok: true, document: document.plan, pointer: '/plan', past: parsed?.data ?? usual };
}

const within = (pointer: string, problem: Problem): Problem => ({
  ...problem,
  pointer: `${pointer}${problem.pointer}`,
});

// ── the past ────────────────────────────────────────────────────────────────────────────────────────────────────────

type Found =
  | {
      readonly history: History;
      readonly setup: EvidenceSetup | null;
      readonly findings: readonly Finding[];
    }
  | { readonly history: null; readonly noHistory: { readonly code: Why; readonly message: string } };

async function pastOfPlan({ metrics }: BackTestPorts, plan: Plan, past: Millis): Promise<Found> {
  const options = { past, budget: PREPARED_WITHIN };
  if (plan.analysis.evidence !== null) {
    const { evidence, findings, history, noHistory } = await prepareEvidence({ metrics }, plan, options);
    if (history !== null) return { history, setup: evidence, findings };
    return { history, noHistory: noHistory ?? { code: 'none', message: 'there is no past' } };
  }
  const check = plan.analysis.checks.find(replayable);
  if (check === undefined) {
    const message = 'the plan has nothing that counts can be judged by: no comparison, and no error-rate check';
    return { history: null, noHistory: { code: 'nothing_to_try', message } };
  }
  const { provider } = check;
  const survey = await surveyed(metrics.provider(provider, plan.target.cluster), plan, options);
  if (!survey.ok) return { history: null, noHistory: survey };
  const told = await withPast(metrics, plan, { provider, block: null }, survey, options);
  const { least } = trialTime(trialPlanOf(plan, null));
  const takes = Math.min(least, LONG_ENOUGH);
  const known = pastOf(told, { takes, why: 'the holds of the plan, and five minutes beyond; half an hour at most' });
  if (known.history === null) return known;
  const work = recounted(known.history, told.bounds, [], slotsTogether(known.history.slot, []));
  const history = await unhurried(work, PREPARED_WITHIN);
  if (history !== null) return { history, setup: null, findings: [] };
  const message = `the past could not be counted within ${duration(PREPARED_WITHIN)}`;
  return { history, noHistory: { code: 'unread', message } };
}

/** A past of so long is tried, though the plan may be longer: then its beginning is. */
const LONG_ENOUGH: Millis = 1_800_000;

type Why = NoHistory['code'] | 'nothing_to_try';

const TRANSIENT: ReadonlySet<Why> = new Set<Why>(['timeout', 'unavailable']);

const ADVICE: Readonly<Partial<Record<Why, string>>> = {
  short: `ask again when the stable version has run for longer, or with a longer past (at most ${PAST.most})`,
  silent:
    'ask again when it has had traffic; if it has, look at the names of namespace, service and Deployments in target',
  one_pod: 'a back-test needs two pods of the stable version at least',
  unnamed: "have the proxies of the stable version's own pods scraped, with the labels of namespace and pod",
  kept_nowhere: 'a Prometheus of the cluster, as metrics provider prometheus, would keep one',
  fine_block: 'leave analysis.evidence.block out, or make it longer, to try the plan',
  other_bounds:
    'ask again when the past has those of the proxies: after a change of their histogram that takes its time',
  unread: 'ask for a shorter past',
  cannot_count: 'name a metrics provider that can in analysis.evidence.provider',
  nothing_to_try: 'leave analysis.evidence.mode away (auto compares both versions), or add a check of kind error-rate',
};

function without({ code, message }: { readonly code: Why; readonly message: string }): BackTestResult {
  if (TRANSIENT.has(code)) return { kind: 'unavailable', message };
  const what = ADVICE[code];
  return { kind: 'no_history', message: what === undefined ? message : `${message}; ${what}` };
}

// ── the trials ──────────────────────────────────────────────────────────────────────────────────────────────────────

const replayable = (check: Check): boolean => check.kind === 'error-rate' && check.route === undefined;

function trialPlanOf({ steps, analysis }: Plan, setup: EvidenceSetup | null): TrialPlan {
  const { interval, settle, noData, checks, evidence } = analysis;
  return {
    steps,
    interval,
    settle,
    noData,
    checks: checks.filter(replayable),
    evidence:
      setup === null || evidence === null
        ? null
        : {
            settings: { ...setup.settings, keepBound: false },
            block: setup.pace.block,
            bake: evidence.bake,
            unproven: evidence.unproven,
          },
  };
}

/** No trial could be made: why, and what to do. */
interface NoTrial {
  readonly test: null;
  readonly whyNot: string;
  readonly advice: string;
}

async function reported(
  plan: Plan,
  setup: EvidenceSetup | null,
  findings: readonly Finding[],
  history: History,
  { budget, most }: Limits,
): Promise<BackTestReport | NoTrial> {
  const trialPlan = trialPlanOf(plan, setup);
  const test = await unhurried(backTesting({ plan: trialPlan, history, seed: SEED, most }), budget);
  const past = { length: lengthOf(history), pods: podsOf(history) };
  if (test !== null && test.lived === 0)
    return {
      test: null,
      whyNot: `in ${duration(past.length)} ${livedWords(test, past.pods)}`,
      advice: 'ask again when two pods of the stable version have run for so long',
    };
  if (test === null || test.healthy.trials === 0)
    return { test: null, whyNot: `no trial was ended within ${duration(budget)}`, advice: 'ask for a shorter past' };
  return {
    test,
    words: backTestWords(test, minimumOf(trialPlan), past.pods),
    setup,
    findings: [...findings, ...foundBy(test, past.pods, setup)],
    past: { ...past, lived: test.lived },
    notReplayed: plan.analysis.checks
      .filter((check) => !replayable(check))
      .map(({ name, kind }) => ({ check: name, reason: REASONS[kind] })),
  };
}

/** Names of the findings that a back-test adds. */
const ON_THE_PAST: ReadonlySet<string> = new Set(['backtest', 'backtest-pods']);

/** Of a dry run: what its back-test warns of, beside what the cluster says. */
export const warningsOf = (preview: EvidencePreview | null): readonly Finding[] =>
  (preview?.backTest?.findings ?? []).filter(({ check }) => ON_THE_PAST.has(check));

/** The A/A check tries one pod in one group for half an hour; the back-test the whole plan with its checks, and may find more. */
function foundBy({ healthy, lived, window }: BackTest, pods: number, setup: EvidenceSetup | null): readonly Finding[] {
  const { trials, rolledBack, share, interval, causes } = healthy;
  const alpha = setup?.settings.alpha ?? DEFAULTS.alpha;
  const warn = (check: string, message: string): Finding => ({ check, level: 'warn', message });
  const by = causes.map(({ cause, times }) => `${times} by ${cause}`).join(', ');
  const allowed = setup === null ? 'a comparison would be allowed' : '(alpha) is allowed';
  const chance = interval.low <= alpha ? '; of so few trials it may be chance' : '';
  const few = `of ${pods} pods that had requests only ${lived} lived through a window of ${duration(window)}: the ${trials} trials say little`;
  return [
    ...(rolledBack > alpha * trials
      ? [
          warn(
            'backtest',
            `on the past the plan rolls back ${rolledBack} of ${trials} healthy rollouts (${percent(share)}), ${by}; ${percent(alpha)} ${allowed}${chance}. Was there trouble in that time? If not, correct first what rolls back`,
          ),
        ]
      : []),
    ...(2 * lived < pods
      ? [warn('backtest-pods', `${few}. Ask again when the stable version has run for longer`)]
      : []),
  ];
}

const REASONS: Readonly<Record<Check['kind'], string>> = {
  'error-rate': 'the past is not counted by route',
  latency: 'counts of slow responses give no quantile',
  prometheus: 'what the query measured of each pod in the past is not known',
};
