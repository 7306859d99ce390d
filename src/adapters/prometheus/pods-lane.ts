/** What is asked by pod (a container's CPU and memory), in groups: one query for the pods of many rollouts. */
import type { PodQuery } from '../guard.ts';
import type { Answer } from './answer.ts';
import type { PrometheusClient } from './client.ts';
import type { Lane } from './group-commit.ts';

export interface PodUnit {
  readonly namespace: string;
  readonly pods: readonly string[];
}

export const podKey = ({ namespace, pods }: PodUnit): string => [namespace, ...pods].join('/');

/** Total length of the names in a query, which has them twice. */
const NAMES_PER_QUERY = 16_000;

export const podsLane = (client: PrometheusClient, query: PodQuery, timeout: number): Lane<PodUnit, Answer> => ({
  cut(units) {
    const pieces: PodUnit[][] = [];
    let room = 0;
    for (const unit of units) {
      const length = podKey(unit).length;
      const piece = pieces.at(-1);
      if (piece === undefined || length > room) {
        pieces.push([unit]);
        room = NAMES_PER_QUERY - length;
      } else {
        piece.push(unit);
        room -= length;
      }
    }
    return pieces;
  },
  async send(units) {
    const namespaces = units.map(({ namespace }) => namespace);
    const answer = await client.query(
      query.text(
        namespaces,
        units.flatMap(({ pods }) => pods),
      ),
      timeout,
    );
    return units.map(({ namespace, pods }) =>
      answer.ok
        ? {
            ok: true,
            rows: answer.rows.filter(
              ({ labels }) => labels['namespace'] === namespace && pods.includes(labels['pod'] ?? ''),
            ),
          }
        : answer,
    );
  },
});
