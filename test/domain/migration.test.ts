/** The reducer of migrations: tables of one look each. */
import { describe, expect, it } from 'vitest';
import { abort, nextLookAt, observe, toWrite, trafficWindow, writeFailed } from '../../src/domain/migration/advance.ts';
import { judgeTraffic } from '../../src/domain/migration/judge.ts';
import type { MigrationPhase } from '../../src/domain/migration/migration.ts';
import { statusOf, wantedOf } from '../../src/domain/migration/migration.ts';
import type { Look, Traffic } from '../../src/domain/migration/observation.ts';
import {
  aCaller,
  aLook,
  aMigration,
  back,
  guarding,
  MINUTE,
  seen,
  someCaller,
  someTraffic,
  stamped,
  strict,
} from '../support/migration-builders.ts';

const away = { ok: false, code: 'unavailable', message: 'Prometheus is away' } as const;
const refused = (code: string, permanent = false) =>
  ({ ok: false, code, message: `the API server says ${code}`, permanent }) as const;
const step = (phase: MigrationPhase, look: Look, plan = {}) => observe(aMigration(phase, plan), look);
const facts = (change: ReturnType<typeof step>): readonly string[] => change.facts.map(({ type }) => type);

describe('the guard', () => {
  it('begins in the first look, and writes nothing', () => {
    const change = step({ name: 'pending' }, aLook(0, { policy: null, plaintext: null, traffic: null }));
    expect([statusOf(change.migration), facts(change), wantedOf(change.migration)]).toEqual([
      'guarding',
      ['guarding'],
      null,
    ]);
  });

  it.each<[string, MigrationPhase, Partial<Look>, string, readonly string[]]>([
    ['goes on while the time is not over', guarding({ heardSince: 1 }), {}, 'guarding', []],
    ['lets STRICT be written after the time', guarding(), {}, 'strict', ['strict_wanted']],
    [
      'waits where a caller speaks plaintext',
      guarding(),
      { plaintext: { ok: true, callers: [aCaller()], calls: 9 } },
      'guarding',
      ['blocked'],
    ],
    [
      'says the same caller once',
      guarding({ callers: [aCaller()] }),
      { plaintext: { ok: true, callers: [aCaller()], calls: 9 } },
      'guarding',
      [],
    ],
    [
      'says another caller anew',
      guarding({ callers: [aCaller('old')] }),
      { plaintext: { ok: true, callers: [aCaller()], calls: 9 } },
      'guarding',
      ['blocked'],
    ],
    ['says when the caller is gone', guarding({ callers: [aCaller()] }), {}, 'strict', ['unblocked', 'strict_wanted']],
    [
      'does not take silence for a pass',
      guarding(),
      { plaintext: { ok: true, callers: [], calls: 0 } },
      'guarding',
      ['no_answer'],
    ],
    ['does not take a Prometheus that is away for a pass', guarding(), { plaintext: away }, 'guarding', ['no_answer']],
    ['does not write without a measure of before', guarding(), { traffic: away }, 'guarding', ['no_answer']],
    [
      'does not write what it cannot read',
      guarding(),
      { policy: refused('timeout') },
      'guarding',
      ['mesh_trouble', 'no_answer'],
    ],
    [
      'pauses when the patience is over',
      guarding({ blindSince: -30 * MINUTE, heardSince: null }),
      { plaintext: away },
      'paused',
      ['paused'],
    ],
    [
      'heals from a pause by itself, and counts anew',
      {
        ...guarding({ heardSince: null, blindSince: 0 }),
        name: 'paused',
        cause: 'no_data',
        message: '',
        pausedAt: 0,
      } as MigrationPhase,
      {},
      'guarding',
      ['resumed'],
    ],
    [
      'ends where an older policy is for the same',
      guarding(),
      seen(stamped('PERMISSIVE', 0), ['PeerAuthentication production/old']),
      'aborted',
      ['ended'],
    ],
    ['ends where the policy is gone', guarding(), seen(null), 'aborted', ['ended']],
    [
      'ends where the policy would be for others too',
      guarding(),
      { beyond: { ok: true, workloads: ['StatefulSet production/db'] } },
      'aborted',
      ['ended'],
    ],
    ['does not write where nobody could tell whom it selects', guarding(), { beyond: away }, 'guarding', ['no_answer']],
    [
      'ends where somebody made it STRICT',
      guarding(),
      seen(stamped('STRICT', 0, { stamp: null })),
      'aborted',
      ['ended'],
    ],
  ])('%s', (_, phase, look, status, told) => {
    const change = step(phase, aLook(10 * MINUTE, look));
    expect([statusOf(change.migration), facts(change)]).toEqual([status, told]);
  });

  it('starts its time again after a look without an answer', () => {
    const blind = step(guarding(), aLook(9 * MINUTE, { plaintext: away })).migration;
    const again = observe(blind, aLook(10 * MINUTE)).migration;
    expect(again.phase).toMatchObject({ name: 'guarding', heardSince: 10 * MINUTE });
    expect(statusOf(observe(again, aLook(20 * MINUTE)).migration)).toBe('strict');
  });

  it('says of a caller without a name how to find it', () => {
    const change = step(guarding(), aLook(1, { plaintext: { ok: true, callers: [aCaller('unknown')], calls: 9 } }));
    expect(change.facts[0]?.message).toMatch(
      /unknown called production\/myapp-v1.*cannot be named.*istio-proxy.*downstream_remote_address/,
    );
  });

  it('remembers the mode as it was', () => {
    const { migration } = step(guarding(), aLook(10 * MINUTE, seen(stamped(null, 0, { stamp: null }))));
    expect(migration.phase).toMatchObject({ before: { mode: null } });
    expect(toWrite(migration, seen(stamped(null, 0)).policy)).toEqual({ mode: 'STRICT', generation: 1, gone: false });
  });
});

describe('STRICT', () => {
  const inPlace = seen(stamped('STRICT', 1));
  const many: Traffic = someTraffic({ failures: 30, failing: ['production/frontend'] });

  it.each<[string, MigrationPhase, Partial<Look>, string, readonly string[]]>([
    ['is not in force before it is read back', strict({ inForceAt: null }), {}, 'strict', []],
    [
      'is in force when mode and stamp are read back',
      strict({ inForceAt: null }),
      inPlace,
      'strict',
      ['strict_in_force'],
    ],
    [
      'of another stamp is not ours',
      strict({ inForceAt: null }),
      seen(stamped('STRICT', 1, { stamp: null })),
      'strict',
      [],
    ],
    ['succeeds after the time', strict(), inPlace, 'succeeded', ['ended']],
    ['does not succeed unjudged', strict(), { ...inPlace, traffic: away }, 'strict', ['no_answer']],
    [
      'does not succeed where nobody calls',
      strict(),
      { ...inPlace, traffic: { ok: true, ...someTraffic({ calls: 0, callers: [] }), window: 1000 } },
      'strict',
      ['no_answer'],
    ],
    [
      'does not succeed where all since STRICT is not known',
      strict(),
      { ...inPlace, whole: away },
      'strict',
      ['no_answer'],
    ],
    [
      'goes back for what failed since STRICT, though nothing did lately',
      strict(),
      { ...inPlace, whole: { ok: true, ...many } },
      'rolling_back',
      ['rollback_started'],
    ],
    ['does not succeed unread', strict(), { policy: refused('timeout') }, 'strict', ['mesh_trouble']],
    [
      'goes back when connections fail',
      strict(),
      { ...inPlace, traffic: { ok: true, ...many } },
      'rolling_back',
      ['rollback_started'],
    ],
    [
      'goes back when connections fail, also where it cannot be read',
      strict(),
      { policy: refused('timeout'), traffic: { ok: true, ...many } },
      'rolling_back',
      ['mesh_trouble', 'rollback_started'],
    ],
    [
      'goes back where it cannot be watched for the patience',
      strict({ blindSince: -20 * MINUTE }),
      { ...inPlace, traffic: away },
      'rolling_back',
      ['rollback_started'],
    ],
    [
      'goes back where an older policy is in force',
      strict(),
      seen(stamped('STRICT', 1), ['PeerAuthentication production/old']),
      'rolling_back',
      ['rollback_started'],
    ],
    [
      'goes back when it selects others too',
      strict(),
      { ...inPlace, beyond: { ok: true, workloads: ['Deployment production/shop'] } },
      'rolling_back',
      ['rollback_started'],
    ],
    [
      'does not succeed where nobody could tell whom it selects',
      strict(),
      { ...inPlace, beyond: away },
      'strict',
      ['no_answer'],
    ],
    ['is left to whoever changed it', strict(), seen(stamped('PERMISSIVE', 1)), 'aborted', ['ended']],
    ['is left to whoever deleted it', strict(), seen(null), 'aborted', ['ended']],
    [
      'is left to a newer decision',
      strict(),
      seen(stamped('STRICT', 1, { stamp: { migration: 'mm_2', epoch: 8, generation: 1 } })),
      'aborted',
      ['ended'],
    ],
  ])('%s', (_, phase, look, status, told) => {
    const change = step(phase, aLook(10 * MINUTE, look));
    expect([statusOf(change.migration), facts(change)]).toEqual([status, told]);
  });

  it('that was read back and is not there any more is not written again', () => {
    expect(toWrite(aMigration(strict()), seen(stamped('PERMISSIVE', 1)).policy)).toBeNull();
  });

  it.each([
    ['will be refused again', refused('forbidden', true), 0, 'rolling_back'],
    ['may pass later', refused('timeout'), 0, 'strict'],
    ['has been refused for the patience', refused('timeout'), 30 * MINUTE, 'rolling_back'],
  ])('whose write %s', (_, refusal, at, status) => {
    const begun = {
      ...aMigration(strict({ inForceAt: null })),
      trouble: { code: 'write_timeout', message: '', since: 0 },
    };
    expect(statusOf(writeFailed(begun, refusal, at).migration)).toBe(status);
  });
});

describe('the way back', () => {
  it.each<[string, MigrationPhase, Partial<Look>, boolean, string]>([
    ['is not over while the mode stands', back(), seen(stamped('STRICT', 1)), false, 'rolling_back'],
    [
      'is not over without our stamp: a stalled write may still come',
      back(),
      seen(stamped('PERMISSIVE', 1)),
      false,
      'rolling_back',
    ],
    ['is over when mode and stamp are read back', back(), seen(stamped('PERMISSIVE', 2)), false, 'rolled_back'],
    [
      'is over as an abort when a person wanted it',
      back({ reason: 'aborted' }),
      seen(stamped('PERMISSIVE', 2)),
      false,
      'aborted',
    ],
    ['of a policy that it made is over when that is gone', back(), seen(null), true, 'rolled_back'],
    ['of a policy that it made is not over before', back(), seen(stamped('PERMISSIVE', 2)), true, 'rolling_back'],
    ['is not ended by trouble', back(), { policy: refused('forbidden', true) }, false, 'rolling_back'],
    [
      'ends as failed under a newer decision, and does not claim to be back',
      back(),
      seen(stamped('STRICT', 1, { stamp: { migration: 'mm_2', epoch: 8, generation: 1 } })),
      false,
      'failed',
    ],
  ])('%s', (_, phase, look, made, status) => {
    const policy = { namespace: 'production', name: 'default', made };
    expect(statusOf(step(phase, aLook(MINUTE, look), { policy }).migration)).toBe(status);
  });

  it.each([
    [guarding(), false, 'aborted'],
    [strict(), false, 'rolling_back'],
    [back(), false, 'rolling_back'],
    [back(), true, 'failed'],
  ])('by a person from $name (give up: %s) leads to %s', (phase, giveUp, status) => {
    const change = abort(aMigration(phase as MigrationPhase), { at: 1, actor: 'ana', reason: 'late', giveUp });
    expect(change === null ? null : statusOf(change.migration)).toBe(status);
  });

  it('is none where the migration has ended', () => {
    const ended = aMigration({ name: 'ended', status: 'succeeded', outcome: { code: 'strict', message: '' }, at: 0 });
    expect(abort(ended, { at: 1, actor: 'ana', reason: null, giveUp: false })).toBeNull();
    expect(nextLookAt(ended, 0)).toBeNull();
  });
});

describe('the judge of the watch', () => {
  const plan = { limits: { failures: 0.01, lost: 0.5 }, watch: MINUTE };
  const rps = (n: number) => [someCaller({ rps: n, calls: 60 * n })];

  it.each<[string, Traffic, Traffic, string, RegExp]>([
    ['passes what is as before', someTraffic(), someTraffic(), 'pass', /0 of 600 calls/],
    [
      'fails 5 % where nothing failed before',
      someTraffic(),
      someTraffic({ failures: 30 }),
      'fail',
      /30 of 600 calls.*5 %, before STRICT 0 %, allowed 1 %/,
    ],
    [
      'passes 5 % where 5 % failed before',
      someTraffic({ failures: 30 }),
      someTraffic({ failures: 30 }),
      'pass',
      /30 of 600/,
    ],
    [
      'passes four failures: pods come and go',
      someTraffic(),
      someTraffic({ calls: 40, failures: 4 }),
      'pass',
      /4 of 40/,
    ],
    [
      'fails a caller that lost 60 %',
      someTraffic(),
      someTraffic({ callers: rps(4) }),
      'fail',
      /production\/frontend lost 60 %.*4 per second.*10 did/,
    ],
    ['fails a caller that vanished', someTraffic(), someTraffic({ callers: [], calls: 0 }), 'fail', /lost 100 %/],
    ['passes a caller that lost 40 %', someTraffic(), someTraffic({ callers: rps(6) }), 'pass', /no caller lost/],
    [
      'fails a caller of few calls that vanished: 30 are not silent by chance',
      someTraffic({ callers: rps(0.5) }),
      someTraffic({ callers: [] }),
      'fail',
      /lost 100 %.*0 per second arrive in 1 m where 0\.5 did/,
    ],
    [
      'names a caller of whom too little was heard, and judges the others',
      someTraffic({ callers: [...rps(10), someCaller({ workload: 'cron', rps: 0.1, calls: 6 })] }),
      someTraffic(),
      'pass',
      /not judged, since too little was heard of them before STRICT: production\/cron$/,
    ],
    [
      'passes nothing where too little was heard of everybody',
      someTraffic({ callers: rps(0.1), calls: 6 }),
      someTraffic({ callers: rps(0.1), calls: 6 }),
      'inconclusive',
      /too few calls.*of any caller: production\/frontend/,
    ],
    [
      'fails a caller whose every call fails, though it makes under 1 % of all',
      someTraffic({ callers: [...rps(100), someCaller({ workload: 'small', rps: 0.8, calls: 48 })], calls: 6048 }),
      someTraffic({
        callers: [...rps(100), someCaller({ workload: 'small', calls: 48, failures: 48 })],
        calls: 6048,
        failures: 48,
      }),
      'fail',
      /caller production\/small: 48 of 48 calls in 1 m did not connect.*100 %, before STRICT 0 %, allowed 1 %/,
    ],
    [
      'passes a caller whose calls failed before as they do now',
      someTraffic({ callers: [...rps(10), someCaller({ workload: 'prober', rps: 1, calls: 60, failures: 30 })] }),
      someTraffic({ callers: [...rps(10), someCaller({ workload: 'prober', rps: 1, calls: 60, failures: 33 })] }),
      'pass',
      /no caller lost/,
    ],
    [
      'fails a caller that nobody heard before, where most of its calls fail',
      someTraffic(),
      someTraffic({
        callers: [...rps(10), someCaller({ workload: 'new', calls: 9, failures: 9 })],
        calls: 609,
        failures: 9,
      }),
      'fail',
      /did not connect/,
    ],
    [
      'cannot judge silence',
      someTraffic({ callers: [] }),
      someTraffic({ callers: [], calls: 0 }),
      'inconclusive',
      /nobody called/,
    ],
  ])('%s', (_, before, now, verdict, words) => {
    const found = judgeTraffic(before, { recent: now, whole: now }, plan, 240);
    expect(found.verdict).toBe(verdict);
    expect(found.message).toMatch(words);
  });
});

it.each([
  ['all of quiet while it guards', guarding(), 5 * MINUTE, 10 * MINUTE],
  ['nothing before four scrapes have passed', strict(), 30_000, null],
  ['what passed since STRICT', strict({ judgedAt: 50_000 }), MINUTE, MINUTE],
  ['the last minute and more later', strict({ judgedAt: 290_000 }), 5 * MINUTE, 70_000],
  ['also what nobody looked at', strict({ judgedAt: 2 * MINUTE }), 8 * MINUTE, 7 * MINUTE],
  ['nothing on the way back', back(), MINUTE, null],
])('asks for %s', (_, phase, at, window) => {
  expect(trafficWindow(aMigration(phase as MigrationPhase), at)).toBe(window);
});
