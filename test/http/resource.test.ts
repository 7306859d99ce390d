import { describe, expect, it } from 'vitest';
import type { Phase, Rollout } from '../../src/domain/rollout.ts';
import { EXCHANGES, EXCHANGES_OF_ONE, exchanges } from '../../src/http/exchanges.ts';
import { networkOf } from '../../src/http/network.ts';
import { KEYS_KEPT, rateLimiter, slots } from '../../src/http/rate.ts';
import { linkOf, present } from '../../src/http/resource.ts';
import { rolloutSchema } from '../../src/http/schemas.ts';

const AT = Date.UTC(2026, 0, 31, 12);
const rollout = (phase: Phase, over: Partial<Rollout> = {}): Rollout => ({
  id: 'ro_1',
  epoch: 3,
  plan: {
    target: {
      cluster: 'default',
      namespace: 'production',
      service: 'myapp',
      mesh: 'istio',
      stable: { deployment: 'a' },
      canary: { deployment: 'b' },
      virtualService: { name: 'myapp-routes', route: 'secret' },
    },
    steps: [
      { weight: 5, hold: 1000, approval: 'none' },
      { weight: 25, hold: 1000, approval: 'required' },
      { weight: 50, hold: 1000, approval: 'none' },
    ],
    analysis: {
      interval: 1000,
      settle: 0,
      noData: { patience: 1000, then: 'pause' },
      checks: [
        {
          name: 'errors',
          kind: 'error-rate',
          provider: 'prometheus',
          threshold: { max: 0.01 },
          window: 1000,
          minSamples: 1,
          failureLimit: 2,
        },
      ],
      trafficShare: 'auto',
      evidence: null,
    },
    drift: { then: 'pause', maxReasserts: 3 },
    readyDeadline: 1000,
    meshPatience: 1000,
    deadline: null,
    onConflict: 'reject',
    labels: { version: '2' },
  },
  createdAt: AT,
  createdBy: 'token ci',
  version: 7,
  generation: 2,
  phase,
  tallies: {},
  observedWeight: null,
  observedShare: null,
  evaluatedAt: null,
  judgement: null,
  reasserts: 0,
  movedBy: [],
  appliedGeneration: null,
  meshTrouble: null,
  unreadySince: null,
  attempts: 0,
  factCount: 1,
  ...over,
});
const outcome = {
  code: 'check_failed',
  message: 'm',
  step: 1,
  weight: 25,
  check: 'errors',
  observed: 0.03,
  threshold: 0.01,
};
const at = (step: number, reached: boolean) => ({ step, reachedAt: reached ? AT : null, from: 0, go: null });

const PHASES: readonly (readonly [string, Phase, object])[] = [
  [
    'pending',
    { name: 'pending', behind: null },
    { status: 'pending', step: null, progressPercent: 0, outcome: null, weight: { wanted: null } },
  ],
  [
    'on the way to a step',
    { name: 'progressing', ...at(1, false) },
    { status: 'progressing', step: 1, progressPercent: 25, reachedAt: null, weight: { wanted: 25 } },
  ],
  [
    'at a step',
    { name: 'progressing', ...at(1, true) },
    { progressPercent: 50, reachedAt: '2026-01-31T12:00:00.000Z' },
  ],
  [
    'being promoted',
    { name: 'progressing', ...at(3, true) },
    { step: 3, steps: 3, progressPercent: 99, weight: { wanted: 100 } },
  ],
  [
    'waiting for approval',
    { name: 'paused', cause: 'approval', held: false, since: AT, message: 'w', ...at(1, true) },
    {
      status: 'paused',
      awaiting: 'approval',
      pause: { cause: 'approval', message: 'w', since: '2026-01-31T12:00:00.000Z' },
    },
  ],
  [
    'approved, not yet gone on',
    {
      name: 'paused',
      cause: 'approval',
      held: false,
      since: AT,
      message: 'w',
      ...at(1, true),
      go: { actor: 'a', at: AT, full: false },
    },
    { awaiting: null },
  ],
  [
    'hands off',
    { name: 'paused', cause: 'drift', held: false, since: AT, message: 'w', ...at(1, true) },
    { awaiting: null, weight: { wanted: null } },
  ],
  [
    'rolling back',
    { name: 'rolling_back', reason: 'analysis', since: AT, outcome, step: 1 },
    { status: 'rolling_back', outcome, weight: { wanted: 0 }, endedAt: null, progressPercent: 25 },
  ],
  [
    'rolled back',
    { name: 'ended', status: 'rolled_back', outcome, step: 1, at: AT },
    { status: 'rolled_back', endedAt: '2026-01-31T12:00:00.000Z', outcome, progressPercent: 25 },
  ],
  [
    'succeeded',
    {
      name: 'ended',
      status: 'succeeded',
      outcome: { code: 'promoted', message: 'm', step: 3, weight: 100 },
      step: 3,
      at: AT,
    },
    {
      status: 'succeeded',
      progressPercent: 100,
      outcome: { code: 'promoted', check: null, observed: null, threshold: null },
    },
  ],
];

describe('the resource', () => {
  it.each(PHASES)('of a rollout that is %s', (_, phase, expected) => {
    const body = present(rollout(phase));
    expect(body).toMatchObject(expected);
    expect(rolloutSchema.parse(body)).toEqual(body);
  });

  it('shows nothing of the plan but the target, the labels and the checks', () => {
    expect(JSON.stringify(present(rollout({ name: 'pending', behind: null })))).not.toContain('secret');
  });

  it('names the mesh object, which the scope of a caller is held against', () => {
    expect(present(rollout({ name: 'pending', behind: null })).target).toEqual({
      cluster: 'default',
      namespace: 'production',
      service: 'myapp',
      mesh: 'istio',
      object: 'myapp-routes',
    });
  });

  it('gives the share in percent, like the other weights', () => {
    expect(
      present(rollout({ name: 'progressing', ...at(1, true) }, { observedWeight: 25, observedShare: 0.24987 })).weight,
    ).toEqual({ wanted: 25, observed: 25, share: 24.99 });
  });

  it('counts progress up, never down, along a rollout', () => {
    const way: Phase[] = [
      { name: 'pending', behind: null },
      ...[0, 1, 2, 3].flatMap((step): Phase[] =>
        [false, true].map((reached) => ({ name: 'progressing', ...at(step, reached) })),
      ),
    ];
    const percents = way.map((phase) => present(rollout(phase)).progressPercent);
    expect(percents).toEqual(percents.toSorted((a, b) => a - b));
  });

  it('links under the public URL, with or without a slash at its end', () => {
    for (const url of ['https://x.example/sluice', 'https://x.example/sluice/'])
      expect(linkOf('a', url, 'events')).toBe('https://x.example/sluice/rollouts/a/events');
    expect(linkOf('a', undefined)).toBe('/rollouts/a');
  });
});

describe('the rate limiter', () => {
  it('gives the burst, then the rate, and says how long to wait', () => {
    let now = 0;
    const limiter = rateLimiter({ burst: 3, perSecond: 2 }, () => now);
    expect([1, 2, 3, 4].map(() => limiter.take('a').allowed)).toEqual([true, true, true, false]);
    expect(limiter.take('a').retryAfter).toBe(1);
    now += 500;
    expect([1, 2].map(() => limiter.take('a').allowed)).toEqual([true, false]);
    now += 60_000;
    expect([1, 2, 3, 4].map(() => limiter.take('a').allowed)).toEqual([true, true, true, false]);
  });

  it('keeps so many keys, and forgets whoever has not asked for longest', () => {
    const limiter = rateLimiter({ burst: 1, perSecond: 1 }, () => 0);
    limiter.take('first');
    limiter.take('second');
    for (let i = 0; i < KEYS_KEPT - 2; i += 1) limiter.take(`other ${i}`);
    expect(limiter.take('first').allowed).toBe(false);
    limiter.take('one more');
    expect(limiter.take('first').allowed).toBe(false);
    expect(limiter.take('second').allowed).toBe(true);
  });

  it('never gives more than burst + rate * time, whatever the pattern', () => {
    let now = 0;
    const limiter = rateLimiter({ burst: 10, perSecond: 5 }, () => now);
    let allowed = 0;
    for (let i = 0; i < 10_000; i += 1) {
      if (limiter.take('a').allowed) allowed += 1;
      now += (i * 7919) % 13;
    }
    expect(allowed).toBeLessThanOrEqual(10 + (5 * now) / 1000 + 1);
    expect(allowed).toBeGreaterThan((5 * now) / 1000 - 1);
  });
});

describe('networks, for limits', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0db8:1:2::6', '2001:db8:1:2::/64'],
    ['2001:db8::6', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['64:ff9b::192.0.2.7', '64:ff9b:0:0::/64'],
    [null, 'unknown'],
  ])('%s is of %s', (address, network) => {
    expect(networkOf(address)).toBe(network);
  });
});

describe('codes that are brought', () => {
  it('from one network keep nobody out of another, and all together are limited too', () => {
    const limits = exchanges(() => 0);
    const of = (address: string, times: number) =>
      Array.from({ length: times }, () => limits.ofOne(address)).filter(Boolean).length;
    expect(of('2001:db8::1', 1_000)).toBe(EXCHANGES_OF_ONE.burst);
    expect(of('2001:db8::2', 1)).toBe(0);
    expect(of('192.0.2.7', 1)).toBe(1);
    expect(Array.from({ length: 1_000 }, () => limits.ofAll()).filter(Boolean)).toHaveLength(EXCHANGES.burst);
  });
});

describe('slots', () => {
  it('are given back once, however often', () => {
    const places = slots(1);
    const back = places.take('a');
    expect(places.take('a')).toBeNull();
    back?.();
    back?.();
    const again = places.take('a');
    expect(again).not.toBeNull();
    expect(places.take('a')).toBeNull();
    expect(places.take('b')).not.toBeNull();
  });
});
