/**
 * Counting from a real Prometheus: proxies restart, miss scrapes, come late and vanish, somebody looks at odd moments, and
 * the sum is what was really counted.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Role } from '../../src/domain/plan.ts';
import { type PrometheusServer, startPrometheus } from '../../src/sandbox/prometheus-server.ts';
import { DIALECTS, type Dialect, type Outcome } from '../support/counting-dialects.ts';
import { BOUNDS, type Figures, Looker, ProxyPage, Truth, write } from '../support/counting-world.ts';
import { open, shop } from '../support/prometheus-target.ts';

const SCRAPE = 250;

interface World {
  readonly dialect: Dialect;
  readonly pages: readonly [ProxyPage, ProxyPage, ProxyPage];
}

let server: PrometheusServer;
const worlds = new Map<string, World>();

beforeAll(async () => {
  const targets: { readonly address: string }[] = [];
  for (const dialect of DIALECTS) {
    const pages = [new ProxyPage(), new ProxyPage(), new ProxyPage()] as const;
    pages[2].up = false;
    for (const page of pages) targets.push({ address: await page.listen() });
    worlds.set(dialect.name, { dialect, pages });
  }
  server = await startPrometheus({ targets, interval: SCRAPE });
});

afterAll(async () => {
  await server.stop();
  for (const { pages } of worlds.values()) for (const page of pages) await page.close();
});

const outcomeOf = ({ outcomes }: Dialect, name: string): Outcome => {
  const found = outcomes.find((outcome) => outcome.name === name);
  if (found === undefined) throw new Error(`no outcome ${name}`);
  return found;
};

describe.concurrent.each(DIALECTS)('$name', (dialect) => {
  /** Callers' proxies know both versions; a pod's own proxy only itself. */
  const byCallers = dialect.counting.find(({ name }) => name === dialect.view)?.seenBy === 'callers';
  const showsPods = dialect.counting.find(({ name }) => name === dialect.view)?.labels.pod !== null;

  test('the sum of all looks is what was counted', async () => {
    const [a, b, c] = (worlds.get(dialect.name) as World).pages;
    const truth = new Truth();
    let counts = false;
    const serve = (page: ProxyPage, role: Role, pod: string, name: string, n: number, slow?: Figures): void => {
      const ended = outcomeOf(dialect, name);
      write(page, dialect, role, pod, ended, n, slow);
      if (counts) truth.add(role, showsPods ? pod : null, ended, n, slow ?? [0, 0]);
    };
    // The canary's requests are counted by a caller, or by the canary's own proxy, which is not there before.
    const canarys = byCallers ? a : c;

    serve(a, 'stable', 's1', 'ok', 40, [9, 1]);
    serve(a, 'stable', 's1', 'failed', 4);
    serve(b, 'stable', 's2', 'ok', 30);
    await Promise.all([a.scraped(), b.scraped()]);
    counts = true;

    const provider = open(server.url, { countingOf: () => dialect.counting, scrapeIntervalMs: SCRAPE });
    const looker = new Looker(provider, shop(), dialect.view, Date.now());
    let over = false;
    const looking = (async () => {
      for (let n = 0; !over; n += 1) {
        await looker.look();
        await sleep((n * 137) % 900);
      }
    })();

    // A scrape is stamped when it begins: one that is under way as counting begins must not bring what comes now.
    await Promise.all([a.scraped(), b.scraped()]);
    // Births: the canary's first requests, the second pod's first failure.
    serve(a, 'stable', 's1', 'ok', 10, [3, 1]);
    serve(b, 'stable', 's2', 'failed', 2);
    serve(canarys, 'canary', 'c1', 'ok', 5, [5, 2]);
    serve(canarys, 'canary', 'c1', 'failed', 3);
    if (!byCallers) c.up = true;
    await Promise.all([a.scraped(), canarys.scraped()]);

    // Missed scrapes.
    b.up = false;
    serve(b, 'stable', 's2', 'ok', 7, [1, 0]);
    await sleep(6 * SCRAPE);
    serve(b, 'stable', 's2', 'ok', 6, [2, 2]);
    b.up = true;
    await b.scraped();

    // A restart: lower values, a series that comes back later, and a histogram that hides it in one of its buckets.
    a.restart();
    serve(a, 'stable', 's1', 'ok', 20, [0, 0]);
    await a.scraped();
    serve(a, 'stable', 's1', 'failed', 6);
    serve(a, 'stable', 's1', 'ok', 1, [1, 1]);
    await a.scraped();

    // A caller that nobody has seen, with a past; the pod's own proxy is there already.
    if (byCallers) {
      counts = false;
      serve(c, 'stable', 's1', 'ok', 500);
      counts = true;
      c.up = true;
      await c.scraped();
    }
    serve(c, 'canary', 'c1', 'failed', 2);
    serve(byCallers ? c : a, 'stable', 's1', 'ok', 4, [4, 4]);
    await Promise.all([a.scraped(), c.scraped()]);

    // One vanishes for good; everything that can happen to a request happens to the others.
    await b.scraped();
    b.up = false;
    dialect.outcomes.forEach(({ name }, i) => {
      serve(byCallers ? a : c, 'canary', 'c1', name, 10 + i, [i % 3, 0]);
      serve(a, 'stable', 's1', name, 30 + i);
    });
    await Promise.all([a.scraped(), c.scraped()]);

    over = true;
    await looking;
    await sleep(1_000);
    await looker.look();
    expect(looker.counted).toEqual(truth.sum);
    // Again, of the same answer and of a later one.
    expect(await looker.look()).toBe(0);
    await sleep(1_000);
    expect(await looker.look()).toBe(0);

    if (!showsPods) return;
    // The stable's past by pod, as the survey reads it: since the first scrape, what was counted then being its baseline.
    const survey = await provider.survey?.(shop(), 60_000);
    if (!survey?.ok) throw new Error(survey?.message);
    expect(survey.bounds).toEqual([...BOUNDS, 2500]);
    const past: Figures = (survey.history?.slots ?? [])
      .flat()
      .map(({ requests, errors, timed, slow }) => [requests, errors, timed, ...slow])
      .reduce((sum, figures) => sum.map((n, i) => n + (figures[i] ?? 0)), [0, 0, 0, 0, 0, 0]);
    const stable = Object.entries(truth.sum)
      .filter(([key]) => key.startsWith('stable'))
      .map(([, figures]) => figures)
      .reduce((sum, figures) => sum.map((n, i) => n + (figures[i] ?? 0)), [0, 0, 0, 0, 0]);
    expect(past).toEqual([...stable, 0]);
  });
});
