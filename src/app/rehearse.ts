/** The rehearsal of faults at a step: the probes are sent, and what their caller saw is one measurement like a check's. */
import { count, duration, percent } from '../domain/format.ts';
import type { Measurement } from '../domain/observation.ts';
import type { Instant } from '../domain/plan.ts';
import type { Rollout } from '../domain/rollout.ts';
import { rehearsalDue } from '../domain/schedule.ts';
import type { FaultRehearsal } from '../domain/temporary.ts';
import { REHEARSAL, rehearsalAt } from '../domain/temporary.ts';
import type { Probed, Prober } from './ports.ts';

export interface RehearsePorts {
  readonly prober?: Prober;
}

/** Empty: no rehearsal is due. Repeated after a crash: only marked requests meet the faults. */
export async function rehearse(
  { prober }: RehearsePorts,
  rollout: Rollout,
  at: Instant,
): Promise<readonly Measurement[]> {
  const { phase, plan } = rollout;
  if ((phase.name !== 'progressing' && phase.name !== 'paused') || !rehearsalDue(rollout, at)) return [];
  const rehearsal = rehearsalAt(plan, phase.step);
  if (rehearsal === null) return [];
  const objection =
    prober === undefined ? 'this process sends no probes' : prober.objection(rehearsal.probe.url, plan.target);
  const probed: Probed =
    prober === undefined || objection !== null
      ? { ok: false, message: objection ?? '' }
      : await prober.probe(rollout.id, rehearsal);
  return [measured(rehearsal, probed, phase.step)];
}

export function measured({ probe }: FaultRehearsal, probed: Probed, step: number): Measurement {
  const { url: query } = probe;
  const about = { check: REHEARSAL, step, stable: null, threshold: probe.maxFailed, window: 0 } as const;
  if (!probed.ok) {
    const { message } = probed;
    const canary = { ok: false, code: 'unavailable', message, query } as const;
    return { ...about, verdict: 'error', code: 'unavailable', reason: message, canary };
  }
  const { requests, failed, slowest, lastFailure } = probed;
  const part = failed / requests;
  const canary = { ok: true, value: part, samples: requests, query } as const;
  const saw = `${count(failed)} of ${count(requests)} rehearsed requests to ${query} failed${lastFailure === '' ? '' : ` (${lastFailure})`}`;
  if (part > probe.maxFailed)
    return {
      ...about,
      verdict: 'fail',
      code: 'above_max',
      reason: `${saw}, at most ${percent(probe.maxFailed)} may`,
      canary,
    };
  if (part < probe.minFailed)
    return {
      ...about,
      verdict: 'fail',
      code: 'below_min',
      reason: `${saw}, at least ${percent(probe.minFailed)} were to: the faults did not reach them`,
      canary,
    };
  if (probe.within !== null && slowest > probe.within)
    return {
      ...about,
      verdict: 'fail',
      code: 'too_slow',
      reason: `a rehearsed request to ${query} took ${duration(slowest)}, at most ${duration(probe.within)} was allowed`,
      canary,
    };
  return { ...about, verdict: 'pass', code: 'within', reason: `${saw}, the slowest took ${duration(slowest)}`, canary };
}
