/** What a plan says of guards, and what they do to a rollout. */
import { describe, expect, it } from 'vitest';
import { passed, unknown } from '../../src/adapters/guard.ts';
import { further } from '../../src/adapters/guard-looks.ts';
import { judgeEjection } from '../../src/adapters/guards/ejection.ts';
import { judgeUnreached } from '../../src/adapters/guards/unreached.ts';
import { guardSpecs, loadGuards, loadMeshes } from '../../src/adapters/registry.ts';
import { planParser } from '../../src/app/plan-schema.ts';
import { observe } from '../../src/domain/advance.ts';
import { isRefused, order } from '../../src/domain/command.ts';
import { guardsAt, isNews } from '../../src/domain/guard.ts';
import type { Measurement, ShareReading } from '../../src/domain/observation.ts';
import type { Guard, Step } from '../../src/domain/plan.ts';
import type { Rollout, Verdict } from '../../src/domain/rollout.ts';
import { aPlan, aRoute, asWanted, atStep } from '../support/builders.ts';

const meshes = await loadMeshes();
const guards = await loadGuards();
const parserFor = (providers: readonly string[]) =>
  planParser(
    [...meshes.values()],
    ['prometheus', 'direct'],
    () => null,
    () => ({ known: providers, usual: providers[0] ?? '' }),
    null,
    () => null,
    guardSpecs(guards, meshes),
  );

interface Asked {
  readonly mesh?: string;
  readonly providers?: readonly string[];
  readonly analysis?: object;
}
const parsed = ({ mesh = 'istio', providers = ['prometheus', 'direct'], analysis = {} }: Asked) =>
  parserFor(providers).parse({ target: meshes.get(mesh)?.example, steps: [{ weight: 5 }], analysis });

function guardsOf(asked: Asked) {
  const plan = parsed(asked);
  if (!plan.ok) throw new Error(JSON.stringify(plan.problems));
  return plan.plan.analysis.guards ?? [];
}
const namesOf = (asked: Asked) => guardsOf(asked).map(({ name, then }) => `${name}: ${then}`);

describe('the guards of a plan', () => {
  it('are all that the mesh can answer, without a line in it', () => {
    expect(namesOf({})).toEqual([
      'denials: rollback',
      'ejection: rollback',
      'proxy-resources: warn',
      'proxy-restarts: pause',
      'retries: rollback',
      'unreached: rollback',
    ]);
    const linkerd = ['denials: rollback', 'ejection: rollback', 'proxy-resources: warn', 'proxy-restarts: pause'];
    expect(namesOf({ mesh: 'linkerd-smi' })).toEqual(linkerd);
    expect(namesOf({ mesh: 'gateway-api' })).toEqual(linkerd);
  });

  it('are only those that need no Prometheus, where the cluster has none', () => {
    expect(namesOf({ providers: ['direct'] })).toEqual(['proxy-restarts: pause']);
  });

  it.each([
    ['off', 'off', []],
    [
      'a word for one',
      { ejection: 'pause', denials: 'off', retries: 'warn' },
      ['ejection: pause', 'proxy-resources: warn', 'proxy-restarts: pause', 'retries: warn', 'unreached: rollback'],
    ],
  ])('can be told otherwise: %s', (_, wanted, expected) => {
    expect(namesOf({ analysis: { guards: wanted } })).toEqual(expected);
  });

  it('take limit, window and failures in a row as settings, each in its own unit', () => {
    const wanted = {
      denials: { limit: '2%', window: '2m', failureLimit: 4 },
      retries: { then: 'pause', limit: 3 },
      'proxy-restarts': { limit: 1 },
    };
    const found = guardsOf({ analysis: { window: '30s', failureLimit: 3, guards: wanted } });
    expect(found).toEqual([
      { name: 'denials', then: 'rollback', limit: 0.02, window: 120_000, failureLimit: 4, strict: true },
      { name: 'ejection', then: 'rollback', limit: 0.05, window: 30_000, failureLimit: 3, strict: true },
      { name: 'proxy-resources', then: 'warn', limit: 0.9, window: 300_000, failureLimit: 3, strict: false },
      { name: 'proxy-restarts', then: 'pause', limit: 1, window: 30_000, failureLimit: 1, strict: false },
      { name: 'retries', then: 'pause', limit: 3, window: 30_000, failureLimit: 3, strict: false },
      { name: 'unreached', then: 'rollback', limit: 0.01, window: 30_000, failureLimit: 3, strict: true },
    ]);
  });

  it('are only those that are named, where nothing else is judged', () => {
    const nothing = { evidence: { mode: 'off' }, checks: [] };
    expect(namesOf({ analysis: nothing })).toEqual([]);
    expect(namesOf({ analysis: { ...nothing, guards: { ejection: 'rollback' } } })).toEqual(['ejection: rollback']);
  });

  it.each([
    ['an unknown guard', { ejektion: 'off' }, '/analysis/guards/ejektion', /unknown field "ejektion"/],
    [
      'an unknown word',
      { ejection: 'of' },
      '/analysis/guards/ejection',
      /rollback, pause, warn, off, or an object; found "of"/,
    ],
    ['a word for all but off', 'on', '/analysis/guards', /wanted "off", or guards by name/],
    ['a limit of another kind', { retries: { limit: '5%' } }, '/analysis/guards/retries/limit', /finite number/],
    ['an unknown setting', { ejection: { lim: 3 } }, '/analysis/guards/ejection/lim', /unknown field "lim"/],
  ])('are refused at their field: %s', (_, wanted, pointer, message) => {
    const plan = parsed({ analysis: { guards: wanted } });
    expect(plan.ok).toBe(false);
    expect(plan.ok ? [] : plan.problems).toContainEqual({
      pointer,
      code: expect.any(String),
      message: expect.stringMatching(message),
    });
  });

  it('are refused by name where they cannot be asked', () => {
    const linkerd = parsed({ mesh: 'linkerd-smi', analysis: { guards: { retries: 'rollback' } } });
    expect(linkerd.ok ? [] : linkerd.problems).toMatchObject([
      { pointer: '/analysis/guards/retries', code: 'cannot_be_asked', message: expect.stringMatching(/leave it out/) },
    ]);
    const blind = parsed({ providers: ['direct'], analysis: { guards: { ejection: 'warn' } } });
    expect(blind.ok ? [] : blind.problems).toMatchObject([
      { pointer: '/analysis/guards/ejection', message: expect.stringMatching(/prometheus, which cluster/) },
    ]);
  });
});

// ── what they do to a rollout ───────────────────────────────────────────────────────────────────────────────────────

const NAMES = { ejection: 'guard:ejection', retries: 'guard:retries' } as const;
const aGuard = (part: Partial<Guard> = {}): Guard => ({
  name: 'retries',
  then: 'rollback',
  limit: 2,
  window: 60_000,
  failureLimit: 2,
  strict: false,
  ...part,
});
const watched = (...own: readonly Guard[]) => {
  const plan = aPlan();
  return { ...plan, analysis: { ...plan.analysis, checks: [], guards: own } };
};
const found = (verdict: Verdict, check: string = NAMES.retries): Measurement => ({
  check,
  step: 0,
  verdict,
  code: verdict,
  reason: 'callers retry',
  canary: { ok: true, value: 3, samples: 100, query: 'q' },
  stable: null,
  threshold: 2,
  window: 60_000,
});
/** Looks ten seconds apart, each with what was measured. */
function looks(rollout: Rollout, ...measured: readonly (readonly Measurement[])[]): Rollout {
  return measured.reduce(
    (now, measurements, i) => observe(now, asWanted(now, (i + 1) * 10_000, { measurements })).rollout,
    rollout,
  );
}
const start = (...own: readonly Guard[]): Rollout => atStep(0, 0, { plan: watched(...own) });

describe('a guard that fails', () => {
  it('as often as its limit says rolls back, with its sentence and its name', () => {
    const once = looks(start(aGuard()), [found('fail')]);
    expect(once.phase.name).toBe('progressing');
    const twice = looks(start(aGuard()), [found('fail')], [found('fail')]);
    expect(twice.phase).toMatchObject({
      name: 'rolling_back',
      reason: 'analysis',
      outcome: {
        code: 'guard_failed',
        check: NAMES.retries,
        observed: 3,
        threshold: 2,
        message: 'Rolled back at 5 % after 20 s: callers retry, in 2 of 2 evaluations (guard "retries")',
      },
    });
  });

  it('and is to pause pauses, and the rollout goes on by itself when it passes', () => {
    const paused = looks(start(aGuard({ then: 'pause', failureLimit: 1 })), [found('fail')]);
    expect(paused.phase).toMatchObject({
      name: 'paused',
      cause: 'guard',
      message: expect.stringMatching(/callers retry \(guard "retries"\)/),
    });
    expect(looks(paused, [found('pass')]).phase.name).toBe('progressing');
  });

  it('and is to pause lets the rollout go on for good when a person resumes it', () => {
    const paused = looks(start(aGuard({ then: 'pause', failureLimit: 1 })), [found('fail')]);
    const resumed = order(paused, { command: { name: 'resume' }, actor: 'ana', at: 15_000 });
    if (isRefused(resumed)) throw new Error(resumed.message);
    expect(resumed.rollout.waived).toEqual(['retries']);
    const later = looks(resumed.rollout, [found('fail')], [found('fail')]);
    expect(later.phase).toMatchObject({ name: 'progressing', step: 0 });
    expect(looks(later, ...Array.from({ length: 7 }, () => [found('fail')])).phase).toMatchObject({ step: 1 });
  });

  it('and is to warn is recorded, and stops nothing', () => {
    const change = observe(
      start(aGuard({ then: 'warn' })),
      asWanted(start(), 10_000, { measurements: [found('fail')] }),
    );
    expect(change.facts.map(({ message }) => message)).toEqual(['guard "retries": fail: callers retry']);
    const all = Array.from({ length: 7 }, () => [found('fail')]);
    expect(looks(start(aGuard({ then: 'warn' })), ...all).phase).toMatchObject({ name: 'progressing', step: 1 });
  });

  it('lets no weight go up, however few times yet', () => {
    const passes = Array.from({ length: 6 }, () => [found('pass')]);
    expect(looks(start(aGuard()), ...passes).phase).toMatchObject({ step: 1 });
    expect(looks(start(aGuard()), ...passes.slice(1), [found('fail')]).phase).toMatchObject({ step: 0 });
  });
});

describe('a guard that does not know', () => {
  const all = (verdict: Verdict, check: string) => Array.from({ length: 6 }, () => [found(verdict, check)]);
  const strict = aGuard({ name: 'ejection', strict: true });

  it.each([
    ['and cannot: nothing waits for it', aGuard(), all('unknown', NAMES.retries), 1],
    ['and cannot, though it is strict: the metric does not exist', strict, all('unknown', NAMES.ejection), 1],
    ['and sees it, and is strict: no weight goes up', strict, all('inconclusive', NAMES.ejection), 0],
    ['and never looked, and is strict: no weight goes up', strict, all('pass', NAMES.retries), 0],
    ['and sees it, and only warns', { ...strict, then: 'warn' as const }, all('inconclusive', NAMES.ejection), 1],
  ])('%s', (_, guard, measured, step) => {
    expect(looks(start(guard), ...measured).phase).toMatchObject({ name: 'progressing', step });
  });

  it('and is strict pauses the rollout after its patience for want of data, and it goes on when the guard knows', () => {
    const plan = watched(strict);
    const impatient = { ...plan, analysis: { ...plan.analysis, noData: { patience: 20_000, then: 'pause' as const } } };
    const blind = looks(atStep(0, 0, { plan: impatient }), ...all('inconclusive', NAMES.ejection).slice(0, 4));
    expect(blind.phase).toMatchObject({
      name: 'paused',
      cause: 'no_data',
      message: expect.stringMatching(/guard "ejection" could not be judged/),
    });
    expect(looks(blind, [found('pass', NAMES.ejection)]).phase.name).toBe('progressing');
  });

  it.each([
    ['a weight', { weight: 5 }, ['retries']],
    ['a weight and a route by header', { weight: 5, adds: { kind: 'headerRoute' } }, ['retries']],
    ['no weight', { weight: 0, adds: { kind: 'headerRoute' } }, []],
    ['a mirror: copies would look like retries', { weight: 5, adds: { kind: 'mirror' } }, []],
    ['a rehearsal of faults', { weight: 5, adds: { kind: 'faultRehearsal' } }, []],
  ])('is asked, or not, at a step with %s', (_, part, names) => {
    const plan = watched(aGuard());
    const step = { hold: 60_000, approval: 'none', ...part } as unknown as Step;
    expect(guardsAt(atStep(0, 0, { plan: { ...plan, steps: [step] } })).map(({ name }) => name)).toEqual(names);
  });

  it('is kept in the history once, as is one that goes on passing; a failure always', () => {
    const rollout = looks(start(aGuard()), [found('pass')]);
    expect(isNews(start(aGuard()), found('pass'))).toBe(true);
    expect(isNews(rollout, found('pass'))).toBe(false);
    expect(isNews(rollout, found('unknown'))).toBe(true);
    expect(isNews(looks(rollout, [found('unknown')]), found('unknown'))).toBe(false);
    expect(isNews(looks(rollout, [found('fail')]), found('fail'))).toBe(true);
  });
});

// ── ejection and unreached requests, from counts ────────────────────────────────────────────────────────────────────

const { target } = aPlan();
const routeOf = (canaryWeight: number, carriesAllTraffic = true) => aRoute(canaryWeight, null, { carriesAllTraffic });
/** Requests that the canary answered, that the stable version answered, that reached nobody. */
const went = (canary: number, stable: number, unreached: number): ShareReading => ({
  share: canary + stable === 0 ? 0 : canary / (canary + stable),
  samples: canary + stable,
  unreached,
});

describe('ejection masking', () => {
  const judged = (
    seenShare: ShareReading | null,
    wanted = 20,
    carriesAll = true,
    proxy: 'istio' | 'linkerd' = 'istio',
    before: number | null = null,
  ) => {
    const route = routeOf(wanted, carriesAll);
    return judgeEjection({ target, wanted, route, trafficShare: 'auto', limit: 0.05, proxy }, seenShare, before, 'q');
  };

  it.each([
    ['the canary gets its share', went(200, 800, 0), true, 'pass', 'within'],
    ['it answers nobody, and its whole share gets UH', went(0, 800, 200), true, 'fail', 'ejected'],
    ['half of its share gets UH', went(100, 800, 100), true, 'fail', 'ejected'],
    ['everything gets UH', went(0, 0, 1000), true, 'inconclusive', 'unreached'],
    [
      'of which version a rule for some of the traffic cannot tell',
      went(60, 900, 40),
      false,
      'inconclusive',
      'unreached',
    ],
    ['it is silent, and nobody gets UH', went(0, 1000, 0), true, 'inconclusive', 'share_off'],
    ['the stable version is the one that is lost', went(200, 600, 200), true, 'pass', 'within'],
    ['a rule for some of the traffic: hardly any comes to it', went(2, 940, 58), false, 'fail', 'ejected'],
    [
      'a rule for some of the traffic: it is silent, and nobody gets UH',
      went(0, 3000, 0),
      false,
      'inconclusive',
      'share_off',
    ],
    ['a rule for little of the traffic: it is silent', went(0, 1000, 0), false, 'unknown', 'no_data'],
    ['a rule for some of the traffic', went(60, 940, 0), false, 'pass', 'within'],
    ['a handful, as proxies learn of new pods', went(197, 799, 4), true, 'pass', 'within'],
    ['hardly any traffic, and of that nothing comes to it', went(0, 40, 10), true, 'fail', 'ejected'],
    ['a little of hardly any traffic comes to it, and the rest is lost', went(1, 50, 12), true, 'fail', 'ejected'],
    ['so little traffic that chance may have passed it by', went(0, 16, 5), true, 'inconclusive', 'unreached'],
    ['hardly any traffic, of which a rule carries some', went(0, 40, 10), false, 'inconclusive', 'unreached'],
    ['hardly any traffic, and the stable version’s is lost', went(12, 28, 10), true, 'unknown', 'too_few_samples'],
    ['hardly any traffic, and more is lost than was its own', went(0, 20, 30), true, 'inconclusive', 'unreached'],
    ['hardly any traffic, all of which arrives', went(8, 42, 0), true, 'unknown', 'too_few_samples'],
    ['no metrics', null, true, 'unknown', 'no_data'],
  ])('%s', (_, seenShare, carriesAll, verdict, code) => {
    expect(judged(seenShare, 20, carriesAll)).toMatchObject({ verdict, code });
  });

  it.each([
    ['a twentieth as before', 0.05, went(940, 0, 60), 'pass'],
    ['a fifth where it was a twentieth', 0.05, went(800, 0, 200), 'fail'],
    ['a fifth, and nothing is known of the time before', null, went(800, 0, 200), 'fail'],
    ['everything', 0, went(0, 0, 30), 'fail'],
  ])('at 100 %% is compared with the time before: %s', (_, before, seenShare, verdict) => {
    expect(judged(seenShare, 100, true, 'istio', before)).toMatchObject({ verdict });
  });

  it('names what callers got, and that the canary’s own numbers are silent', () => {
    expect(judged(went(3, 797, 200)).reason).toBe(
      "200 requests to myapp reached no pod while the canary answered 3: ejected pods or a missing subset: callers got no healthy upstream (UH) for 98.52 % of the canary's requests, which none of its own numbers show",
    );
  });

  it('by Linkerd’s proxies gives nobody an error: it holds, and says so', () => {
    expect(judged(went(0, 1000, 0), 20, true, 'linkerd').reason).toMatch(
      /passes over a backend whose pods are all tripped/,
    );
  });
});

describe('a window that has too little to judge by', () => {
  const look = async (longest: number, counts: Readonly<Record<number, number>>) => {
    const asked: number[] = [];
    const found = await further(
      { window: 60_000, longest },
      async (window) => {
        asked.push(window);
        return counts[window] ?? 0;
      },
      (seen) => seen < 100,
      (seen) => (seen < 100 ? unknown('too_few_samples', `${seen}`) : passed(`${seen}`, { canary: READING })),
    );
    return { asked, verdict: found.verdict, window: found.window };
  };
  const READING = { ok: true, value: 0, samples: 1, query: 'q' } as const;

  it.each([
    [
      'is judged by all the time at this weight',
      180_000,
      { 60000: 40, 180000: 120 },
      'pass',
      [60_000, 180_000],
      180_000,
    ],
    ['is not, while that is no longer', 60_000, { 60000: 40 }, 'unknown', [60_000], undefined],
    ['and one that has enough is judged alone', 180_000, { 60000: 100 }, 'pass', [60_000], undefined],
  ])('%s', async (_, longest, counts, verdict, asked, window) => {
    expect(await look(longest, counts)).toEqual({ asked, verdict, window });
  });
});

describe('requests that reached nobody', () => {
  const judged = (seenShare: ShareReading | null, before: number | null, carriesAll = true) =>
    judgeUnreached({ target, wanted: 20, route: routeOf(20, carriesAll), limit: 0.01 }, seenShare, before, 'q');

  it.each([
    ['none', went(200, 800, 0), null, true, 'pass'],
    ['a handful', went(197, 799, 4), 0, true, 'pass'],
    ['2 % where there were none before', went(180, 800, 20), 0, true, 'fail'],
    ['2 % where there were as many before: it is not the canary', went(180, 800, 20), 0.02, true, 'pass'],
    ['2 % and nothing is known of the time before', went(180, 800, 20), null, true, 'fail'],
    [
      'the canary has its share and more is lost: the stable version’s, too',
      went(200, 700, 100),
      0,
      true,
      'inconclusive',
    ],
    ['of which version a rule for some of the traffic cannot tell', went(60, 900, 40), 0, false, 'inconclusive'],
    ['hardly any comes to the canary of such a rule', went(2, 940, 58), 0, false, 'fail'],
    ['hardly any traffic, and of that nothing comes to the canary', went(0, 40, 10), 0, true, 'fail'],
    ['hardly any traffic, of which as much was lost before', went(0, 40, 10), 0.2, true, 'unknown'],
    ['hardly any traffic, and the stable version’s is lost', went(12, 28, 10), 0, true, 'inconclusive'],
    ['hardly any traffic, and none is lost', went(8, 42, 0), 0, true, 'unknown'],
    ['no metrics', null, null, true, 'unknown'],
  ])('%s', (_, seenShare, before, carriesAll, verdict) => {
    expect(judged(seenShare, before, carriesAll)).toMatchObject({ verdict });
  });

  it('are told with both times', () => {
    expect(judged(went(160, 800, 40), 0.001).reason).toMatch(
      /that is 4 % of all \(0\.1 % before the rollout; limit 1\.1 %\)/,
    );
  });
});
