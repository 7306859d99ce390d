/** What is stored of the evidence: when a block is judged, how pods are dealt out, and that every verdict can be computed again. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CounterSeries, Sample } from '../../src/domain/evidence/counters.ts';
import type { Block } from '../../src/domain/evidence/counts.ts';
import type { EvidenceSetup, JudgedBlock, Ledger, Moment } from '../../src/domain/evidence/ledger.ts';
import { blockEndsAt, openLedger, take } from '../../src/domain/evidence/ledger.ts';
import { DEFAULTS } from '../../src/domain/evidence/settings.ts';
import { replay } from '../../src/domain/evidence/state.ts';
import { finding } from '../../src/domain/evidence/verdict.ts';
import type { Role } from '../../src/domain/plan.ts';

const BLOCK = 10_000;
const SETUP: EvidenceSetup = {
  provider: 'prometheus',
  view: 'outbound',
  pace: { mode: 'robust', block: BLOCK, warmUp: 0 },
  settings: { ...DEFAULTS, bounds: [100, 250] },
  words: '',
  calibration: null,
};
const BEGAN = 1_000_000;

interface Pod {
  readonly role: Role;
  readonly pod: string | null;
  readonly requests: number;
  readonly errors?: number;
  readonly slow?: readonly [over100: number, over250: number];
}

/** Counters that grow by what every step says, and all of their samples so far. */
function source() {
  const samples = new Map<string, Sample[]>();
  return (at: number, pods: readonly Pod[]): readonly CounterSeries[] =>
    pods.flatMap(({ role, pod, requests, errors = 0, slow = [0, 0] }): readonly CounterSeries[] => {
      const timed = requests - errors;
      const of = { exporter: 'caller', startedAt: null, role, pod };
      const histogram = `${role} ${pod} h`;
      const counter = (what: string, grown: number, part: Pick<CounterSeries, 'adds' | 'histogram'>): CounterSeries => {
        const id = `${role} ${pod} ${what}`;
        const before = samples.get(id) ?? [];
        const all: Sample[] = [...before, [at, (before.at(-1)?.[1] ?? 0) + grown]];
        samples.set(id, all);
        return { ...of, id, samples: all, ...part };
      };
      return [
        counter('ok', timed, { adds: { requests: 1 } }),
        counter('5xx', errors, { adds: { requests: 1, errors: 1 } }),
        counter('all', timed, { adds: { timed: 1, slow: [1, 1] }, histogram }),
        counter('100', timed - slow[0], { adds: { slow: [-1, 0] }, histogram }),
        counter('250', timed - slow[1], { adds: { slow: [0, -1] }, histogram }),
      ];
    });
}

/** The same traffic as another source has it: under other names, and with another past. */
const asOther = (series: readonly CounterSeries[]): readonly CounterSeries[] =>
  series.map((one) => ({
    ...one,
    id: `other ${one.id}`,
    exporter: `other ${one.exporter}`,
    samples: one.samples.map(([at, value]) => [at, value + 777] as const),
  }));

interface Step {
  /** Milliseconds since the canary's first weight. */
  readonly at: number;
  readonly pods?: readonly Pod[];
  readonly moment?: Partial<Moment>;
  readonly provider?: string;
}

const canary = (requests: number, part: Partial<Pod> = {}): Pod => ({ role: 'canary', pod: 'c1', requests, ...part });
const stable = (requests: number, part: Partial<Pod> = {}): Pod => ({ role: 'stable', pod: 's1', requests, ...part });

/** Looks in turn, after a scrape of before the canary's weight that brings every pod's baseline. */
function run(steps: readonly Step[], setup = SETUP) {
  const read = source();
  const everyPod = new Map(steps.flatMap(({ pods = [] }) => pods.map((pod) => [`${pod.role} ${pod.pod}`, pod])));
  read(
    BEGAN - 1,
    [...everyPod.values()].map((pod) => ({ ...pod, requests: 1000, errors: 10 })),
  );
  const closed: JudgedBlock[] = [];
  let ledger = openLedger(setup);
  for (const { at, pods = [], moment = {}, provider = SETUP.provider } of steps) {
    const series = read(BEGAN + at, pods);
    const taken = take(
      ledger,
      {
        source: { provider, view: 'outbound' },
        at: BEGAN + at,
        series: provider === SETUP.provider ? series : asOther(series),
      },
      { at: BEGAN + at, reachedAt: BEGAN, weight: 10, shareKnown: true, ...moment },
    );
    ledger = taken.ledger;
    if (taken.closed !== null) closed.push(taken.closed);
  }
  return { ledger, closed, blocks: closed.map(({ block }) => block) };
}

const sum = ({ groups }: Block, role: Role) => ({
  requests: groups.reduce((n, group) => n + group[role].requests, 0),
  errors: groups.reduce((n, group) => n + group[role].errors, 0),
});

describe('a block is judged', () => {
  const both = [canary(5), stable(45)];

  test('once it is long enough and both versions are heard, with all that came since the last one', () => {
    const { closed, ledger } = run([
      { at: 4_000, pods: both },
      { at: 9_999, pods: both },
      { at: 10_000, pods: both },
      { at: 15_000, pods: both },
      { at: 21_000, pods: both },
    ]);
    expect(closed.map(({ block }) => [block.index, block.from, block.to, sum(block, 'canary').requests])).toEqual([
      [0, 0, 10_000, 15],
      [1, 10_000, 21_000, 10],
    ]);
    expect(blockEndsAt(ledger, 0)).toBe(BEGAN + 31_000);
  });

  test.each([
    ['the canary', [stable(45), canary(0)]],
    ['the stable version', [stable(0), canary(5)]],
  ] as const)('late, after three times its length, where %s is not heard', (_who, pods) => {
    const late = run([10_000, 20_000, 29_999, 30_000].map((at) => ({ at, pods })));
    expect(late.closed.map(({ block }) => block.to)).toEqual([30_000]);
    const heard = run([
      { at: 10_000, pods },
      { at: 20_000, pods: both },
    ]);
    expect(heard.closed.map(({ block }) => block.to)).toEqual([20_000]);
  });

  test('at a change of weight, whatever has come: counts of two weights are not put together', () => {
    const { closed } = run([
      { at: 10_000, pods: both },
      { at: 13_000, pods: both, moment: { weight: 25, reachedAt: BEGAN + 12_000 } },
      { at: 23_000, pods: both, moment: { weight: 25, reachedAt: BEGAN + 12_000 } },
    ]);
    expect(closed.map(({ weight, block }) => [weight, block.to])).toEqual([
      [10, 10_000],
      [10, 13_000],
      [25, 23_000],
    ]);
  });

  test('and says the weight in which most of it was counted, and that two are in it', () => {
    const raised = { weight: 25, reachedAt: BEGAN + 10_300 };
    const { closed } = run([
      { at: 10_000, pods: both },
      { at: 20_000, pods: both, moment: raised },
      { at: 30_000, pods: both, moment: raised },
      { at: 40_000, pods: both, moment: { weight: 50, reachedAt: BEGAN + 36_000 } },
    ]);
    expect(closed.map(({ weight, began }) => [weight, began])).toEqual([
      [10, undefined],
      [25, 10],
      [25, undefined],
      [25, 25],
    ]);
  });

  test('no more after a verdict against the canary: that one stands, and its block is the last', () => {
    const bad = [canary(50, { errors: 50 }), stable(450)];
    const { closed, ledger } = run(Array.from({ length: 12 }, (_, i) => ({ at: 10_000 * (i + 1), pods: bad })));
    const last = closed.at(-1);
    expect(last?.finding.verdict).toBe('bad');
    expect(closed.filter(({ finding: { verdict } }) => verdict === 'bad')).toHaveLength(1);
    expect(closed.length).toBeLessThan(12);
    expect(ledger.state.block).toBe(last?.block.index);
  });
});

describe('the share of the traffic', () => {
  const pods = [canary(5), stable(45)];
  const shares = (steps: readonly Step[]): readonly number[] => run(steps).blocks.map(({ share }) => share);
  const at = (seconds: number, moment: Partial<Moment> = {}): Step => ({ at: seconds * 1000, pods, moment });

  test('is judged from the second block at a weight on: in the first one are requests of before it was in force', () => {
    const later = { weight: 25, reachedAt: BEGAN + 31_000 };
    expect(shares([at(10), at(20), at(30), at(33, later), at(43, later), at(53, later)])).toEqual([
      0, 0.1, 0.1, 0, 0, 0.25,
    ]);
  });

  test('is not judged while the weight was put back in between', () => {
    const again = { reachedAt: BEGAN + 35_000 };
    expect(shares([at(10), at(20), at(30), at(40, again), at(50, again), at(60, again)])).toEqual([
      0, 0.1, 0.1, 0, 0, 0.1,
    ]);
  });

  test('is not judged where the canary is not known to get its weight', () => {
    expect(shares([at(10), at(20, { shareKnown: false }), at(30)])).toEqual([0, 0, 0.1]);
  });

  test('of a step from 1 to 50 % holds nothing, though most of its first block came at 1 %', () => {
    const later = { weight: 50, reachedAt: BEGAN + 31_000 };
    const few = { pods: [canary(20), stable(1980)] };
    const half = { pods: [canary(1000), stable(1000)] };
    const { closed } = run([
      { at: 10_000, ...few, moment: { weight: 1 } },
      { at: 20_000, ...few, moment: { weight: 1 } },
      { at: 33_000, ...half, moment: later },
      { at: 43_000, ...few, moment: later },
      ...[53, 63, 73].map((second) => ({ at: second * 1000, ...half, moment: later })),
    ]);
    expect(closed.map(({ finding: { code } }) => code)).not.toContain('traffic_off');
  });
});

describe('pods', () => {
  const names = fc.uniqueArray(fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/), { minLength: 1, maxLength: 30 });

  test('are dealt out evenly, each version by itself', () => {
    fc.assert(
      fc.property(names, names, (canaries, stables) => {
        const pods = [
          ...canaries.map((pod) => canary(1, { pod: `c-${pod}` })),
          ...stables.map((pod) => stable(1, { pod: `s-${pod}` })),
        ];
        const [block] = run([{ at: 10_000, pods }]).blocks;
        expect(block?.groups).toHaveLength(8);
        for (const [role, all] of [
          ['canary', canaries],
          ['stable', stables],
        ] as const) {
          const dealt = block?.groups.map((group) => group[role].requests) ?? [];
          expect(dealt.reduce((n, more) => n + more, 0)).toBe(all.length);
          expect(Math.max(...dealt) - Math.min(...dealt)).toBeLessThanOrEqual(1);
        }
      }),
    );
  });

  test('are put together whatever the order of the answer, and whatever happened to them', () => {
    fc.assert(
      fc.property(names, fc.infiniteStream(fc.nat()), (all, order) => {
        const pods = all.flatMap((pod) => [canary(3, { pod: `c-${pod}` }), stable(30, { pod: `s-${pod}` })]);
        const shuffled = pods.map((pod) => [order.next().value, pod] as const).toSorted(([a], [b]) => a - b);
        const [one] = run([{ at: 10_000, pods }]).blocks;
        const [other] = run([{ at: 10_000, pods: shuffled.map(([, pod]) => pod) }]).blocks;
        expect(other).toEqual(one);
        const [failing] = run([{ at: 10_000, pods: pods.map((pod) => ({ ...pod, errors: pod.requests })) }]).blocks;
        const requests = (block: Block | undefined) =>
          block?.groups.map(({ canary: { requests: c }, stable: { requests: s } }) => [c, s]);
        expect(requests(failing)).toEqual(requests(one));
      }),
      { numRuns: 30 },
    );
  });

  test('stay in their group while another one is silent', () => {
    fc.assert(
      fc.property(names, fc.infiniteStream(fc.boolean()), (all, silent) => {
        const quiet = all.filter(() => silent.next().value);
        // Each pod has a number of its own, so that a sum tells who is in it.
        const podsOf = (heard: readonly string[], round: number): Pod[] =>
          all.flatMap((name, i) => [
            canary(heard.includes(name) ? round * 2 ** i : 0, { pod: `c-${name}` }),
            stable(1000 * round, { pod: `s-${name}` }),
          ]);
        const heard = all.filter((name) => !quiet.includes(name));
        const { blocks } = run([
          { at: 10_000, pods: podsOf(all, 1) },
          { at: 40_000, pods: podsOf(heard, 1) },
          { at: 50_000, pods: podsOf(all, 1) },
        ]);
        const bits = (block: Block | undefined) => block?.groups.map((group) => group.canary.requests) ?? [];
        const [first, second, third] = blocks.map(bits);
        const silence = quiet.reduce((sum, name) => sum + 2 ** all.indexOf(name), 0);
        first?.forEach((in_, g) => {
          // Of the first block's group only the silent ones are missing, and afterwards all of it is there again.
          const missing = in_ - (second?.[g] ?? 0);
          expect((BigInt(missing) & BigInt(silence)) === BigInt(missing)).toBe(true);
          expect(third?.[g]).toBe(in_);
        });
      }),
      { numRuns: 50 },
    );
  });

  test('that are not told apart are one group', () => {
    const pods = [canary(5, { pod: null }), stable(45, { pod: null })];
    expect(run([{ at: 10_000, pods }]).blocks[0]?.groups).toHaveLength(1);
  });

  test('of any name are counted, also "constructor"', () => {
    const [block] = run([{ at: 10_000, pods: [canary(5, { pod: 'constructor' }), stable(45)] }]).blocks;
    expect(block && sum(block, 'canary').requests).toBe(5);
  });
});

describe('another source', () => {
  const pods = [canary(5), stable(45)];

  test('takes its first answer for its baseline, and so does the first one again: nothing is counted twice', () => {
    const steps: readonly Step[] = Array.from({ length: 9 }, (_, i) => ({ at: 7_000 * (i + 1), pods }));
    const alone = run(steps);
    const inTurn = run(steps.map((step, i) => ({ ...step, provider: i % 4 < 2 ? 'prometheus' : 'second' })));
    const requests = ({ blocks }: typeof alone): number =>
      blocks.reduce((sum, { groups }) => sum + groups.reduce((n, { stable: s }) => n + s.requests, 0), 0);
    expect(requests(inTurn)).toBeLessThan(requests(alone));
    expect(requests(inTurn)).toBeGreaterThan(0.3 * requests(alone));
    expect(inTurn.ledger.source).toEqual({ provider: 'prometheus', view: 'outbound' });
    expect(inTurn.ledger.countedFrom).toBe(BEGAN + 63_000);
  });

  test('never takes what it has of the canary for new', () => {
    const pod = { exporter: 'pod c1', startedAt: null, role: 'canary', pod: 'c1', own: true } as const;
    const own = (at: number, value: number): CounterSeries => ({
      ...pod,
      id: 'c1',
      adds: { requests: 1 },
      samples: [[BEGAN + at, value]],
    });
    const look = (ledger: Ledger, provider: string, at: number, value: number) =>
      take(
        ledger,
        { source: { provider, view: 'inbound' }, at: BEGAN + at, series: [own(at, value)] },
        { at: BEGAN + at, reachedAt: BEGAN, weight: 10, shareKnown: true },
      ).ledger;
    const requests = ({ open }: Ledger): number | undefined => open?.pods['c1']?.canary.requests;
    const setup = { ...SETUP, view: 'inbound' };
    const first = look(openLedger(setup), 'prometheus', 3_000, 40);
    expect(requests(first)).toBe(40);
    const second = look(first, 'second', 6_000, 900);
    expect(requests(second)).toBe(40);
    expect(requests(look(second, 'second', 9_000, 903))).toBe(43);
  });
});

// ── replay ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const count = fc.nat(400);
const pod = (role: Role): fc.Arbitrary<Pod> =>
  fc
    .tuple(fc.constantFrom('a', 'b', 'c', 'd', 'e'), count, fc.nat(100), fc.nat(100), fc.nat(100))
    .map(([name, requests, failed, over100, over250]) => {
      const errors = Math.min(requests, Math.floor((requests * failed) / 300));
      const slow = Math.floor(((requests - errors) * over100) / 200);
      return { role, pod: `${role}-${name}`, requests, errors, slow: [slow, Math.floor((slow * over250) / 100)] };
    });

const looks = fc
  .array(
    fc.record({
      wait: fc.integer({ min: 1_000, max: 40_000 }),
      pods: fc
        .tuple(fc.array(pod('canary'), { maxLength: 4 }), fc.array(pod('stable'), { maxLength: 4 }))
        .map(([canaries, stables]) => [...new Map([...canaries, ...stables].map((one) => [one.pod, one])).values()]),
      weight: fc.constantFrom(1, 10, 10, 10, 50),
      shareKnown: fc.boolean(),
      provider: fc.constantFrom('prometheus', 'prometheus', 'prometheus', 'second'),
    }),
    { minLength: 1, maxLength: 25 },
  )
  .map((all) => {
    let at = 0;
    return all.map(({ wait, pods, weight, shareKnown, provider }): Step => {
      at += wait;
      return { at, pods, provider, moment: { weight, shareKnown } };
    });
  });

describe('the history', () => {
  test('gives every verdict again: from the blocks as they were stored, in a JSON column', () => {
    fc.assert(
      fc.property(looks, (steps) => {
        const { ledger, closed, blocks } = run(steps);
        const { settings } = JSON.parse(JSON.stringify(ledger.setup)) as EvidenceSetup;
        const stored = JSON.parse(JSON.stringify(blocks)) as readonly Block[];
        expect(replay(settings, stored)).toStrictEqual(ledger.state);
        closed.forEach(({ finding: found }, i) => {
          expect(finding(replay(settings, stored.slice(0, i + 1)), settings)).toStrictEqual(found);
        });
        expect(stored.map(({ index }) => index)).toEqual(stored.map((_, i) => i));
      }),
      { numRuns: 60 },
    );
  });

  test('is all JSON: a ledger and its blocks come back from a column as they went in', () => {
    fc.assert(
      fc.property(looks, (steps) => {
        const { ledger, closed } = run(steps);
        expect(JSON.parse(JSON.stringify(ledger))).toStrictEqual(ledger);
        expect(JSON.parse(JSON.stringify(closed))).toStrictEqual(closed);
      }),
      { numRuns: 60 },
    );
  });

  test('may be stored between any two looks: what follows is the same', () => {
    const all = run(Array.from({ length: 10 }, (_, i) => ({ at: 6_000 * (i + 1), pods: [canary(20), stable(180)] })));
    let ledger = openLedger(SETUP);
    const read = source();
    read(BEGAN - 1, [canary(1000, { errors: 10 }), stable(1000, { errors: 10 })]);
    for (let i = 1; i <= 10; i++) {
      const at = BEGAN + 6_000 * i;
      const series = read(at, [canary(20), stable(180)]);
      const stored = JSON.parse(JSON.stringify(ledger)) as Ledger;
      const given = { source: { provider: 'prometheus', view: 'outbound' }, at, series };
      ledger = take(stored, given, { at, reachedAt: BEGAN, weight: 10, shareKnown: true }).ledger;
    }
    expect(ledger).toStrictEqual(all.ledger);
  });
});

test('an answer that comes again changes nothing but the time until which all is counted', () => {
  const read = source();
  read(BEGAN - 1, [canary(100), stable(900)]);
  const series = read(BEGAN + 5_000, [canary(5), stable(45)]);
  const given = { source: { provider: 'prometheus', view: 'outbound' }, at: BEGAN + 5_000, series };
  const moment: Moment = { at: BEGAN + 5_000, reachedAt: BEGAN, weight: 10, shareKnown: true };
  const once = take(openLedger(SETUP), given, moment);
  const twice = take(once.ledger, given, { ...moment, at: BEGAN + 6_000 });
  expect(twice).toStrictEqual(once);
});

test('nothing that was given is changed', () => {
  const frozen = <T>(value: T): T => {
    if (typeof value === 'object' && value !== null)
      for (const part of Object.values(Object.freeze(value))) frozen(part);
    return value;
  };
  let ledger = frozen(openLedger(SETUP));
  const read = source();
  read(BEGAN - 1, [canary(100), stable(900)]);
  for (let i = 1; i <= 5; i++) {
    const at = BEGAN + 6_000 * i;
    const series = frozen(read(at, [canary(20), stable(180)]));
    const given = frozen({ source: { provider: 'prometheus', view: 'outbound' }, at, series });
    ledger = frozen(take(ledger, given, { at, reachedAt: BEGAN, weight: 10, shareKnown: true }).ledger);
  }
  expect(ledger.state.block).toBe(1);
});

test('counts that came apart never make more failures than requests, nor fewer slow responses than none', () => {
  const of = { exporter: 'caller', startedAt: null, pod: 'c1', role: 'canary' } as const;
  const odd: readonly CounterSeries[] = [
    {
      ...of,
      id: 'e',
      adds: { errors: 1 },
      samples: [
        [BEGAN - 1, 0],
        [BEGAN + 9, 7],
      ],
    },
    {
      ...of,
      id: 'r',
      adds: { requests: 1 },
      samples: [
        [BEGAN - 1, 0],
        [BEGAN + 9, 5],
      ],
    },
    {
      ...of,
      id: 's',
      adds: { slow: [-1, 1] },
      samples: [
        [BEGAN - 1, 0],
        [BEGAN + 9, 5],
      ],
    },
  ];
  const given = { source: { provider: 'prometheus', view: 'outbound' }, at: BEGAN + 9, series: odd };
  const { closed } = take(openLedger(SETUP), given, {
    at: BEGAN + 30_000,
    reachedAt: BEGAN,
    weight: 10,
    shareKnown: true,
  });
  const sides = closed?.block.groups.map(({ canary: side }) => side) ?? [];
  expect(sides).toContainEqual({ requests: 5, errors: 5, timed: 0, slow: [0, 0] });
});
