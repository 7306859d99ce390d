/** Numbers of many workloads from one answer. */
import type { View } from '../mesh.ts';
import type { Row } from './answer.ts';
import { type Called, calledBy } from './called.ts';
import type { Bucket } from './quantile.ts';
import { COUNTED, UNREACHED } from './templates.ts';
import { number } from './value.ts';

/** What one view counted of one workload. null: no such series. */
export interface Figures {
  requests: number | null;
  errors: number | null;
  readonly buckets: Bucket[];
}

export interface FigureTable {
  readonly ok: true;
  /** undefined: the view knows nothing of this workload. */
  of(namespace: string, name: string): Figures | undefined;
  /** Requests to these Services that reached no pod. */
  unreached(called: readonly Called[]): number;
}

const key = (namespace: string, name: string): string => `${namespace}\n${name}`;

/** Reads the rows of `countsQuery` or `bucketsQuery`. */
export function figureTable({ labels, unreached }: View, rows: readonly Row[]): FigureTable {
  const table = new Map<string, Figures>();
  const lost = new Map<string, number>();
  for (const row of rows) {
    if (unreached !== undefined && row.labels[COUNTED] === UNREACHED) {
      const called = calledBy(row.labels[unreached.labels.host] ?? '', row.labels[unreached.labels.caller] ?? '');
      if (called === null) continue;
      const at = key(called.namespace, called.name);
      lost.set(at, (lost.get(at) ?? 0) + row.value);
      continue;
    }
    const at = key(row.labels[labels.namespace] ?? '', row.labels[labels.version] ?? '');
    let figures = table.get(at);
    if (figures === undefined) {
      figures = { requests: null, errors: null, buckets: [] };
      table.set(at, figures);
    }
    if (row.labels[COUNTED] === 'requests') figures.requests = row.value;
    else if (row.labels[COUNTED] === 'errors') figures.errors = row.value;
    else figures.buckets.push([number(row.labels['le'] ?? '') ?? Number.NaN, row.value]);
  }
  return {
    ok: true,
    of: (namespace, name) => table.get(key(namespace, name)),
    unreached: (called) => called.reduce((sum, { namespace, name }) => sum + (lost.get(key(namespace, name)) ?? 0), 0),
  };
}
