/** Raw samples of series, as the query API answers a range selector. Pure. */
import type { RawSeries } from '../series/counting.ts';
import type { NativeHistogram } from '../series/histograms.ts';
import { number } from './value.ts';

export interface Matrix {
  readonly ok: true;
  readonly series: readonly RawSeries[];
}

/** null: not what the query API promises. Samples that are no finite number (NaN marks the end of a series) are left out. */
export function readMatrix(result: readonly unknown[]): readonly RawSeries[] | null {
  const series: RawSeries[] = [];
  for (const element of result) {
    if (!isObject(element) || !isObject(element['metric'])) return null;
    const { __name__: name = '', ...labels } = element['metric'] as Readonly<Record<string, string>>;
    const { values = [], histograms } = element;
    if (!Array.isArray(values)) return null;
    const samples = pairs(values, (text) => (typeof text === 'string' ? number(text) : null));
    if (samples === null) return null;
    const finite = samples.filter(([, value]) => Number.isFinite(value));
    if (histograms === undefined) {
      series.push({ name, labels, samples: finite });
      continue;
    }
    const native = Array.isArray(histograms) ? pairs(histograms, histogramOf) : null;
    if (native === null) return null;
    series.push({ name, labels, samples: finite, histograms: native });
  }
  return series;
}

type Json = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function pairs<T>(
  list: readonly unknown[],
  read: (value: unknown) => T | null,
): readonly (readonly [number, T])[] | null {
  const found: (readonly [number, T])[] = [];
  for (const pair of list) {
    if (!Array.isArray(pair) || pair.length !== 2 || typeof pair[0] !== 'number') return null;
    const value = read(pair[1]);
    if (value === null) return null;
    found.push([Math.round(pair[0] * 1000), value]);
  }
  return found;
}

/** `{count: "3", sum: "1.5", buckets: [[boundary rule, "lower", "upper", "count"], ...]}`; buckets without a count are left out. */
function histogramOf(value: unknown): NativeHistogram | null {
  if (!isObject(value) || typeof value['count'] !== 'string') return null;
  const count = number(value['count']);
  const { buckets = [] } = value;
  if (count === null || !Array.isArray(buckets)) return null;
  const read = (buckets as readonly unknown[]).map(bucketOf);
  return read.every((bucket) => bucket !== null) ? { count, buckets: read } : null;
}

function bucketOf(bucket: unknown): NativeHistogram['buckets'][number] | null {
  if (!Array.isArray(bucket) || bucket.length !== 4) return null;
  const [lower, upper, count] = (bucket.slice(1) as readonly unknown[]).map((text) => number(String(text)));
  return lower == null || upper == null || count == null ? null : [lower, upper, count];
}
