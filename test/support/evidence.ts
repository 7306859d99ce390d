/** Plans that compare canary and stable, and made-up pasts of a service. */
import type { MetricsProvider, Survey } from '../../src/app/ports.ts';
import type { History } from '../../src/domain/evidence/calibrate.ts';
import type { Side } from '../../src/domain/evidence/counts.ts';
import type { CounterSeries } from '../../src/domain/evidence/increments.ts';
import type { EvidenceSetup, Ledger, Taken } from '../../src/domain/evidence/ledger.ts';
import { openLedger, take } from '../../src/domain/evidence/ledger.ts';
import { DEFAULTS } from '../../src/domain/evidence/settings.ts';
import type { EvidencePlan, Role } from '../../src/domain/plan.ts';
import { generator, poisson } from '../evidence/special.ts';

/** What a plan that only says "compare" means. */
export const anEvidencePlan = (part: Partial<EvidencePlan> = {}): EvidencePlan => ({
  provider: 'prometheus',
  mode: 'auto',
  alpha: DEFAULTS.alpha,
  beta: DEFAULTS.beta,
  block: null,
  warmUp: null,
  errors: { margin: DEFAULTS.errors.margin, tolerance: DEFAULTS.errors.tolerance },
  latency: { margin: DEFAULTS.latency.margin, tolerance: DEFAULTS.latency.tolerance, bounds: null },
  safety: DEFAULTS.safety,
  bake: 0,
  unproven: { after: 1_800_000, then: 'pause' },
  ...part,
});

// ── made-up pasts ───────────────────────────────────────────────────────────────────────────────────────────────────

export interface PastOptions {
  readonly seed?: number;
  readonly pods?: number;
  readonly hours?: number;
  /** Milliseconds. */
  readonly slot?: number;
  /** Requests per second and pod. */
  readonly rps?: number;
  /** Part of the requests that fail, independently of each other. */
  readonly errors?: number;
  /** Part of the successful responses that are slower than each bound. */
  readonly slow?: readonly number[];
  /** Each pod, so many times an hour: for so many seconds this part of its requests fails. */
  readonly burst?: { readonly perHour: number; readonly seconds: number; readonly errors: number } | null;
}

/** A service whose requests come as they like (Poisson), whatever else happens. */
export function aPast(options: PastOptions = {}): History {
  const { seed = 1, pods = 10, hours = 4, slot = 5000, rps = 5, errors = 0.002, slow = [], burst = null } = options;
  const uniform = generator(seed);
  const until = new Array<number>(pods).fill(-1);
  const seconds = slot / 1000;
  const side = (p: number): Side => {
    const failed = poisson(uniform, rps * seconds * p);
    const timed = poisson(uniform, rps * seconds * (1 - p));
    const slower = slow.map((part) => Math.min(timed, poisson(uniform, timed * part))).toSorted((a, b) => b - a);
    return { requests: failed + timed, errors: failed, timed, slow: slower };
  };
  return {
    slot,
    slots: Array.from({ length: (hours * 3_600_000) / slot }, (_, k) =>
      until.map((end, pod) => {
        const t = k * seconds;
        if (burst !== null && end <= t && uniform() < (burst.perHour * seconds) / 3600) until[pod] = t + burst.seconds;
        return side(burst !== null && (until[pod] ?? -1) > t ? burst.errors : errors);
      }),
    ),
  };
}

/** The same past with every pod replaced `times` - 1 times, one after the other: as many pods as it had, so many times. */
export function replaced({ slot, slots }: History, times: number): History {
  const each = slots.length / times;
  const nobody = (side: Side): Side => ({ requests: 0, errors: 0, timed: 0, slow: side.slow.map(() => 0) });
  return {
    slot,
    slots: slots.map((pods, k) =>
      Array.from({ length: times }, (_, life) =>
        pods.map((side) => (Math.floor(k / each) === life ? side : nobody(side))),
      ).flat(),
    ),
  };
}

/** What a provider that can count says of a service. */
export const aSurvey = (part: Partial<Extract<Survey, { ok: true }>> = {}): Survey => ({
  ok: true,
  view: 'callers',
  resolution: 5000,
  bounds: [100, 250, 500],
  history: null,
  rps: 50,
  message: 'no view tells the pods apart',
  ...part,
});

/** A provider that answers every survey so; null: one that cannot count. */
export const aProvider = (survey: Survey | (() => Promise<Survey>) | null): MetricsProvider => ({
  name: 'prometheus',
  measure: async () => ({ ok: true, value: 0.002, samples: 4321, query: 'q' }),
  share: async () => null,
  scrapeInterval: 15_000,
  ping: async () => null,
  ...(survey === null
    ? {}
    : {
        count: async () => ({ ok: false, code: 'no_data', message: 'nothing', query: 'q' }) as const,
        survey: typeof survey === 'function' ? survey : async () => survey,
      }),
});

// ── ledgers ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export const anEvidenceSetup = (part: Partial<EvidenceSetup> = {}): EvidenceSetup => ({
  provider: 'prometheus',
  view: 'outbound',
  pace: { mode: 'robust', block: 10_000, warmUp: 30_000 },
  settings: { ...DEFAULTS, bounds: [100, 250] },
  words: 'as careful as can be',
  calibration: { trials: 100, rolledBack: 1, passed: true, pods: 12, past: 14_400_000 },
  ...part,
});

export const aLedger = (setup = anEvidenceSetup()): Ledger => openLedger(setup);

/** The ledger after another look, ten seconds after the last one, that closes a block of some hundred requests. */
export function counted(ledger: Ledger, at: number, requests = 100): Taken {
  const began = ledger.began ?? at - 10_000;
  const base = (ledger.cursor.series['c']?.[1] ?? 0) + requests;
  const counter = (id: string, role: Role, value: number): CounterSeries => ({
    id,
    exporter: 'job/10.0.0.1:15020/caller-0',
    startedAt: null,
    role,
    pod: `${role}-7d4b9c-x2x7z`,
    adds: { requests: 1 },
    samples:
      ledger.began === null
        ? [
            [began - 1, 0],
            [at, value],
          ]
        : [[(ledger.countedTo ?? at) + 1, value]],
  });
  const series = [counter('c', 'canary', base), counter('s', 'stable', 9 * base + 0.5)];
  const source = { provider: ledger.setup.provider, view: ledger.setup.view };
  const moment = { at: (ledger.open?.since ?? began) + 10_000, reachedAt: began, weight: 12.5, shareKnown: true };
  const taken = take(ledger, { source, at: (ledger.countedTo ?? at) + 1, series }, moment);
  // A block carries the time of its commit.
  return { ...taken, closed: taken.closed === null ? null : { ...taken.closed, at } };
}
