/**
 * How one rollout's canary will be compared with the stable: asked of the metrics provider and tried on the service's own
 * past before anything starts. Fixed from then on, so that every verdict can be computed again.
 */
import { minimumOf } from '../domain/evidence/backtest.ts';
import type { Calibration, History, Pace } from '../domain/evidence/calibrate.ts';
import { calibrating, enough } from '../domain/evidence/calibrate.ts';
import type { EvidenceSetup } from '../domain/evidence/ledger.ts';
import { livedLong, livesOf } from '../domain/evidence/lives.ts';
import { DEFAULTS } from '../domain/evidence/settings.ts';
import type { ChosenBounds, Histogram } from '../domain/evidence/setup.ts';
import {
  boundsFor,
  gridOf,
  lengthOf,
  pacesFor,
  pastTooThin,
  podsOf,
  recounted,
  settingsOf,
  slotsTogether,
} from '../domain/evidence/setup.ts';
import { duration, percent } from '../domain/format.ts';
import type { EvidencePlan, Millis, Plan } from '../domain/plan.ts';
import { FALLBACK } from './count.ts';
import type { MetricsGateway, MetricsProvider, NoPast, Survey } from './ports.ts';
import { inTime, unhurried } from './unhurried.ts';
import type { Finding } from './usecases.ts';

export interface Prepared {
  /** null: the plan wants no comparison. */
  readonly evidence: EvidenceSetup | null;
  /** A `fail` refuses the rollout. */
  readonly findings: readonly Finding[];
  /** The stable's past, counted by the bounds of the settings; null: there is none that anything can be tried on. */
  readonly history: History | null;
  /** Why there is no past, as a code and in words with what to do; null: there is one. */
  readonly noHistory: NoHistory | null;
}

export interface NoHistory {
  /**
   * `cannot_count`, `kept_nowhere`: by the provider's nature. `fine_block`, `other_bounds`: there is a past, and it was not
   * counted as the rollout would be. `unread`: it could not be worked through in time. A NoValueCode: what the provider
   * answered. The rest: what it has is too thin.
   */
  readonly code: 'cannot_count' | 'none' | 'short' | 'one_pod' | 'fine_block' | 'other_bounds' | 'unread' | NoPast;
  readonly message: string;
}

export interface PreparePorts {
  readonly metrics: MetricsGateway;
}

export interface PrepareOptions {
  /** How far back the A/A check looks. */
  readonly past: Millis;
  /** For the survey and the A/A check together. */
  readonly budget: Millis;
}

/** Four hours of twenty pods are 160 trials. */
export const PREPARE: PrepareOptions = { past: 4 * 3_600_000, budget: 9_000 };
/** Trials per pace: 1 % of them is two. More would cost time and say little more. */
const MOST_TRIALS = 200;
/** Whoever insists on independent mode with a smaller alpha waits for as many as that takes. */
const trialsFor = (wanted: EvidencePlan, pace: Pace): number =>
  wanted.mode === 'independent' ? Math.max(MOST_TRIALS, enough(pace, wanted)) : MOST_TRIALS;

const CHECK = 'evidence';
const finding = (check: string, level: Finding['level'], message: string): Finding => ({ check, level, message });

/** Only reads. Never throws for expected trouble, and never takes much longer than `budget`. */
export async function prepareEvidence(
  { metrics }: PreparePorts,
  plan: Plan,
  options: PrepareOptions = PREPARE,
): Promise<Prepared> {
  const wanted = plan.analysis.evidence;
  if (wanted === null) return { evidence: null, findings: [], history: null, noHistory: null };
  const provider = metrics.provider(wanted.provider, plan.target.cluster);
  const begun = performance.now();
  const left = (): Millis => Math.max(0, options.budget - (performance.now() - begun));
  const told = await surveyed(provider, plan, options);
  if (!told.ok) return unknown(plan, wanted, provider, told);
  const counts = { provider: wanted.provider, block: wanted.block };
  const survey = await withPast(metrics, plan, counts, told, { ...options, budget: left() });
  const bounds = boundsFor(wanted, survey);
  const lasts = minimumOf({ steps: plan.steps, evidence: wanted });
  const about = { wanted, lasts, provider: wanted.provider, view: survey.view, bounds, histogram: survey };
  const past = pastOf(survey);
  const paces = pacesFor(wanted, gridOf(survey.resolution, past.history));
  if (past.history === null) return { ...untried(about, paces, past.noHistory), ...past };
  const together = slotsTogether(past.history.slot, paces);
  const history = await unhurried(recounted(past.history, survey.bounds, bounds.bounds, together), left());
  // For half an hour, as long as a trial takes: all is bet in that time, however long the rollout is.
  const pace = fallbackOf(paces);
  const settings = settingsOf(wanted, pace, bounds.bounds);
  const most = trialsFor(wanted, pace);
  const calibration = history === null ? null : await unhurried(calibrating(settings, history, paces, most), left());
  if (history !== null && calibration !== null && calibration.trials > 0)
    return { ...tried(about, calibration, history), history, noHistory: null };
  if (history !== null && calibration !== null)
    return { ...untried(about, paces, { message: nobodyLived(history) }), history, noHistory: null };
  const message = `the A/A check over ${duration(lengthOf(past.history))} of the past took longer than ${duration(options.budget)}`;
  const noHistory: NoHistory | null = history === null ? { code: 'unread', message } : null;
  return { ...untried(about, paces, { message }), history, noHistory };
}

/**
 * A provider that keeps no past (the proxies' own counters) leaves the A/A check and the choice of bounds to Prometheus,
 * which has one of the same proxies, by the same histogram. Where it cannot be used the answer says why.
 */
export async function withPast(
  metrics: MetricsGateway,
  plan: Plan,
  { provider, block }: { readonly provider: string; readonly block: Millis | null },
  told: Extract<Survey, { ok: true }>,
  options: PrepareOptions,
): Promise<Extract<Survey, { ok: true }> & { readonly whyNot?: NoHistory }> {
  if (told.history !== null || provider === FALLBACK) return told;
  const not = (code: NoHistory['code'], message: string) => ({ ...told, whyNot: { code, message } });
  if (options.budget < LEAST_BUDGET)
    return not('timeout', `${told.message}, and no time was left to ask ${FALLBACK} for its own`);
  let other: MetricsProvider;
  try {
    other = metrics.provider(FALLBACK, plan.target.cluster);
  } catch {
    return told; // an installation without Prometheus
  }
  const kept = await surveyed(other, plan, options);
  if (!kept.ok) return not(kept.code, `${told.message}; ${FALLBACK}, which keeps one, was asked: ${kept.message}`);
  const { history } = kept;
  if (history === null)
    return not(kept.noHistory ?? 'none', `${told.message}; ${FALLBACK} was asked for its own: ${kept.message}`);
  if (block !== null && block < history.slot)
    return not(
      'fine_block',
      `blocks of ${duration(block)} (analysis.evidence.block) cannot be tried on the past: ${FALLBACK} has it in slots of ${duration(history.slot)}, and a block is made of whole ones`,
    );
  const same = told.bounds.length === 0 || kept.bounds.every((bound) => told.bounds.includes(bound));
  // All but how the rollout itself is counted is what Prometheus says.
  if (same) return { ...kept, view: told.view, resolution: told.resolution, rps: told.rps };
  return not('other_bounds', `${FALLBACK} has the past by other latency bounds than ${provider} reads now`);
}

const LEAST_BUDGET: Millis = 1_000;
/** A provider that hangs: somebody waits for the answer that says so. */
const ANSWERS_WITHIN: Millis = 9_000;

/** `ok: false`: why nothing is known of the service. */
type Told =
  | Extract<Survey, { ok: false }>
  | { readonly ok: false; readonly code: 'cannot_count'; readonly message: string };

export async function surveyed(
  provider: MetricsProvider,
  plan: Plan,
  { past, budget }: PrepareOptions,
): Promise<Extract<Survey, { ok: true }> | Told> {
  if (provider.count === undefined || provider.survey === undefined) {
    const message = `metrics provider ${provider.name} cannot count requests`;
    return { ok: false, code: 'cannot_count', message };
  }
  const within = Math.min(budget, ANSWERS_WITHIN);
  const message = `metrics provider ${provider.name} did not tell of the service's past within ${duration(within)}`;
  const late: Survey = { ok: false, code: 'timeout', message };
  return inTime(provider.survey(plan.target, past), within, late);
}

/**
 * The past, where trials can be made of it. Its sides' `slow` follow the survey's bounds. `trial`: how long one takes, and
 * why so long.
 */
export function pastOf(
  survey: Extract<Survey, { ok: true }> & { readonly whyNot?: NoHistory },
  trial: { readonly takes: Millis; readonly why: string } = AA_TRIAL,
): { readonly history: History; readonly noHistory: null } | { readonly history: null; readonly noHistory: NoHistory } {
  if (survey.history === null) {
    const { whyNot, noHistory: code = 'none', message } = survey;
    return { history: null, noHistory: whyNot ?? { code, message } };
  }
  const thin = pastTooThin(survey.history, trial.takes);
  if (thin === null) return { history: survey.history, noHistory: null };
  // Not all was read: that there is too little says nothing of what there is.
  if (survey.noHistory !== undefined)
    return { history: null, noHistory: { code: survey.noHistory, message: survey.message } };
  const message = {
    short: `the past has ${duration(lengthOf(survey.history))}, and a trial takes ${duration(trial.takes)}: ${trial.why}`,
    silent: "the stable version's pods had no requests",
    one_pod: 'only one pod of the stable version had requests: there is none to compare it with',
  }[thin];
  return { history: null, noHistory: { code: thin, message } };
}

/** All that a comparison bets is bet in that time, however long the rollout is. */
const AA_TRIAL = {
  takes: DEFAULTS.errors.deposits.horizon,
  why: 'over so long the comparison spreads what it bets, however short the plan is',
} as const;

/** No pod was there for a whole trial, and none that was there for a part of one went wrong. */
function nobodyLived(history: History): string {
  const { takes } = AA_TRIAL;
  return `of ${podsOf(history)} pods that had requests in ${duration(lengthOf(history))} none lived through a trial of ${duration(takes)}`;
}

interface About {
  readonly wanted: EvidencePlan;
  /** How long the rollout takes at least. */
  readonly lasts: Millis;
  readonly provider: string;
  readonly view: string | null;
  readonly bounds: ChosenBounds;
  /** null: nothing is known of it. */
  readonly histogram: Histogram | null;
}

/** The pace for a service of which nothing is known. */
function fallbackOf(paces: readonly Pace[]): Pace {
  const pace = paces.find(({ mode }) => mode === 'robust') ?? paces[0];
  if (pace === undefined) throw new Error('evidence: wanted at least one pace, found none');
  return pace;
}

/** The provider said nothing: the rollout may still be counted later, by robust blocks of whole samples. */
function unknown({ steps }: Plan, wanted: EvidencePlan, provider: MetricsProvider, { code, message }: Told): Prepared {
  const lasts = minimumOf({ steps, evidence: wanted });
  const about = {
    wanted,
    lasts,
    provider: wanted.provider,
    view: null,
    bounds: boundsFor(wanted, null),
    histogram: null,
  };
  const paces = pacesFor(wanted, gridOf(provider.scrapeInterval, null));
  const asked = code === 'timeout' || code === 'unavailable';
  const noHistory: NoHistory = { code, message };
  return { ...untried(about, paces, noHistory, asked ? 'unknown' : 'warn'), history: null, noHistory };
}

type Judged = Pick<Prepared, 'evidence' | 'findings'>;

function untried(
  about: About,
  paces: readonly Pace[],
  { message }: { readonly message: string },
  level: Finding['level'] = 'warn',
): Judged {
  const { wanted } = about;
  const pace = fallbackOf(paces);
  const words = `${modeWords(pace)}, untried on the service's own past: ${message}`;
  const evidence = setupOf(about, pace, words, null);
  if (wanted.mode !== 'independent')
    return { evidence, findings: [finding(CHECK, level, words), ...latencyFindings(about)] };
  const refusal = `independent mode is only for a service whose past allows it, and that could not be tried: ${message}. Set analysis.evidence.mode to auto or robust`;
  return {
    evidence: { ...evidence, words: refused(refusal) },
    findings: [finding(CHECK, 'fail', refusal), ...latencyFindings(about)],
  };
}

function tried(about: About, { pace, trials, rolledBack, passed }: Calibration, history: History): Judged {
  const pods = podsOf(history);
  const past = lengthOf(history);
  const { wanted } = about;
  const lived = livedLong(livesOf(history), Math.floor(AA_TRIAL.takes / history.slot), history.slots.length);
  const alive = lived < pods ? `, of which ${lived} lived through a whole trial,` : '';
  const found = `in ${duration(past)} of ${pods} pods${alive} ${rolledBack} of ${passed ? '' : 'the first '}${trials} healthy trials would have been rolled back`;
  const words = `${modeWords(pace)}: ${found}`;
  const evidence = setupOf(about, pace, words, { trials, rolledBack, passed, pods, past });
  const more = latencyFindings(about);
  if (passed) return { evidence, findings: [finding(CHECK, 'pass', words), ...more] };
  const allowed = `${percent(wanted.alpha)} (alpha) is allowed`;
  if (wanted.mode === 'independent') {
    const few = rolledBack <= wanted.alpha * trials;
    const why = few
      ? `at least ${enough(pace, wanted)} trials are needed to trust single requests: more pods, or a longer past`
      : `${allowed}: its requests do not fail independently of each other`;
    const refusal = `independent mode: ${found}, and ${why}. Set analysis.evidence.mode to auto or robust`;
    return { evidence: { ...evidence, words: refused(refusal) }, findings: [finding(CHECK, 'fail', refusal), ...more] };
  }
  const warning = `${words}, and ${allowed}: its pods differ too much to be compared so fast. A longer analysis.evidence.block, or checks with thresholds and analysis.evidence.mode off, suit it better`;
  return { evidence, findings: [finding(CHECK, 'warn', warning), ...more] };
}

/** Of a setup that no rollout gets: it is only shown, and what it would have done to the past. */
const refused = (why: string): string => `refused: ${why}`;

const modeWords = ({ mode, block }: Pace): string => `judged in ${mode} mode by blocks of ${duration(block)}`;

const setupOf = (
  { wanted, lasts, provider, view, bounds }: About,
  pace: Pace,
  words: string,
  calibration: EvidenceSetup['calibration'],
): EvidenceSetup => ({
  provider,
  view,
  pace,
  settings: settingsOf(wanted, pace, bounds.bounds, lasts),
  words,
  calibration,
});

function latencyFindings({ wanted, bounds, histogram }: About): readonly Finding[] {
  if (wanted.latency === null || histogram === null) return [];
  const check = `${CHECK}-latency`;
  if (histogram.bounds.length === 0)
    return [finding(check, 'warn', 'the service has no latency histogram now: only its errors are compared')];
  const named = (list: readonly number[]): string => `${list.join(', ')} ms`;
  if (bounds.unknown.length > 0) {
    const message = `analysis.evidence.latency.bounds: the histogram has no bound of ${named(bounds.unknown)}; it has ${named(histogram.bounds)}`;
    return [finding(check, 'fail', message)];
  }
  return [finding(check, 'pass', `responses slower than ${named(bounds.bounds)} are compared`)];
}
