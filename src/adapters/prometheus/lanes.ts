/** What can be asked in groups: the counts or latency buckets of one view over one window, and custom queries. */
import type { Millis } from '../../domain/plan.ts';
import type { View } from '../mesh.ts';
import { type Answer, type Trouble, trouble } from './answer.ts';
import type { Called } from './called.ts';
import type { PrometheusClient } from './client.ts';
import { type FigureTable, figureTable } from './figures.ts';
import type { Lane } from './group-commit.ts';
import type { Silences } from './silence.ts';
import { bucketsQuery, countsQuery, type Latency, type Versions } from './templates.ts';

/** Both versions of one target: they are compared, so they come from the same evaluation. */
export interface Pair {
  readonly namespace: string;
  readonly stable: string;
  readonly canary: string;
  /** Services under whose names the canary's requests are lost; none where the view cannot tell. */
  readonly called: readonly Called[];
}

export const pairKey = ({ namespace, stable, canary, called }: Pair): string =>
  [namespace, stable, canary, ...called.map((service) => `${service.namespace}/${service.name}`)].join('/');

/** Pairs per query. Buckets bring some twenty rows per workload, counts two. */
const COUNTS_PER_QUERY = 250;
const BUCKETS_PER_QUERY = 100;
/** Total length of the names in a query, which repeats them for each of its selectors: up to about fifteen times. */
const NAMES_PER_QUERY = 16_000;
/** How often the parts of one refused or oversized query are halved: enough to single out one workload of a full query. */
const HALVINGS = 12;

export type TableLane = Lane<Pair, FigureTable | Trouble>;

/** How a table is asked for. */
interface Asking {
  readonly window: Millis;
  readonly silences: Silences;
  readonly timeout: Millis;
}

export const countsLane = (client: PrometheusClient, view: View, asking: Asking): TableLane =>
  tableLane(client, view, COUNTS_PER_QUERY, asking, (versions) => countsQuery(view, versions, asking.window));

export const bucketsLane = (client: PrometheusClient, view: View, latency: Latency, asking: Asking): TableLane =>
  tableLane(client, view, BUCKETS_PER_QUERY, asking, (versions) =>
    bucketsQuery(view, latency, versions, asking.window),
  );

function tableLane(
  client: PrometheusClient,
  view: View,
  perQuery: number,
  { window, silences, timeout }: Asking,
  text: (versions: Versions) => string,
): TableLane {
  return {
    cut: (pairs) => cut(pairs, perQuery),
    async send(pairs) {
      // Before the counts: a gap that began after it is not in what they look back over.
      const gap = silences.in(window, timeout);
      const until = performance.now() + timeout;
      const results = new Map<Pair, FigureTable | Trouble>();
      const parts = [pairs];
      let halvings = HALVINGS;
      for (let part = parts.shift(); part !== undefined; part = parts.shift()) {
        const left = until - performance.now();
        const answer = left > 0 ? await client.query(text(versionsOf(part)), left) : noTimeLeft(client);
        if (!answer.ok && answer.tooMuch && part.length > 1 && halvings > 0) {
          halvings -= 1;
          parts.push(part.slice(0, part.length >> 1), part.slice(part.length >> 1));
          continue;
        }
        const result = answer.ok ? ((await gap) ?? figureTable(view, answer.rows)) : answer;
        for (const pair of part) results.set(pair, result);
      }
      return pairs.map((pair) => results.get(pair) as FigureTable | Trouble);
    },
  };
}

const noTimeLeft = ({ server }: PrometheusClient): Trouble =>
  trouble('timeout', `${server} refused a query for many workloads, and there was no time left for smaller ones`);

const versionsOf = (pairs: readonly Pair[]): Versions => ({
  namespaces: pairs.map(({ namespace }) => namespace),
  names: pairs.flatMap(({ stable, canary }) => [stable, canary]),
  services: pairs.flatMap(({ called }) => called.map(({ name }) => name)),
});

function cut(pairs: readonly Pair[], perQuery: number): readonly (readonly Pair[])[] {
  const pieces: Pair[][] = [];
  let room = 0;
  for (const pair of pairs) {
    const services = pair.called.reduce((sum, { name }) => sum + name.length, 0);
    const length = pair.namespace.length + pair.stable.length + pair.canary.length + services;
    const piece = pieces.at(-1);
    if (piece === undefined || piece.length === perQuery || length > room) {
      pieces.push([pair]);
      room = NAMES_PER_QUERY - length;
    } else {
      piece.push(pair);
      room -= length;
    }
  }
  return pieces;
}

/** One custom query: everybody who asks it gets the same answer. */
export const queryLane = (client: PrometheusClient, promql: string, timeout: number): Lane<string, Answer> => ({
  cut: (units) => [units],
  send: async (units) => {
    const answer = await client.query(promql, timeout);
    return units.map(() => answer);
  },
});
