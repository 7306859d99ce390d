/**
 * The rehearsal of faults at a step: the probes are sent, and what their caller saw is one measurement like a check's.
 *
 * That nothing failed is the success of a rehearsal, and also what is seen when no fault was injected at all: the caller
 * drops the mark, or the proxies have not learnt of the rule. So as many probes go without the mark. A rehearsal passes
 * where the marked ones fared otherwise, or where the proxies counted the faults that their caller hid.
 */
import { atLeastAsMany } from '../domain/chance.ts';
import { count, duration, percent, plain } from '../domain/format.ts';
import type { Measurement, Reading } from '../domain/observation.ts';
import type { Instant, Millis } from '../domain/plan.ts';
import type { Rollout } from '../domain/rollout.ts';
import { rehearsalDue } from '../domain/schedule.ts';
import type { FaultRehearsal } from '../domain/temporary.ts';
import { PUSHED_WITHIN, REHEARSAL, REHEARSAL_HEADER, rehearsalAt } from '../domain/temporary.ts';
import type { Answers, FaultWitness, Injected, Probed, Prober } from './ports.ts';

export interface RehearsePorts {
  readonly prober?: Prober;
  readonly faults?: FaultWitness;
}

/** Empty: no rehearsal is due. Repeated after a crash: only marked requests meet the faults. */
export async function rehearse(
  { prober, faults }: RehearsePorts,
  rollout: Rollout,
  at: Instant,
): Promise<readonly Measurement[]> {
  const { phase, plan } = rollout;
  if ((phase.name !== 'progressing' && phase.name !== 'paused') || !rehearsalDue(rollout, at)) return [];
  const rehearsal = rehearsalAt(plan, phase.step);
  if (rehearsal === null || phase.reachedAt === null) return [];
  const inForceFor = at - phase.reachedAt;
  const objection =
    prober === undefined ? 'this process sends no probes' : prober.objection(rehearsal.probe.url, plan.target);
  if (prober === undefined || objection !== null)
    return [measured(rehearsal, { ok: false, message: objection ?? '' }, null, inForceFor, phase.step)];
  // The proxies' count has the probes of the looks before: those of this one are not scraped yet.
  const [probed, injected] = await Promise.all([
    prober.probe(rollout.id, rehearsal),
    faults?.injected(plan.target, inForceFor) ?? null,
  ]);
  return [measured(rehearsal, probed, injected, inForceFor, phase.step)];
}

type Judged = Pick<Measurement, 'verdict' | 'code' | 'reason'>;

/** `injected`: what the proxies counted since the step's rule was read back; null: they do not tell. `inForceFor`: since then. */
export function measured(
  rehearsal: FaultRehearsal,
  probed: Probed,
  injected: Injected | null,
  inForceFor: Millis,
  step: number,
): Measurement {
  const { probe } = rehearsal;
  const { url: query } = probe;
  const about = { check: REHEARSAL, step, stable: null, threshold: probe.maxFailed, window: 0 } as const;
  if (!probed.ok) {
    const { message } = probed;
    const canary = { ok: false, code: 'unavailable', message, query } as const;
    return { ...about, verdict: 'error', code: 'unavailable', reason: message, canary };
  }
  const { requests, failed } = probed.marked;
  const canary: Reading = { ok: true, value: failed / requests, samples: requests, query };
  return { ...about, ...judged(rehearsal, probed, injected, inForceFor), canary };
}

type Heard = Extract<Probed, { readonly ok: true }>;

const inconclusive = (code: string, reason: string): Judged => ({ verdict: 'inconclusive', code, reason });

/** Failures first: they show the faults themselves. A pass wants the rule in force everywhere, and the faults shown. */
function judged(
  rehearsal: FaultRehearsal,
  { marked, unmarked }: Heard,
  injected: Injected | null,
  inForceFor: Millis,
): Judged {
  const { probe } = rehearsal;
  const { requests, failed, slowest, lastFailure } = marked;
  const saw = `${count(failed)} of ${count(requests)} rehearsed requests to ${probe.url} failed${lastFailure === '' ? '' : ` (${lastFailure})`}`;
  if (failed / requests > probe.maxFailed) {
    const reason = `${saw}, at most ${percent(probe.maxFailed)} may`;
    return unmarked.failed > 0 && !differ(marked, unmarked, 'failed')
      ? inconclusive(
          'unmarked_too',
          `${reason}; but so did ${ofUnmarked(unmarked)} (${unmarked.lastFailure}): ${WITHOUT}`,
        )
      : { verdict: 'fail', code: 'above_max', reason };
  }
  if (probe.within !== null && slowest > probe.within) {
    const reason = `a rehearsed request to ${probe.url} took ${duration(slowest)}, at most ${duration(probe.within)} was allowed`;
    return unmarked.slowest > probe.within
      ? inconclusive('unmarked_too', `${reason}; but an unmarked one took ${duration(unmarked.slowest)}: ${WITHOUT}`)
      : { verdict: 'fail', code: 'too_slow', reason };
  }
  if (inForceFor < PUSHED_WITHIN && marked.affected < requests)
    return inconclusive(
      'propagating',
      `${saw}; the faults are in force for ${duration(inForceFor)}, and some proxies may not have learnt of them before ${duration(PUSHED_WITHIN)}`,
    );
  const shown = differ(marked, unmarked, 'affected');
  const counted = injected !== null && isCounted(rehearsal, injected);
  if (!shown && !counted)
    return inconclusive(
      'not_injected',
      `${saw}, as ${ofUnmarked(unmarked)} did, and ${uncounted(injected)}. ${WHAT_TO_DO}`,
    );
  if (failed / requests < probe.minFailed)
    return {
      verdict: 'fail',
      code: 'below_min',
      reason: `${saw}, at least ${percent(probe.minFailed)} were to: their caller hides the faults`,
    };
  const how = shown
    ? `${count(marked.affected)} met the faults, of the unmarked ${count(unmarked.affected)}`
    : `the proxies counted ${count(injected?.during ?? 0)} injected faults, which their caller stood`;
  return { verdict: 'pass', code: 'within', reason: `${saw}, the slowest took ${duration(slowest)}; ${how}` };
}

const ofUnmarked = ({ failed, requests }: Answers): string => `${count(failed)} of ${count(requests)} unmarked ones`;

const WITHOUT = 'their caller does so without faults, so that nothing can be rehearsed with it';
const WHAT_TO_DO = `Nothing shows that a fault was injected: see that whoever answers there passes the header ${REHEARSAL_HEADER} on and calls the service through the mesh, or let probe.url name the service itself`;

/** What chance brings about more seldom is a difference: five of five beside none of five is one. */
const DIFFERENT = 0.01;

const differ = (marked: Answers, unmarked: Answers, by: 'failed' | 'affected'): boolean =>
  atLeastAsMany({ of: marked.requests, have: marked[by] }, { of: unmarked.requests, have: unmarked[by] }) < DIFFERENT;

/** Half of what one round of probes must meet, and not what is always injected there. */
function isCounted({ delay, abort, probe }: FaultRehearsal, { during, before }: Injected): boolean {
  const part = Math.max(delay?.percent ?? 0, abort?.percent ?? 0) / 100;
  return during - before >= Math.max(1, (probe.requests * part) / 2) && during > 2 * before;
}

const uncounted = (injected: Injected | null): string =>
  injected === null
    ? 'no metrics tell of injected faults'
    : `the proxies counted ${plain(Math.round(injected.during))} injected faults since the step began (${plain(Math.round(injected.before))} in as long a time before)`;
