/** What the evidence says, with its numbers and a sentence. */
import { logEvidence } from './claim.ts';
import { logSafety } from './safety.ts';
import type { EvidenceSettings } from './settings.ts';
import { bothFail } from './shared-outage.ts';
import type { EvidenceState, Metric } from './state.ts';
import { logTotal } from './state.ts';
import { trafficTrouble } from './traffic.ts';
import { bothFailing, failing, safe, suspicious, timesWorse, trafficOff, undecided, worse } from './words.ts';

export interface Finding {
  /**
   * `bad`: roll back. `suspicious`: hold the weight (evidence from `holdAt` on, both versions fail outright, or traffic is missing).
   * `safe`: may be promoted. `undecided`: go on, and never promote because of it.
   */
  readonly verdict: 'bad' | 'suspicious' | 'safe' | 'undecided';
  readonly code: 'failing' | 'errors' | 'latency' | 'both_failing' | 'traffic_off' | 'proven_safe' | 'not_proven';
  /** Evidence against the canary now; rolled back from `needed` on. */
  readonly evidence: number;
  readonly needed: number;
  /** Evidence that the canary is safe; promoted from `safetyNeeded` on. */
  readonly safety: number;
  readonly safetyNeeded: number;
  /** Requests and failures since the canary's first traffic. */
  readonly canary: { readonly requests: number; readonly errors: number };
  readonly stable: { readonly requests: number; readonly errors: number };
  /** Lower bound of how many times the stable's the named frequency is; null: none proven. */
  readonly atLeast: number | null;
  readonly sentence: string;
}

interface Suspect {
  readonly code: 'failing' | 'errors' | 'latency';
  readonly subject: string;
  readonly metric: Metric;
  /** ln of its part of the whole evidence. */
  readonly weight: number;
}

function suspects(state: EvidenceState, { budget, bounds }: EvidenceSettings): readonly Suspect[] {
  return [
    {
      code: 'failing',
      subject: 'errors',
      metric: state.errors,
      weight: Math.log(budget.outage) + logEvidence(state.outage),
    },
    {
      code: 'errors',
      subject: 'errors',
      metric: state.errors,
      weight: Math.log(budget.errors) + logEvidence(state.errors.claim),
    },
    ...state.latency.map((metric, i) => ({
      code: 'latency' as const,
      subject: `responses slower than ${bounds[i]} ms`,
      metric,
      weight: Math.log(budget.latency / state.latency.length) + logEvidence(metric.claim),
    })),
  ];
}

/** Findings are stored as JSON, which has no Infinity. */
const MOST = 690;
const finite = (log: number): number => Math.exp(Math.min(log, MOST));

/** The finding after the last block. Once `bad`, always `bad`. */
export function finding(state: EvidenceState, settings: EvidenceSettings): Finding {
  const { alpha, beta, holdAt } = settings;
  const needed = 1 / alpha;
  const safetyNeeded = 1 / beta;
  const evidence = finite(state.crossed?.logEvidence ?? logTotal(state, settings));
  const safety = finite(logSafety(state.safety));
  const { canary, stable } = state.errors.totals;
  const numbers = {
    evidence,
    needed,
    safety,
    safetyNeeded,
    canary: { requests: canary.n, errors: canary.x },
    stable: { requests: stable.n, errors: stable.x },
  };
  const suspect = suspects(state, settings).reduce((worst, next) => (next.weight > worst.weight ? next : worst));
  const { code, subject, metric } = suspect;
  const atLeast = timesWorse(metric);
  if (state.crossed !== null) {
    const sentence =
      code === 'failing' ? failing(metric, settings.outage.tolerance, alpha) : worse(subject, metric, alpha);
    return { ...numbers, verdict: 'bad', code, atLeast, sentence };
  }
  if (evidence >= holdAt) {
    return {
      ...numbers,
      verdict: 'suspicious',
      code,
      atLeast,
      sentence: suspicious(evidence, needed, subject, metric),
    };
  }
  if (bothFail(state.sharedOutage, alpha)) {
    const sentence = bothFailing(state.errors, settings.outage.tolerance);
    return { ...numbers, verdict: 'suspicious', code: 'both_failing', atLeast: null, sentence };
  }
  const traffic = trafficTrouble(state.traffic, alpha);
  if (traffic !== null) {
    const sentence = trafficOff(traffic, state.errors);
    return { ...numbers, verdict: 'suspicious', code: 'traffic_off', atLeast: null, sentence };
  }
  if (safety >= safetyNeeded) {
    const sentence = safe(state.errors, settings.safety.frequency, settings.safety.ratio, beta);
    return { ...numbers, verdict: 'safe', code: 'proven_safe', atLeast: null, sentence };
  }
  return { ...numbers, verdict: 'undecided', code: 'not_proven', atLeast: null, sentence: undecided(state.errors) };
}

/** What a rollout ends in when its time is up. Nothing but a proof promotes. */
export const atTheEnd = ({ verdict }: Finding): 'roll_back' | 'promote' | 'inconclusive' =>
  verdict === 'bad' ? 'roll_back' : verdict === 'safe' ? 'promote' : 'inconclusive';
