/**
 * A proxy that two jobs scrape, or two replicas of a Prometheus, is in an answer twice: Istio's proxies offer the same
 * counters on two ports, and a scrape configuration for each is easily made. Counted twice, every request would be two.
 */
import type { RawSeries } from './counting.ts';

/** Labels that tell who scraped, not what: two series of one pod that differ in nothing else are the same counter. */
export const OF_THE_SCRAPE: ReadonlySet<string> = new Set([
  'job',
  'instance',
  'endpoint',
  'prometheus',
  'prometheus_replica',
  'replica',
  'monitor',
]);

const scraperOf = ({ labels }: RawSeries): string => {
  let text = '';
  for (const label of OF_THE_SCRAPE) text += `\n${labels[label] ?? ''}`;
  return text;
};

/**
 * Of each pod's metric the series of one scraper, always the same one as long as it is there. Should that one fall silent,
 * another goes on where it stopped: their series have one id. Series that name no pod are told apart by the scraped address.
 */
export function scrapedOnce(series: readonly RawSeries[]): readonly RawSeries[] {
  const first = new Map<string, string>();
  let twins = false;
  for (const one of series) {
    const pod = podOf(one);
    if (pod === null) continue;
    const scraper = scraperOf(one);
    const known = first.get(pod);
    twins ||= known !== undefined && known !== scraper;
    if (known === undefined || scraper < known) first.set(pod, scraper);
  }
  if (!twins) return series;
  return series.filter((one) => {
    const pod = podOf(one);
    return pod === null || first.get(pod) === scraperOf(one);
  });
}

function podOf({ name, labels }: RawSeries): string | null {
  const { pod, namespace = '' } = labels;
  return pod === undefined ? null : `${namespace}\n${pod}\n${name}`;
}
