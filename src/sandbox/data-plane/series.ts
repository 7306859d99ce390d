/** Counters and histograms in Prometheus' text format. Each series belongs to the pod whose proxy counts it, and goes with it. */

export type Labels = Readonly<Record<string, string>>;

interface Counter {
  readonly owner: string;
  readonly labels: Labels;
  value: number;
}

interface Histogram {
  readonly owner: string;
  readonly labels: Labels;
  readonly buckets: number[];
  sum: number;
  count: number;
}

export interface Series {
  count(metric: string, owner: string, labels: Labels): void;
  /** `bounds`: finite upper bounds, rising; the same for every series of the metric. */
  observe(metric: string, owner: string, labels: Labels, bounds: readonly number[], value: number): void;
  /** The pod is gone: so are its series. */
  forget(owner: string): void;
  /** All series, as Prometheus has them once it has scraped every proxy. */
  text(): string;
  /** Those of one proxy, as it serves them itself: without the labels that a scrape configuration adds. */
  page(owner: string): string;
}

const escaped = (value: string): string =>
  value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');

/** Empty labels are absent, as in Prometheus. */
const written = (labels: Labels): string => {
  const parts = Object.entries(labels)
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${name}="${escaped(value)}"`);
  return parts.length === 0 ? '' : `{${parts.join(',')}}`;
};

/** The value of `key`, made on first use. */
function child<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const found = map.get(key);
  if (found !== undefined) return found;
  const made = make();
  map.set(key, made);
  return made;
}

export function createSeries(): Series {
  const counters = new Map<string, Map<string, Counter>>();
  const histograms = new Map<string, Map<string, Histogram>>();
  const bounds = new Map<string, readonly number[]>();

  return {
    count(metric, owner, labels) {
      const family = child(counters, metric, () => new Map<string, Counter>());
      child(family, `${owner}\n${written(labels)}`, () => ({ owner, labels, value: 0 })).value += 1;
    },
    observe(metric, owner, labels, limits, value) {
      bounds.set(metric, limits);
      const family = child(histograms, metric, () => new Map<string, Histogram>());
      const histogram = child(family, `${owner}\n${written(labels)}`, () => ({
        owner,
        labels,
        buckets: limits.map(() => 0),
        sum: 0,
        count: 0,
      }));
      limits.forEach((limit, index) => {
        if (value <= limit) histogram.buckets[index] = (histogram.buckets[index] ?? 0) + 1;
      });
      histogram.sum += value;
      histogram.count += 1;
    },
    forget(owner) {
      for (const family of [counters, histograms])
        for (const series of family.values())
          for (const [key, one] of series) if (one.owner === owner) series.delete(key);
    },
    text: () =>
      exposition(
        () => true,
        (labels) => labels,
      ),
    page: (owner) => exposition((one) => one.owner === owner, unscraped),
  };

  function exposition(wanted: (one: { readonly owner: string }) => boolean, shown: (labels: Labels) => Labels): string {
    const lines: string[] = [];
    for (const [metric, series] of counters) {
      const own = [...series.values()].filter(wanted);
      if (own.length > 0) lines.push(`# TYPE ${metric} counter`);
      for (const { labels, value } of own) lines.push(`${metric}${written(shown(labels))} ${value}`);
    }
    for (const [metric, series] of histograms) {
      const own = [...series.values()].filter(wanted);
      if (own.length > 0) lines.push(`# TYPE ${metric} histogram`);
      for (const histogram of own)
        lines.push(
          ...histogramLines(metric, bounds.get(metric) ?? [], { ...histogram, labels: shown(histogram.labels) }),
        );
    }
    return `${lines.join('\n')}\n`;
  }
}

/** What the scrape configurations of both meshes add. */
const SCRAPED: ReadonlySet<string> = new Set(['namespace', 'pod', 'deployment']);
const unscraped = (labels: Labels): Labels =>
  Object.fromEntries(Object.entries(labels).filter(([name]) => !SCRAPED.has(name)));

function histogramLines(
  metric: string,
  limits: readonly number[],
  { labels, buckets, sum, count }: Histogram,
): string[] {
  return [
    ...limits.map(
      (limit, index) => `${metric}_bucket${written({ ...labels, le: String(limit) })} ${buckets[index] ?? 0}`,
    ),
    `${metric}_bucket${written({ ...labels, le: '+Inf' })} ${count}`,
    `${metric}_sum${written(labels)} ${sum}`,
    `${metric}_count${written(labels)} ${count}`,
  ];
}
