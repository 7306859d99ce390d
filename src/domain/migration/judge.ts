/** Is STRICT worse than what was before? What was counted before and since -> one verdict in words. Pure. */
import { count, duration, percent } from '../format.ts';
import { asManyByChance, atMost, type Tally } from '../tails.ts';
import type { MigrationPlan } from './migration.ts';
import type { CallerTraffic, PlaintextCaller, Traffic } from './observation.ts';

export type WatchVerdict =
  | { readonly verdict: 'pass'; readonly message: string; readonly notJudged: readonly string[] }
  | { readonly verdict: 'inconclusive'; readonly message: string }
  | { readonly verdict: 'fail'; readonly code: 'failures' | 'lost_traffic'; readonly message: string };

/** What was counted since STRICT is in force: lately, so that a sudden end is seen soon, and in all, so that little is seen at all. */
export interface Watched {
  readonly recent: Traffic;
  readonly whole: Traffic;
}

/**
 * Chance that a migration goes back though everybody calls as before and fails as before, over all looks, callers and
 * tests together, where calls come independently. Each test gets its even part, which the sum of chances never exceeds.
 */
export const FALSE_ALARM = 0.001;
/** Of a caller in a look: in two lengths of time its failures against its own and everybody's, and its traffic. */
const TESTS = 6;
/** Fewer failed connections than this say nothing, unless they are most of a caller's calls: pods come and go. */
export const LEAST_FAILURES = 5;
/** Calls often come in bursts: a caller of fewer is judged by its silence only after a time as long as it was heard before. */
export const LEAST_EXPECTED = 50;

/** `looks`: how often the migration is judged at most. */
export function judgeTraffic(
  before: Traffic,
  { recent, whole }: Watched,
  plan: Pick<MigrationPlan, 'limits' | 'watch'>,
  looks: number,
): WatchVerdict {
  const rare = FALSE_ALARM / (looks * TESTS * (callersOf(before, whole).length + 1));
  for (const now of [recent, whole]) {
    const bad = failuresOf(before, now, plan.limits, rare) ?? lossOf(before, now, plan, rare);
    if (bad !== null) return bad;
  }
  if (whole.calls === 0 && whole.callers.length === 0)
    return { verdict: 'inconclusive', message: `nobody called in ${duration(whole.window)}: nothing can be judged` };
  const notJudged = callersOf(before, whole)
    .filter((caller) => !isTold(heardOf(before, caller), before, whole, plan, rare))
    .map(callerName);
  const over = whole.window >= plan.watch;
  if (over && before.callers.length > 0 && before.callers.every((caller) => notJudged.includes(callerName(caller))))
    return {
      verdict: 'inconclusive',
      message: `too few calls in ${duration(before.window)} before STRICT and ${duration(whole.window)} since to tell a loss from chance, of any caller: ${notJudged.join(', ')}`,
    };
  const unsaid =
    notJudged.length === 0
      ? ''
      : `; not judged, since too little was heard of them before STRICT: ${notJudged.join(', ')}`;
  return {
    verdict: 'pass',
    notJudged,
    message: `${count(whole.failures)} of ${count(whole.calls)} calls in ${duration(whole.window)} did not connect, and no caller lost more than ${percent(plan.limits.lost)} of its traffic${unsaid}`,
  };
}

type Limits = MigrationPlan['limits'];
type Fail = Extract<WatchVerdict, { verdict: 'fail' }>;

// ── calls that did not connect ──────────────────────────────────────────────────────────────────────────────────────

function failuresOf(before: Traffic, now: Traffic, limits: Limits, rare: number): Fail | null {
  const all = tallyOf(before);
  if (failsMore(tallyOf(now), all, all, limits, rare))
    return unconnected(
      '',
      now,
      now,
      before,
      limits,
      now.failing.length === 0 ? '' : `; callers: ${now.failing.join(', ')}`,
    );
  const caller = now.callers.find((one) => failsMore(tallyOf(one), tallyOf(heardOf(before, one)), all, limits, rare));
  return caller === undefined
    ? null
    : unconnected(`caller ${callerName(caller)}: `, caller, now, heardOf(before, caller), limits, '');
}

/** More than its own before and the limit allow, and not by chance. */
function failsMore(now: Tally, own: Tally, all: Tally, limits: Limits, rare: number): boolean {
  const share = shareOf(now);
  if (share <= shareOf(own) + limits.failures) return false;
  if (now.hits < LEAST_FAILURES && share <= limits.lost) return false;
  if (own.of > 0 && asManyByChance(now, own) <= rare) return true;
  // Of one that was hardly heard before only the bulk of its calls can be compared with everybody's.
  if (own.hits > 0 || (share <= limits.lost && all.of > 0)) return false;
  return (all.of > 0 ? asManyByChance(now, all) : byLimit(now, limits.failures)) <= rare;
}

const byLimit = ({ hits, of }: Tally, limit: number): number => (limit > 0 ? 1 - atMost(hits - 1, of, limit) : 0);

/** Prometheus extrapolates to fractions of a call. */
function tallyOf({ calls, failures }: Counted): Tally {
  const hits = Math.round(failures);
  return { hits, of: Math.max(hits, Math.round(calls)) };
}

const shareOf = ({ hits, of }: Tally): number => (of > 0 ? hits / of : 0);

type Counted = Pick<Traffic, 'calls' | 'failures'>;

function unconnected(
  who: string,
  now: Counted,
  { window }: Traffic,
  before: Counted,
  limits: Limits,
  more: string,
): Fail {
  const usual = shareOf(tallyOf(before));
  return {
    verdict: 'fail',
    code: 'failures',
    message: `${who}${count(now.failures)} of ${count(now.calls)} calls in ${duration(window)} did not connect (503 with UF or URX): ${percent(shareOf(tallyOf(now)))}, before STRICT ${percent(usual)}, allowed ${percent(usual + limits.failures)}${more}`,
  };
}

// ── traffic that does not arrive any more ───────────────────────────────────────────────────────────────────────────

type Plan = Pick<MigrationPlan, 'limits' | 'watch'>;

function lossOf(before: Traffic, now: Traffic, plan: Plan, rare: number): Fail | null {
  const { lost } = plan.limits;
  for (const caller of before.callers) {
    const { rps } = heardOf(now, caller);
    const rest = rps / caller.rps;
    if (rest < 1 - lost && isLongEnough(caller, before, now, plan) && fewByChance(caller, rps, before, now) <= rare)
      return {
        verdict: 'fail',
        code: 'lost_traffic',
        message: `caller ${callerName(caller)} lost ${percent(1 - rest)} of its traffic: ${rate(rps)} per second arrive in ${duration(now.window)} where ${rate(caller.rps)} did before STRICT; allowed are ${percent(lost)}`,
      };
  }
  return null;
}

const isLongEnough = ({ rps }: CallerTraffic, before: Traffic, now: Traffic, { watch }: Plan): boolean =>
  (rps * now.window) / 1000 >= LEAST_EXPECTED || now.window >= Math.min(before.window, watch);

/** Probability that of its calls in both times so few fall on the second, if they come as often: exact for a Poisson process. */
function fewByChance(caller: CallerTraffic, rps: number, before: Traffic, now: Traffic): number {
  const [first, second] = [callsAt(caller.rps, before.window), callsAt(rps, now.window)];
  return atMost(second, first + second, now.window / (before.window + now.window));
}

const callsAt = (rps: number, window: number): number => Math.round((rps * window) / 1000);

/** Would its silence have been told from chance? */
const isTold = (caller: CallerTraffic, before: Traffic, now: Traffic, plan: Plan, rare: number): boolean =>
  isLongEnough(caller, before, now, plan) && fewByChance(caller, 0, before, now) <= rare;

// ── callers ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const sameCaller = (a: CallerName, b: CallerName): boolean => a.workload === b.workload && a.namespace === b.namespace;

type CallerName = Pick<CallerTraffic, 'workload' | 'namespace'>;

/** Nothing, where nothing was heard of it. */
const heardOf = ({ callers }: Traffic, { workload, namespace }: CallerName): CallerTraffic =>
  callers.find((found) => sameCaller(found, { workload, namespace })) ?? {
    workload,
    namespace,
    rps: 0,
    calls: 0,
    failures: 0,
  };

const callersOf = (before: Traffic, now: Traffic): readonly CallerTraffic[] => [
  ...before.callers,
  ...now.callers.filter((one) => !before.callers.some((known) => sameCaller(known, one))),
];

const rate = (rps: number): string => String(Number(rps.toPrecision(3)));

export const isNamed = ({ workload }: { readonly workload: string }): boolean =>
  workload !== '' && workload !== 'unknown';

/** "production/frontend"; "unknown" where nobody told who it is. */
export const callerName = (caller: { readonly workload: string; readonly namespace: string }): string =>
  isNamed(caller) ? `${caller.namespace}/${caller.workload}` : 'unknown';

export const HOW_TO_FIND =
  'a caller without a proxy cannot be named by the metrics: look for pods without the container istio-proxy (kubectl get pods -A -o wide), or switch access logs on and match downstream_remote_address of the called pods with pod addresses';

/** "production/legacy called production/myapp-v1 in plaintext (http, 42 in 10 m)" */
export const plaintextWords = (caller: PlaintextCaller, window: number): string =>
  `${callerName(caller)} called ${caller.called} in plaintext (${caller.protocol}, ${count(Math.max(1, caller.calls))} in ${duration(window)})`;

export function blockedWords(callers: readonly PlaintextCaller[], window: number): string {
  const words = callers.slice(0, 5).map((caller) => plaintextWords(caller, window));
  const more = callers.length > 5 ? ` and ${callers.length - 5} more` : '';
  const unnamed = callers.some((caller) => !isNamed(caller)) ? `; ${HOW_TO_FIND}` : '';
  return `STRICT would refuse ${callers.length === 1 ? 'a caller' : `${callers.length} callers`}: ${words.join('; ')}${more}${unnamed}`;
}
