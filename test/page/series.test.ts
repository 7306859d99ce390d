import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { count, duration, latency, percent, plain } from '../../src/domain/format.ts';
import { fakeUseCases } from '../support/usecases-fake.ts';
import { ana, plan as aPlan, looks, started } from './story.ts';

/** The page's modules have types of their own program; here is what is used of them. */
interface Sample {
  readonly at: number;
  readonly value: number | null;
}
interface Modules {
  readonly format: Record<'percent' | 'latency' | 'count' | 'plain' | 'duration', (n: number) => string> & {
    planDuration(text: unknown): number | null;
  };
  readonly series: {
    wantedWeights(facts: readonly object[]): Sample[];
    observedWeights(facts: readonly object[], writes: readonly object[], rollout: object, now: number): Sample[];
    pauses(facts: readonly object[], end: number): { from: number; to: number; cause: string }[];
    interval(value: number, samples: number): readonly [number, number];
    worstPerColumn<T>(items: readonly T[], x: (at: number) => number, width: number): T[];
    indexAt(items: readonly { at: string }[], at: number): number;
  };
  readonly scale: {
    timeTicks(domain: readonly [number, number], wanted: number): { ticks: number[]; step: number };
    valueTicks(max: number, wanted: number): number[];
    stairPath(points: readonly (readonly [number, number] | null)[]): string;
    linePath(points: readonly (readonly [number, number] | null)[]): string;
  };
  readonly login: { nextOf(query: URLSearchParams): string };
  readonly rollout: {
    walked(times: readonly number[], cursorAt: number | null, key: string): number | null | undefined;
  };
  readonly links: { prometheusLink(session: object, cluster: string, query: string, at?: number): string | null };
}
const load = (path: string): Promise<unknown> => import(new URL(`../../src/page/${path}`, import.meta.url).href);
const [format, series, scale, login, rolloutView, links] = (await Promise.all(
  ['format.js', 'charts/series.js', 'charts/scale.js', 'views/login.js', 'views/rollout.js', 'links.js'].map(load),
)) as [Modules['format'], Modules['series'], Modules['scale'], Modules['login'], Modules['rollout'], Modules['links']];

const instant = (t: string): number => Date.parse(t);
const wire = (fact: { at: number }) => ({ ...fact, at: new Date(fact.at).toISOString() });

describe('numbers on the page', () => {
  it.each(Object.entries({ percent, latency, count, plain }))(
    "are written as in the service's own sentences: %s",
    (name, own) => {
      fc.assert(
        fc.property(fc.double({ min: 0, max: 1e6, noNaN: true }), (n) => {
          expect(format[name as 'percent'](n)).toBe(own(n));
        }),
      );
    },
  );

  it('are durations as there, from a second on', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1_000, max: 10 ** 9 }), (ms) => {
        expect(format.duration(ms)).toBe(duration(ms));
      }),
    );
  });

  it.each([
    ['2m', 120_000],
    ['1m30s', 90_000],
    ['500ms', 500],
    ['2', null],
    ['soon', null],
    [2, null],
    [undefined, null],
  ])('%j of a plan is %j milliseconds', (text, ms) => {
    expect(format.planDuration(text)).toBe(ms);
  });
});

describe('the staircase', () => {
  const told = async (tell: (fake: ReturnType<typeof fakeUseCases>, id: string) => Promise<unknown>) => {
    const fake = fakeUseCases();
    const id = await started(fake, aPlan('checkout'));
    await tell(fake, id);
    const rollout = await fake.get(id);
    const facts = (await fake.facts(id, 0, 1000)).map(wire);
    const { items } = await fake.writes(id, 1000, null);
    const last = instant(facts.at(-1)?.at ?? '');
    const body = {
      weight: { observed: rollout?.observedWeight ?? null },
      endedAt: rollout?.phase.name === 'ended' ? 'then' : null,
    };
    return {
      wanted: series.wantedWeights(facts).map(({ value }) => value),
      observed: [...new Set(series.observedWeights(facts, items.map(wire), body, last + 1).map(({ value }) => value))],
      samples: series.observedWeights(facts, items.map(wire), body, last + 1),
      pauses: series.pauses(facts, last + 1000).map(({ cause }) => cause),
    };
  };

  it('goes up by the steps of the plan and stops where the rollout waits', async () => {
    const { wanted, observed, pauses } = await told((fake, id) => looks(fake, id, 80));
    expect(wanted).toEqual([0, 5, 25, 50]);
    expect(observed).toEqual([0, 5, 25, 50]);
    expect(pauses).toEqual(['approval']);
  });

  it('ends at 0 after an abort, and is in order of time', async () => {
    const { wanted, observed, samples } = await told(async (fake, id) => {
      await looks(fake, id, 20);
      await fake.command(id, { name: 'abort', reason: '' }, ana, {});
      await looks(fake, id, 2);
    });
    expect(wanted).toEqual([0, 5, 25, 0, 0]);
    expect(observed).toEqual([0, 5, 25]);
    expect(samples.at(-1)?.value).toBe(0);
    expect(samples.map(({ at }) => at)).toEqual(samples.map(({ at }) => at).toSorted((a, b) => a - b));
  });

  it('has a gap where the object is left to others, and what they made of it', async () => {
    const { wanted, observed, pauses } = await told(async (fake, id) => {
      await looks(fake, id, 5);
      const route = {
        ok: true,
        canaryWeight: 70,
        stamp: null,
        carriesAllTraffic: true,
        temporary: [],
        token: '9',
        lastWriter: 'kubectl',
      } as const;
      await fake.tick(id, { route });
    });
    expect(wanted).toEqual([0, 5, null]);
    expect(observed).toEqual([0, 5, 70]);
    expect(pauses).toEqual(['drift']);
  });

  it('is level between its points, and broken where there is none', () => {
    expect(scale.stairPath([[0, 0], [10, 5], null, [20, 5], [30, 0]])).toBe('M0 0H10V5M20 5H30V0');
    expect(scale.linePath([[0, 0], null, [20, 5], [30, 0]])).toBe('M0 0M20 5L30 0');
  });
});

describe('verdicts on a chart', () => {
  const item = (at: number, verdict: string) => ({ at: new Date(at).toISOString(), verdict });

  it('are thinned out without hiding a failure', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(fc.integer({ min: 0, max: 100_000 }), fc.constantFrom('pass', 'fail', 'inconclusive', 'error')),
        ),
        (given) => {
          const items = given.toSorted((a, b) => a[0] - b[0]).map(([at, verdict]) => item(at, verdict));
          const x = (at: number): number => at / 1000;
          const shown = series.worstPerColumn(items, x, 10);
          const column = (i: { at: string }): number => Math.floor(x(instant(i.at)) / 10);
          expect(new Set(shown.map(column)).size).toBe(shown.length);
          for (const failed of items.filter(({ verdict }) => verdict === 'fail'))
            expect(shown.find((s) => column(s) === column(failed))?.verdict).toBe('fail');
        },
      ),
    );
  });

  it('are found by time: the last that is not later', () => {
    const items = [10, 20, 30].map((at) => item(at, 'pass'));
    expect([5, 10, 19, 20, 99].map((at) => series.indexAt(items, at))).toEqual([0, 0, 0, 1, 2]);
  });
});

describe("Wilson's interval", () => {
  it.each([
    // Known values: Newcombe 1998, table I (81 of 263, 15 of 148, 0 of 20, 1 of 29), 95 %.
    [81, 263, 0.2553, 0.3662],
    [15, 148, 0.0624, 0.1605],
    [0, 20, 0, 0.1611],
    [1, 29, 0.0061, 0.1718],
  ])('of %d of %d reaches from %d to %d', (hits, n, low, high) => {
    const found = series.interval(hits / n, n);
    expect(found[0]).toBeCloseTo(low, 4);
    expect(found[1]).toBeCloseTo(high, 4);
  });
});

describe('ticks', () => {
  it('are round, within the domain, and not too many', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2e12 }), fc.integer({ min: 2_000, max: 90 * 86_400_000 }), (from, span) => {
        const { ticks, step } = scale.timeTicks([from, from + span], 8);
        expect(ticks.length).toBeLessThanOrEqual(9);
        for (const [i, at] of ticks.entries()) {
          expect(at).toBeGreaterThanOrEqual(from);
          expect(at).toBeLessThanOrEqual(from + span);
          if (i > 0) expect(at - (ticks[i - 1] ?? 0)).toBe(step);
        }
      }),
    );
  });

  it('of values begin at 0 and are at most as many as wanted', () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-6, max: 1e9, noNaN: true }), (max) => {
        const ticks = scale.valueTicks(max, 4);
        expect(ticks[0]).toBe(0);
        expect(ticks.length).toBeLessThanOrEqual(5);
        expect(ticks.length).toBeGreaterThanOrEqual(2);
      }),
    );
  });
});

describe('after signing in', () => {
  it.each([
    ['/ui/rollouts/ro_1', '/ui/rollouts/ro_1'],
    ['/ui/history?service=a', '/ui/history?service=a'],
    ['https://evil.example/ui/', '/ui/'],
    ['//evil.example/ui/', '/ui/'],
    ['/ui/\\evil.example', '/ui/'],
    ['javascript:alert(1)', '/ui/'],
    ['/ui/login?next=/ui/login', '/ui/'],
    ['/rollouts', '/ui/'],
    ['', '/ui/'],
  ])('next=%s leads to %s', (next, path) => {
    expect(login.nextOf(new URLSearchParams({ next }))).toBe(path);
  });
});

describe('arrow keys on a chart', () => {
  const times = [10, 20, 30];
  it.each([
    [null, 'ArrowLeft', 20],
    [20, 'ArrowLeft', 10],
    [10, 'ArrowLeft', 10],
    [20, 'ArrowRight', 30],
    [30, 'ArrowRight', 30],
    [25, 'ArrowRight', 30],
    [30, 'Home', 10],
    [10, 'End', 30],
    [10, 'PageUp', 30],
    [20, 'Escape', null],
    [20, 'Tab', undefined],
  ])('from %j, %s leads to %j', (from, key, to) => {
    expect(rolloutView.walked(times, from, key)).toBe(to);
  });
});

describe('the link into Prometheus', () => {
  const session = { links: { prometheus: { default: 'https://prom.example.com/base/' } } };

  it('asks the same question at the same time, whatever it holds', () => {
    const query = 'sum(rate(a{b="c&d"}[1m])) # x\n# and 3 requests that reached no pod, counted as failures';
    const url = new URL(links.prometheusLink(session, 'default', query, Date.UTC(2026, 0, 31, 12, 0, 5)) ?? '');
    expect(`${url.origin}${url.pathname}`).toBe('https://prom.example.com/base/graph');
    expect(url.searchParams.get('g0.expr')).toBe('sum(rate(a{b="c&d"}[1m])) # x');
    expect(url.searchParams.get('g0.end_input')).toBe('2026-01-31 12:00:05');
  });

  it('is not shown for a cluster whose Prometheus is not known', () => {
    expect(links.prometheusLink(session, 'west', 'up')).toBeNull();
  });
});
