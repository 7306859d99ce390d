/** The releases of the demo: what goes wrong with each, who judges it, the plan, and what came of it. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Behaviour } from '../pod-server.ts';
import type { Sandbox } from '../sandbox.ts';
import type { Users } from '../traffic.ts';
import { since } from '../traffic.ts';
import type { RolloutView, Service } from './service.ts';
import { TERMINAL } from './service.ts';

export interface Release {
  readonly name: string;
  readonly image: string;
  /** What decides alone: the comparison of both versions, limits, or (a plan as it is usually written) both. */
  readonly judgedBy: JudgedBy;
  /** What happens to the canary a moment after it got its first traffic; null: nothing. */
  readonly fault: { readonly words: string; readonly change: Partial<Behaviour> } | null;
  readonly expected: string;
}

export type JudgedBy = 'both' | 'evidence' | 'thresholds';

/** Users' requests per second: enough for a judgement within a second or two, little enough for a small machine. */
export const RPS = 400;
/** Between two readings of a proxy, and a block of counts: a block is never shorter than the time between two readings. */
export const BLOCK = '250ms';

const FAILS = { words: 'a quarter of the requests fail', change: { errorRate: 0.25 } };
const SLOW = { words: 'every request takes 0.8 s', change: { latencyMs: 800 } };

/** Each fault twice, so that what judges it can be seen side by side. */
export const RELEASES: readonly Release[] = [
  { name: 'good', image: 'myapp:2.0', judgedBy: 'both', fault: null, expected: 'succeeded' },
  { name: 'bad-thresholds', image: 'myapp:2.1', judgedBy: 'thresholds', fault: FAILS, expected: 'rolled_back' },
  { name: 'bad', image: 'myapp:2.2', judgedBy: 'evidence', fault: FAILS, expected: 'rolled_back' },
  { name: 'slow-thresholds', image: 'myapp:2.3', judgedBy: 'thresholds', fault: SLOW, expected: 'rolled_back' },
  { name: 'slow', image: 'myapp:2.4', judgedBy: 'evidence', fault: SLOW, expected: 'rolled_back' },
];

const FAULT_AFTER_MS = 1_000;
const DEADLINE_MS = 90_000;
/** Requests under way when the rollout ended still count as its. */
const LAST_ANSWERS_MS = 500;

/** Limits as people write them, at the pace of the demo. */
const CHECKS = [
  { name: 'errors', kind: 'error-rate', max: '5%', minSamples: 20 },
  // Against the stable version, which shares this machine with the canary: a busy machine is nobody's fault.
  { name: 'latency', kind: 'latency', quantile: 0.95, relative: { maxRatio: 2, tolerance: '300ms' }, minSamples: 20 },
];

/**
 * The judge at the pace of the demo: blocks of a quarter of a second, read from the pods themselves, and no wait for a cold
 * start; the app's failures come one by one, so such short blocks may be trusted. A rollout of minutes leaves all of this out.
 */
const EVIDENCE = { provider: 'direct', mode: 'robust', block: BLOCK, warmUp: '0s', unproven: { after: '60s' } };

export const demoPlan = (target: object, image: string, judgedBy: JudgedBy = 'both') => ({
  target,
  steps: [
    { weight: 10, hold: '5s' },
    { weight: 25, hold: '5s' },
    { weight: 50, hold: '5s' },
  ],
  analysis: {
    interval: '1s',
    window: '6s',
    failureLimit: 2,
    evidence: judgedBy === 'thresholds' ? { mode: 'off' } : EVIDENCE,
    checks: judgedBy === 'evidence' ? [] : CHECKS,
    // What judges alone is not helped, nor kept waiting, by the guards.
    ...(judgedBy === 'both' ? {} : { guards: 'off' }),
  },
  labels: { image },
});

export interface Result {
  readonly release: Release;
  readonly rollout: RolloutView;
  /** What users saw from the start of the rollout to its end. */
  readonly users: Users;
  /** From the fault to canary weight 0 in the mesh object; null: there was no fault, or the weight never went to 0. */
  readonly faultToZeroMs: number | null;
}

export interface Watcher {
  /** The rollout has changed. */
  changed(rollout: RolloutView, users: Users): void;
  /** The canary breaks now. */
  broke(words: string): void;
  /** Four times a second. */
  live(rollout: RolloutView, users: Users): void;
}

export async function runRelease(
  { sandbox, service }: { readonly sandbox: Sandbox; readonly service: Service },
  release: Release,
  watcher: Watcher,
  signal: AbortSignal,
): Promise<Result> {
  await sandbox.release(release.image);
  signal.throwIfAborted();
  const before = sandbox.users();
  let rollout = await service.start(demoPlan(sandbox.target, release.image, release.judgedBy));
  let faultAt: number | null = null;
  let fault: NodeJS.Timeout | null = null;
  const ticker = setInterval(() => watcher.live(rollout, since(sandbox.users(), before)), 250);
  const deadline = Date.now() + DEADLINE_MS;
  try {
    for (;;) {
      watcher.changed(rollout, since(sandbox.users(), before));
      if (TERMINAL.has(rollout.status)) break;
      if (Date.now() > deadline) await service.abort(rollout.id);
      const { fault: planned } = release;
      if (planned !== null && fault === null && (rollout.weight.observed ?? 0) > 0)
        fault = setTimeout(() => {
          faultAt = Date.now();
          sandbox.setCanary(planned.change);
          watcher.broke(planned.words);
        }, FAULT_AFTER_MS);
      rollout = await service.next(rollout.id, rollout.version, 30);
      signal.throwIfAborted();
    }
    await sleep(LAST_ANSWERS_MS, undefined, { signal });
  } finally {
    clearInterval(ticker);
    if (fault !== null) clearTimeout(fault);
  }
  return {
    release,
    rollout,
    users: since(sandbox.users(), before),
    faultToZeroMs: faultAt === null ? null : toZero(sandbox, faultAt),
  };
}

function toZero(sandbox: Sandbox, from: number): number | null {
  const zero = sandbox.weights.find(({ at, weight }) => at >= from && weight === 0);
  return zero === undefined ? null : zero.at - from;
}

/** The line that programs read. */
export function summary(mesh: string, results: readonly Result[]) {
  const by = <T>(value: (result: Result) => T): Record<string, T> =>
    Object.fromEntries(results.map((result) => [result.release.name, value(result)]));
  const broken = results.filter(({ release }) => release.fault !== null);
  return {
    ...by(({ rollout }) => rollout.status),
    mesh,
    requests: by(({ users }) => users.requests),
    failedRequests: by(({ users }) => users.failed),
    slowRequests: by(({ users }) => users.slow),
    secondsFaultToZero: Object.fromEntries(
      broken.map(({ release, faultToZeroMs }) => [
        release.name,
        faultToZeroMs === null ? null : Math.round(faultToZeroMs / 100) / 10,
      ]),
    ),
  };
}

export const asExpected = (results: readonly Result[]): boolean =>
  results.length === RELEASES.length && results.every(({ release, rollout }) => rollout.status === release.expected);
