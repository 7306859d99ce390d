/** Is STRICT worse than what was before? Two lengths of traffic -> one verdict in words. Pure. */
import { count, duration, percent } from '../format.ts';
import type { MigrationPlan } from './migration.ts';
import type { CallerTraffic, PlaintextCaller, Traffic } from './observation.ts';

export type WatchVerdict =
  | { readonly verdict: 'pass' | 'inconclusive'; readonly message: string }
  | { readonly verdict: 'fail'; readonly code: 'failures' | 'lost_traffic'; readonly message: string };

/** Fewer failed connections than this say nothing: pods come and go. */
export const LEAST_FAILURES = 5;
/** A caller of whom fewer calls were to be expected may be silent by chance: half of 50 comes once in 10,000 looks. */
export const LEAST_EXPECTED = 50;

export function judgeTraffic(before: Traffic, now: Traffic, limits: MigrationPlan['limits']): WatchVerdict {
  const usual = before.calls > 0 ? before.failures / before.calls : 0;
  const share = now.calls > 0 ? now.failures / now.calls : 0;
  const allowed = usual + limits.failures;
  if (now.failures >= LEAST_FAILURES && share > allowed)
    return {
      verdict: 'fail',
      code: 'failures',
      message: `${count(now.failures)} of ${count(now.calls)} calls in ${duration(now.window)} did not connect (503 with UF or URX): ${percent(share)}, before STRICT ${percent(usual)}, allowed ${percent(allowed)}${now.failing.length === 0 ? '' : `; callers: ${now.failing.join(', ')}`}`,
    };
  const lost = before.callers.map((caller) => lossOf(caller, now)).filter((loss) => loss !== null);
  const worst = lost.find(({ rest }) => rest < 1 - limits.lost);
  if (worst !== undefined)
    return {
      verdict: 'fail',
      code: 'lost_traffic',
      message: `caller ${callerName(worst.caller)} lost ${percent(1 - worst.rest)} of its traffic: ${rate(worst.now)} per second arrive where ${rate(worst.caller.rps)} did before STRICT; allowed are ${percent(limits.lost)}`,
    };
  if (now.calls === 0 && now.callers.length === 0)
    return { verdict: 'inconclusive', message: `nobody called in ${duration(now.window)}: nothing can be judged` };
  return {
    verdict: 'pass',
    message: `${count(now.failures)} of ${count(now.calls)} calls in ${duration(now.window)} did not connect, and no caller lost more than ${percent(limits.lost)} of its traffic`,
  };
}

/** null: too few calls were to be expected of it. */
function lossOf(caller: CallerTraffic, now: Traffic) {
  if ((caller.rps * now.window) / 1000 < LEAST_EXPECTED) return null;
  const rps = now.callers.find((found) => sameCaller(found, caller))?.rps ?? 0;
  return { caller, now: rps, rest: rps / caller.rps };
}

const sameCaller = (a: CallerTraffic, b: CallerTraffic): boolean =>
  a.workload === b.workload && a.namespace === b.namespace;

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
