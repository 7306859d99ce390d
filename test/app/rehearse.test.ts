/** What a rehearsal of faults comes to: a pass wants the faults shown, since that nothing failed is what no faults look like too. */
import { describe, expect, it } from 'vitest';
import type { Answers, Injected } from '../../src/app/ports.ts';
import { measured } from '../../src/app/rehearse.ts';
import type { FaultRehearsal, Probe } from '../../src/domain/temporary.ts';

const REQUESTS = 20;
const probe: Probe = {
  url: 'http://frontend.production/',
  requests: REQUESTS,
  timeout: 5_000,
  maxFailed: 0,
  minFailed: 0,
  within: null,
};
const rehearsal = (part: Partial<Probe> = {}, percent = 100): FaultRehearsal => ({
  kind: 'faultRehearsal',
  delay: null,
  abort: { percent, status: 503 },
  probe: { ...probe, ...part },
});
const answers = (failed: number, affected = failed, slowest = 20): Answers => ({
  requests: REQUESTS,
  failed,
  affected,
  slowest,
  lastFailure: failed > 0 ? 'status 503' : '',
});
const WELL = answers(0);
const LATER = 30_000;

interface Look {
  readonly marked: Answers;
  readonly unmarked?: Answers;
  readonly injected?: Injected | null;
  readonly inForceFor?: number;
  readonly wanted?: FaultRehearsal;
}
const judged = ({ marked, unmarked = WELL, injected = null, inForceFor = LATER, wanted = rehearsal() }: Look) =>
  measured(wanted, { ok: true, marked, unmarked }, injected, inForceFor, 0);

const all = rehearsal({ maxFailed: 1 });
const shown = rehearsal({ maxFailed: 1, minFailed: 0.5 });

describe('a rehearsal', () => {
  it.each<[string, Look, string, string]>([
    // Stood: nothing failed.
    ['without a sign of a fault', { marked: WELL }, 'inconclusive', 'not_injected'],
    [
      'of which the proxies counted no fault',
      { marked: WELL, injected: { during: 0, before: 0 } },
      'inconclusive',
      'not_injected',
    ],
    [
      'of which the proxies counted the faults',
      { marked: WELL, injected: { during: 20, before: 0 } },
      'pass',
      'within',
    ],
    [
      'of which the proxies counted a stray fault',
      { marked: WELL, injected: { during: 1, before: 0 } },
      'inconclusive',
      'not_injected',
    ],
    [
      'where faults are always injected',
      { marked: WELL, injected: { during: 30, before: 25 } },
      'inconclusive',
      'not_injected',
    ],
    ['whose delays show, and harm nobody', { marked: answers(0, 20, 900) }, 'pass', 'within'],
    [
      'whose unmarked probes are as late',
      { marked: answers(0, 20), unmarked: answers(0, 20) },
      'inconclusive',
      'not_injected',
    ],
    [
      'of a tenth, of which two show by chance',
      { marked: answers(0, 2), wanted: rehearsal({}, 10) },
      'inconclusive',
      'not_injected',
    ],
    [
      'of a tenth, which the proxies counted',
      { marked: answers(0, 2), wanted: rehearsal({}, 10), injected: { during: 2, before: 0 } },
      'pass',
      'within',
    ],
    // Not stood.
    ['that fails', { marked: answers(20) }, 'fail', 'above_max'],
    ['that fails as the unmarked do', { marked: answers(5), unmarked: answers(5) }, 'inconclusive', 'unmarked_too'],
    ['that fails more often than the unmarked', { marked: answers(20), unmarked: answers(2) }, 'fail', 'above_max'],
    ['that is too slow', { marked: answers(0, 20, 900), wanted: rehearsal({ within: 500 }) }, 'fail', 'too_slow'],
    [
      'that is as slow as the unmarked',
      { marked: answers(0, 0, 900), unmarked: answers(0, 0, 800), wanted: rehearsal({ within: 500 }) },
      'inconclusive',
      'unmarked_too',
    ],
    // Allowed to fail, or meant to.
    ['all of which may fail and does', { marked: answers(20), wanted: all }, 'pass', 'within'],
    ['all of which may fail, and none does', { marked: WELL, wanted: all }, 'inconclusive', 'not_injected'],
    ['half of which must fail and does', { marked: answers(20), wanted: shown }, 'pass', 'within'],
    [
      'half of which must fail, and the rule is not there',
      { marked: WELL, wanted: shown },
      'inconclusive',
      'not_injected',
    ],
    [
      'half of which must fail, and the caller hides it',
      { marked: WELL, wanted: shown, injected: { during: 20, before: 0 } },
      'fail',
      'below_min',
    ],
    // Before every proxy has learnt of the rule.
    ['that fails at once', { marked: answers(3), inForceFor: 3_000 }, 'fail', 'above_max'],
    ['all of which met the faults at once', { marked: answers(20), wanted: all, inForceFor: 3_000 }, 'pass', 'within'],
    [
      'half of which met the faults at once',
      { marked: answers(10), wanted: all, inForceFor: 3_000 },
      'inconclusive',
      'propagating',
    ],
    [
      'that is counted, but early',
      { marked: WELL, injected: { during: 20, before: 0 }, inForceFor: 9_000 },
      'inconclusive',
      'propagating',
    ],
  ])('%s', (_, look, verdict, code) => {
    expect(judged(look)).toMatchObject({ check: 'fault-rehearsal', verdict, code });
  });

  it('of which nothing is shown says what was seen, what is missing and what to do', () => {
    expect(judged({ marked: WELL, injected: { during: 0, before: 0 } }).reason).toBe(
      '0 of 20 rehearsed requests to http://frontend.production/ failed, as 0 of 20 unmarked ones did, and the proxies counted 0 injected faults since the step began (0 in as long a time before). Nothing shows that a fault was injected: see that whoever answers there passes the header x-sluice-rehearsal on and calls the service through the mesh, or let probe.url name the service itself',
    );
    expect(judged({ marked: WELL }).reason).toContain('no metrics tell of injected faults');
  });

  it('that could not be made is an error, and no pass', () => {
    expect(measured(rehearsal(), { ok: false, message: 'this process sends no probes' }, null, LATER, 0)).toMatchObject(
      {
        verdict: 'error',
        code: 'unavailable',
      },
    );
  });
});
