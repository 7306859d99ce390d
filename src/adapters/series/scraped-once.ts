/**
 * A proxy that two jobs scrape, or two replicas of a Prometheus, is in an answer twice: Istio's proxies offer the same
 * counters on two ports, and a scrape configuration for each is easily made. Counted twice, every request would be two.
 */
import type { Millis } from '../../domain/plan.ts';
import type { RawSeries } from './counting.ts';

/**
 * Labels that tell who scraped, not what: two series of one pod that differ in nothing else are the same counter. Jobs
 * that also add different labels (container, pod_template_hash) are not told to be the same, and are counted twice.
 */
export const OF_THE_SCRAPE: ReadonlySet<string> = new Set([
  'job',
  'instance',
  'endpoint',
  'prometheus',
  'prometheus_replica',
  'replica',
  'monitor',
]);

/** A scraper whose last sample is so much older than another's has stopped. */
const STOPPED: Millis = 20_000;

/**
 * Of each counter the series of one scraper: the first by name that has not stopped. Should it stop, another goes on where
 * it was: both have one id, and the last value is that of the same process. Series that name no pod stay as they are.
 */
export function scrapedOnce(series: readonly RawSeries[], idOf: (one: RawSeries) => string): readonly RawSeries[] {
  if (!scrapedTwice(series)) return series;
  const scrapers = new Map<string, Map<string, number>>();
  const ids = series.map((one) => {
    if (one.labels['pod'] === undefined) return null;
    const id = idOf(one);
    let known = scrapers.get(id);
    if (known === undefined) {
      known = new Map();
      scrapers.set(id, known);
    }
    const scraper = scraperOf(one);
    known.set(scraper, Math.max(lastOf(one), known.get(scraper) ?? Number.NEGATIVE_INFINITY));
    return id;
  });
  const chosen = new Map([...scrapers].map(([id, known]) => [id, firstAlive(known)]));
  return series.filter((one, i) => {
    const id = ids[i];
    return id === null || id === undefined || chosen.get(id) === scraperOf(one);
  });
}

const scraperOf = ({ labels }: RawSeries): string => {
  let text = '';
  for (const label of OF_THE_SCRAPE) text += `\n${labels[label] ?? ''}`;
  return text;
};

const lastOf = ({ samples, histograms = [] }: RawSeries): number =>
  Math.max(samples.at(-1)?.[0] ?? Number.NEGATIVE_INFINITY, histograms.at(-1)?.[0] ?? Number.NEGATIVE_INFINITY);

function firstAlive(known: ReadonlyMap<string, number>): string | undefined {
  const newest = Math.max(...known.values());
  return [...known.keys()].sort().find((scraper) => (known.get(scraper) ?? 0) >= newest - STOPPED);
}

/** Cheap, because nearly always the answer is no. */
function scrapedTwice(series: readonly RawSeries[]): boolean {
  const first = new Map<string, string>();
  for (const one of series) {
    const { pod, namespace = '' } = one.labels;
    if (pod === undefined) continue;
    const scraper = scraperOf(one);
    const known = first.get(`${namespace}\n${pod}`);
    if (known === undefined) first.set(`${namespace}\n${pod}`, scraper);
    else if (known !== scraper) return true;
  }
  return false;
}
