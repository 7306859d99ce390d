/** What decides without acting: small cases and properties. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nextSteps } from '../../src/cli/advice.ts';
import { nearest, optionsOf } from '../../src/cli/arguments.ts';
import { deciding } from '../../src/cli/commands/explain.ts';
import { COMMANDS } from '../../src/cli/commands.ts';
import { idempotencyKey } from '../../src/cli/idempotency.ts';
import { needsAPerson } from '../../src/cli/kinds/rollouts.ts';
import { LOADERS } from '../../src/cli/loaders.ts';
import { setField } from '../../src/cli/set.ts';
import { findingLines } from '../../src/cli/show/findings.ts';
import { documentLines } from '../../src/cli/show/generic.ts';
import { cut, harmless, paint, widthOf } from '../../src/cli/show/line.ts';
import { bar } from '../../src/cli/show/marks.ts';
import { newsFilter } from '../../src/cli/show/news.ts';
import { DEFAULT_HOLD, stepsOf } from '../../src/cli/show/steps.ts';
import { tree } from '../../src/cli/show/tree.ts';
import { timeOf } from '../../src/cli/times.ts';
import type { MeasurementBody, RolloutBody } from '../../src/cli/wire/api.ts';
import { isPassing, pauseAfter, wishOf } from '../../src/cli/wire/persist.ts';
import { present } from '../../src/http/resource.ts';
import { fakeUseCases, planDocument } from '../support/usecases-fake.ts';
import { planJsonDefaults } from './plan-defaults.ts';
import { started, tell } from './support.ts';

describe('the table of commands', () => {
  it('has code for each, and nothing else', () => {
    expect(Object.keys(LOADERS)).toEqual(COMMANDS.map(({ name }) => name));
  });

  it('means the same by an option wherever it is', () => {
    const kinds = new Map<string, Set<string>>();
    for (const option of COMMANDS.flatMap(optionsOf)) {
      const kind = `${option.value === undefined} ${option.short} ${option.multiple}`;
      kinds.set(option.name, (kinds.get(option.name) ?? new Set()).add(kind));
    }
    for (const [name, found] of kinds) expect([name, found.size]).toEqual([name, 1]);
    const shorts = new Map(
      COMMANDS.flatMap(optionsOf).flatMap(({ short, name }) =>
        short === undefined ? [] : [[short + name, short] as const],
      ),
    );
    expect(new Set(shorts.values()).size).toBe(shorts.size);
  });

  it('suggests what was probably meant, and nothing far from it', () => {
    expect(nearest('promte', ['promote', 'pause'])).toBe('promote');
    expect(nearest('zzz', ['promote', 'pause'])).toBeNull();
  });
});

describe('a pause between two attempts', () => {
  it('grows, stays below ten seconds, and is never nothing', () => {
    fc.assert(
      fc.property(fc.nat(1000), fc.double({ min: 0, max: 1, noNaN: true }), (attempt, chance) => {
        const pause = pauseAfter(attempt, chance);
        expect(pause).toBeGreaterThanOrEqual(125);
        expect(pause).toBeLessThanOrEqual(10_000);
        expect(pauseAfter(attempt + 1, chance)).toBeGreaterThanOrEqual(pause);
      }),
    );
  });

  it.each([
    ['3', 3_000],
    ['99999', 60_000],
    ['Wed, 21 Oct 2026 07:28:00 GMT', null],
    [undefined, null],
  ])('is as the server wishes: %j', (header, wanted) => {
    expect(wishOf(header)).toBe(wanted);
  });

  it.each([
    [502, 'text/html', false, true],
    [503, 'application/problem+json', false, true],
    [429, 'application/problem+json', true, true],
    [404, 'text/plain', true, true],
    [404, 'text/plain', false, false],
    [404, 'application/problem+json', true, false],
    [401, 'application/problem+json', true, false],
    [409, 'application/problem+json', true, false],
  ])('comes after %d (%s, answered before: %j): %j', (status, type, before, wanted) => {
    expect(isPassing({ kind: 'answer', status, headers: { 'content-type': type }, text: '' }, before)).toBe(wanted);
  });
});

describe('the idempotency key', () => {
  const github = { GITHUB_RUN_ID: '7', GITHUB_RUN_ATTEMPT: '1', GITHUB_JOB: 'deploy', GITHUB_REPOSITORY_ID: '9' };

  it.each([
    ['GitHub', github, /^gha:9:7:1:deploy:[0-9a-f]{16}$/],
    ['GitLab', { CI_JOB_ID: '42', CI_PROJECT_ID: '3' }, /^gitlab:3:42:[0-9a-f]{16}$/],
    ['Jenkins, with spaces in its job names', { BUILD_TAG: 'jenkins-my job-7' }, /^jenkins:jenkins-my%20job-7:/],
    ['a very long name', { BUILD_TAG: 'x'.repeat(400) }, /^jenkins:[0-9a-f]{64}$/],
    ['no pipeline', {}, /^cli:/],
  ])('of %s is one that the server takes', (_, env, wanted) => {
    expect(idempotencyKey(env, { a: 1 })).toMatch(wanted);
    expect(idempotencyKey(env, { a: 1 })).toMatch(/^[\x21-\x7e]{1,255}$/);
  });

  it('is the same for the same plan in another order, another for another plan or attempt, and never the same without a pipeline', () => {
    expect(idempotencyKey(github, { a: 1, b: 2 })).toBe(idempotencyKey(github, { b: 2, a: 1 }));
    expect(idempotencyKey(github, { a: 1 })).not.toBe(idempotencyKey(github, { a: 2 }));
    expect(idempotencyKey(github, {})).not.toBe(idempotencyKey({ ...github, GITHUB_RUN_ATTEMPT: '2' }, {}));
    expect(idempotencyKey({}, {})).not.toBe(idempotencyKey({}, {}));
  });
});

describe('--set', () => {
  it.each([
    ['labels.image=myapp:2.1', { labels: { image: 'myapp:2.1' } }],
    ['labels.build=17', { labels: { build: '17' } }],
    ['labels.a\\.b=c', { labels: { 'a.b': 'c' } }],
    ['steps.0.weight=17', { steps: [{ weight: 17 }] }],
    ['steps.0.hold=5m', { steps: [{ weight: 5, hold: '5m' }] }],
    ['steps.1.weight=50', { steps: [{ weight: 5 }, { weight: 50 }] }],
    ['deadline=', { deadline: '' }],
    ['query=a=b', { query: 'a=b' }],
  ])('%s', (given, wanted) => {
    const plan = { steps: [{ weight: 5 }] };
    expect(setField(plan, given)).toEqual({ ...plan, ...wanted });
    expect(plan).toEqual({ steps: [{ weight: 5 }] });
  });

  it.each([
    ['labels', 'wanted NAME=VALUE'],
    ['=x', 'wanted NAME=VALUE'],
    ['a..b=1', 'wanted a path'],
    ['__proto__.x=1', 'wanted a path'],
    ['steps.7.weight=1', 'wanted an index from 0 to 1'],
    ['steps.x=1', 'wanted an index'],
    ['name.x=1', 'stands in the way'],
  ])('refuses %s', (given, words) => {
    expect(() => setField({ steps: [{}], name: 'a' }, given)).toThrow(words);
  });
});

describe('a time', () => {
  const now = Date.parse('2026-03-01T12:00:00Z');
  it.each([
    ['1h', '2026-03-01T11:00:00.000Z'],
    ['2026-01-31T12:00:00+01:00', '2026-01-31T11:00:00.000Z'],
  ])('%s is %s', (text, wanted) => {
    expect(timeOf('since', text, now)).toBe(wanted);
  });
  it.each(['yesterday', '2026-01-31', '2026-13-41T12:00:00Z', '7'])('%s is none', (text) => {
    expect(() => timeOf('since', text, now)).toThrow('wanted a time');
  });
});

describe('a line', () => {
  const text = fc.string({ unit: 'binary', maxLength: 60 });
  it('never holds a control character of others, nor more columns than there are', () => {
    fc.assert(
      fc.property(fc.array(text, { maxLength: 4 }), fc.integer({ min: 1, max: 50 }), (parts, width) => {
        const line = cut(parts, width);
        expect(widthOf(line)).toBeLessThanOrEqual(width);
        expect(paint(line, false)).not.toMatch(/\p{Cc}/u);
      }),
    );
    expect(harmless('a\u001b[2J\u202eb')).toBe('a\\u001b[2J\\u202eb');
  });
});

describe('a finding', () => {
  it('tells a remedy of several lines in as many, below its message', () => {
    const remediation = 'kubectl apply -f - <<EOF\nspec:\n  mtls: {}\nEOF\n';
    const lines = findingLines([{ check: 'mtls-mode', level: 'fail', message: 'no rule', remediation }], true);
    expect(lines.map((line) => paint(line, false))).toEqual([
      '  ✖ mtls-mode  no rule',
      '               kubectl apply -f - <<EOF',
      '               spec:',
      '                 mtls: {}',
      '               EOF',
    ]);
  });
});

describe('a bar', () => {
  it('is as long as it is said to be, whatever the figure', () => {
    fc.assert(
      fc.property(fc.double({ min: -10, max: 200, noNaN: true }), fc.integer({ min: 1, max: 40 }), (percent, width) => {
        expect(bar(percent, width, true)).toHaveLength(width);
        expect(bar(percent, width, false)).toHaveLength(width + 2);
      }),
    );
  });
});

describe('the tree', () => {
  const draw = (rollout: RolloutBody, at: number, unicode = true): string =>
    tree({ rollout, steps: stepsOf(planDocument()), facts: [], now: at, unicode, columns: 80 })
      .map((line) => paint(line, false))
      .join('\n');

  it('counts down the hold by the server’s clock, and asks for the approval when it is over', async () => {
    const fake = fakeUseCases();
    const id = await started(fake);
    const rollout = present(await fake.toFirstStep(id));
    const reached = Date.parse(rollout.reachedAt ?? '');
    expect(draw(rollout, reached + 30_000)).toContain(
      `● step 1    5 %  ${'█'.repeat(5)}${'░'.repeat(15)} 1 m 30 s left of 2 m`,
    );
    expect(draw(rollout, reached + 150_000)).toContain('● step 1    5 %  held 2 m 30 s');
    expect(draw(rollout, reached, false)).toMatch(/^\|- \* step 1/m);
  });

  it('shows where a rollout turned back, and why', async () => {
    const fake = fakeUseCases();
    const id = await started(fake);
    await fake.toFirstStep(id);
    await tell(fake, id, { name: 'abort', reason: 'wrong image' });
    const rollout = present(
      (await fake.get(id)) ??
        (() => {
          throw new Error('gone');
        })(),
    );
    const text = draw(rollout, Date.now());
    expect(text).toMatch(/✖ step 1/);
    expect(text).toMatch(/○ step 2/);
    expect(text).toContain('Aborted by ana at 5 %');
    expect(text).toContain('(wanted 0 %)');
  });

  it('shows the comparison with the stable version, where the server makes one', async () => {
    const fake = fakeUseCases();
    const rollout = present(await fake.toFirstStep(await started(fake)));
    const finding = { verdict: 'suspicious', sentence: 'the canary fails 1.8 times as often' };
    const compared = { ...rollout, evidence: { finding } } as unknown as RolloutBody;
    expect(draw(compared, Date.now())).toContain('? comparison  suspicious  the canary fails 1.8 times as often');
    expect(draw({ ...rollout, evidence: null } as unknown as RolloutBody, Date.now())).not.toContain('comparison');
  });

  it('takes the hold that the plan’s schema takes where a step says none', () => {
    expect(DEFAULT_HOLD).toBe(planJsonDefaults().hold);
    expect(stepsOf({ steps: [{ weight: '25%' }, { weight: 50, hold: '0s', approval: 'required' }] })).toEqual([
      { weight: 25, hold: 60_000, approval: false },
      { weight: 50, hold: 0, approval: true },
    ]);
    expect(stepsOf({ steps: 'none' })).toEqual([]);
  });
});

describe('what is told of verdicts', () => {
  const verdict = (seq: number, check: string, found: string) => ({
    seq,
    at: '2026-01-31T12:00:00.000Z',
    type: 'verdict_changed',
    actor: 'sluice',
    message: '',
    data: { check, verdict: found },
  });
  const told = (...verdicts: readonly (readonly [string, string])[]): readonly number[] =>
    newsFilter()(verdicts.map(([check, found], seq) => verdict(seq, check, found))).map(({ seq }) => seq);

  it.each([
    [
      'guards that find nothing, at any step, are not',
      [
        ['guard:cpu', 'pass'],
        ['guard:cpu', 'pass'],
      ],
      [],
    ],
    [
      'a guard that fails and recovers is',
      [
        ['guard:cpu', 'pass'],
        ['guard:cpu', 'fail'],
        ['guard:cpu', 'pass'],
      ],
      [1, 2],
    ],
    [
      'a guard that does not know is, and that it knows again',
      [
        ['guard:cpu', 'inconclusive'],
        ['guard:cpu', 'pass'],
      ],
      [0, 1],
    ],
    [
      'the failure of one guard does not let another speak',
      [
        ['guard:a', 'fail'],
        ['guard:b', 'pass'],
      ],
      [0],
    ],
    [
      'checks always are',
      [
        ['errors', 'pass'],
        ['errors', 'pass'],
      ],
      [0, 1],
    ],
  ] as const)('%s', (_, verdicts, expected) => {
    expect(told(...verdicts)).toEqual(expected);
  });

  it('is remembered from one batch to the next, and nothing else is held back', () => {
    const news = newsFilter();
    expect(news([verdict(1, 'guard:cpu', 'fail')])).toHaveLength(1);
    expect(news([verdict(2, 'guard:cpu', 'pass'), verdict(3, 'guard:cpu', 'pass')]).map(({ seq }) => seq)).toEqual([2]);
    const ended = { ...verdict(4, '', ''), type: 'ended', data: {} };
    expect(news([ended])).toEqual([ended]);
  });
});

describe('a pause', () => {
  it.each([
    ['approval', 'approval', true],
    ['approval', null, false],
    ['operator', null, true],
    ['drift', null, true],
    ['no_data', null, false],
    ['mesh_unreachable', null, false],
    ['of_a_newer_server', null, true],
  ] as const)('of the cause %s (awaiting %j) waits for a person: %j', (cause, awaiting, wanted) => {
    expect(needsAPerson({ pause: { cause, message: '', since: '' }, awaiting })).toBe(wanted);
  });
});

describe('what to do next', () => {
  it('is said for every state, with the id to copy', async () => {
    const fake = fakeUseCases();
    const base = present(await fake.toFirstStep(await started(fake)));
    for (const status of [
      'pending',
      'progressing',
      'paused',
      'rolling_back',
      'succeeded',
      'rolled_back',
      'aborted',
      'superseded',
      'failed',
    ] as const)
      expect(nextSteps({ ...base, status })).not.toEqual([]);
    const pause = { cause: 'approval', message: '', since: '' };
    expect(nextSteps({ ...base, status: 'paused', pause }).join()).toContain(`sluice promote ${base.id}`);
  });
});

describe('the measurements that decided', () => {
  const m = (check: string, seq: number) => ({ check, seq }) as MeasurementBody;
  const all = Array.from({ length: 9 }, (_, seq) => m(seq % 2 === 0 ? 'errors' : 'latency', seq));
  it('are the last ones of the check that failed, or the last one of each', () => {
    const outcome = { check: 'errors' } as RolloutBody['outcome'];
    expect(deciding({ outcome }, all).map(({ seq }) => seq)).toEqual([0, 2, 4, 6, 8]);
    expect(deciding({ outcome: null }, all).map(({ seq }) => seq)).toEqual([8, 7]);
  });
});

describe('an answer of an unknown shape', () => {
  it('is shown as it is: sentences first, figures with their unit, lists as tables', () => {
    const lines = documentLines({
      pastMs: 14_400_000,
      words: ['2 of 400 healthy releases would have been rolled back.'],
      ladder: [
        { regression: '2 %', caughtPercent: 41.25, harm: 1 },
        { regression: '5 %', caughtPercent: 99, harm: 12.5 },
      ],
      nested: { boundsMs: [50, 2000], names: ['a', 'b'], none: null, empty: {}, harm: 3 },
      intervalPercent: { low: 0, high: 30.85 },
    }).map((line) => paint(line, false));
    expect(lines).toEqual([
      '2 of 400 healthy releases would have been rolled back.',
      'past  4 h',
      'ladder',
      '  regression  caught percent  harm',
      '  2 %         41.25 %         1 request',
      '  5 %         99 %            12.5 requests',
      'nested',
      '  bounds  50 ms, 2 s',
      '  none    -',
      '  harm    3 requests',
      '  names',
      '    a',
      '    b',
      'interval percent',
      '  low   0 %',
      '  high  30.85 %',
    ]);
  });
});
