/**
 * What every provider that counts must make true: the same proxies, the same things that happen to them, the same sum, be
 * they scraped by a real Prometheus or read from the pods themselves.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { linkerdCounting, linkerdViews } from '../../src/adapters/series/linkerd.ts';
import type { MetricsProvider } from '../../src/app/ports.ts';
import type { Role } from '../../src/domain/plan.ts';
import { startPrometheus } from '../../src/sandbox/prometheus-server.ts';
import { DIALECTS, type Dialect, type Outcome } from '../support/counting-dialects.ts';
import { Looker, ProxyPage, Truth, write } from '../support/counting-world.ts';
import { open, shop } from '../support/prometheus-target.ts';
import { INTERVAL, openDirect, proxyWorld } from '../support/proxies.ts';

const SCRAPE = 250;
/** Each pod's own proxy: what both ways can read. */
const AT_THE_PODS = DIALECTS.filter(({ view }) => view === 'destination' || view === 'inbound');
const PODS = { s1: 'stable', s2: 'stable', c1: 'canary' } as const satisfies Record<string, Role>;
type Pod = keyof typeof PODS;
type Pages = Readonly<Record<Pod, ProxyPage>>;

interface Way {
  readonly provider: MetricsProvider;
  /** Until what the pages show now can be counted. */
  settled(): Promise<void>;
}

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function scraped(pages: Pages, dialect: Dialect): Promise<Way> {
  const all = Object.values(pages);
  const targets = await Promise.all(all.map(async (page) => ({ address: await page.listen() })));
  stops.push(() => Promise.all(all.map((page) => page.close())));
  const server = await startPrometheus({ targets, interval: SCRAPE });
  stops.push(() => server.stop());
  return {
    provider: open(server.url, { countingOf: () => dialect.counting, scrapeIntervalMs: SCRAPE }),
    async settled() {
      await Promise.all(all.map((page) => page.scraped()));
    },
  };
}

async function read(pages: Pages, dialect: Dialect): Promise<Way> {
  const world = proxyWorld();
  stops.push(() => world.close());
  const kind = dialect.view === 'destination' ? 'istio' : 'linkerd';
  for (const [name, page] of Object.entries(pages))
    await world.pod({ name, deployment: `shop-${name.startsWith('s') ? 'v1' : 'v2'}`, kind, page: () => page.page() });
  const own = kind === 'istio' ? {} : { viewsOf: () => linkerdViews, countingOf: () => linkerdCounting };
  const provider = openDirect(world, own);
  stops.push(() => provider.close());
  return { provider, settled: () => sleep(4 * INTERVAL) };
}

const outcomeOf = ({ outcomes }: Dialect, name: string): Outcome => {
  const found = outcomes.find((outcome) => outcome.name === name);
  if (found === undefined) throw new Error(`no outcome ${name}`);
  return found;
};

describe.each([
  ['prometheus', scraped],
  ['direct', read],
] as const)('%s', (_, begin) => {
  it.each(AT_THE_PODS)(
    'counts each request once, through births and restarts ($name)',
    { timeout: 90_000 },
    async (dialect) => {
      const pages: Pages = { s1: new ProxyPage(), s2: new ProxyPage(), c1: new ProxyPage() };
      const truth = new Truth();
      let counts = false;
      const serve = (pod: Pod, name: string, n: number, slow = [0, 0]): void => {
        const ended = outcomeOf(dialect, name);
        write(pages[pod], dialect, PODS[pod], pod, ended, n, slow);
        if (counts) truth.add(PODS[pod], pod, ended, n, slow);
      };
      // A past, which is nobody's.
      serve('s1', 'ok', 400, [90, 10]);
      serve('s1', 'failed', 4);
      serve('s2', 'ok', 300);
      const { provider, settled } = await begin(pages, dialect);
      // Whoever reads pods begins when he is asked.
      const { view } = dialect;
      await provider.count?.({ target: shop(), view, bounds: [100, 250], since: Date.now() });
      await settled();
      const looker = new Looker(provider, shop(), view, Date.now());
      await settled();
      await looker.look();
      counts = true;

      serve('s1', 'ok', 10, [3, 1]);
      serve('s2', 'failed', 2);
      serve('c1', 'ok', 5, [5, 2]);
      serve('c1', 'failed', 3);
      await settled();
      await looker.look();

      pages.s1.restart();
      serve('s1', 'ok', 20);
      await settled();
      await looker.look();
      serve('s1', 'failed', 6);
      serve('c1', 'ok', 7, [1, 0]);
      await settled();
      await looker.look();
      await settled();
      await looker.look();

      expect(looker.counted).toEqual(truth.sum);
      expect(await looker.look()).toBe(0);
    },
  );
});
