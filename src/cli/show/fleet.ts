/** One fleet rollout as a tree: its waves, and below each its clusters with their rollouts. Pure. */
import { duration } from '../../domain/format.ts';
import type { View } from '../kind.ts';
import type { FleetBody, FleetSummary } from '../wire/api.ts';
import type { Row } from './branches.ts';
import { branches } from './branches.ts';
import type { Line } from './line.ts';
import { table, toned } from './line.ts';
import type { Place } from './marks.ts';
import { placeMark, statusTone } from './marks.ts';
import { factLine, since } from './words.ts';

type Wave = FleetSummary['waves'][number];
type Cluster = Wave['clusters'][number];

/** "wave 2 of 3 (rest)" */
export const waveWords = ({ wave, waves }: Pick<FleetSummary, 'wave' | 'waves'>): string =>
  `wave ${wave + 1} of ${waves.length} (${waves[wave]?.name ?? ''})`;

export function fleetTree({ body, facts, now, unicode }: View<FleetBody>): readonly Line[] {
  const { message, status } = body;
  return [
    headOf(body, now),
    ...branches(
      body.waves.map((wave, index) => rowOf(body, wave, index, unicode)),
      unicode,
    ),
    ...(message === null ? [] : [[toned(statusTone(status), message)] as Line]),
    ...facts.map((fact): Line => ['   ', ...factLine(fact)]),
  ];
}

function headOf({ id, target, status, awaiting, createdAt, createdBy, endedAt }: FleetBody, now: number): Line {
  const took = since(createdAt, endedAt === null ? now : Date.parse(endedAt));
  const question = awaiting === 'failed' ? 'a decision' : awaiting;
  return [
    toned('strong', target.service),
    '  ',
    toned(statusTone(status), question === null ? status : `${status} (awaiting ${question})`),
    toned('quiet', `  ${target.namespace}  ${target.mesh}  ${id}  ${took}  by ${createdBy}`),
  ];
}

function rowOf(fleet: FleetBody, wave: Wave, index: number, unicode: boolean): Row {
  const place = placeOf(fleet, index);
  const words = `wave ${index + 1}  ${wave.name}`;
  const then = [
    ...(wave.bakeMs === 0 ? [] : [`bakes ${duration(wave.bakeMs)}`]),
    ...(wave.approval === 'required' ? ['approval'] : []),
  ];
  return {
    line: [
      placeMark(place, unicode),
      ' ',
      place === 'here' ? toned('strong', words) : words,
      toned('quiet', then.length === 0 ? '' : `  then ${then.join(', then ')}`),
    ],
    below: clusterLines(wave.clusters),
  };
}

function placeOf({ wave, status, waves }: FleetBody, index: number): Place {
  if (index > wave) return 'ahead';
  if (status === 'succeeded') return 'done';
  const came = waves[index]?.clusters.every((cluster) => cluster.status === 'succeeded' && cluster.revert === null);
  if (status === 'running' || status === 'baking' || status === 'paused')
    return index === wave ? 'here' : came === true ? 'done' : 'left';
  // Going back, or gone: what was kept is not what has left.
  return came === true ? 'done' : 'left';
}

function clusterLines(clusters: readonly Cluster[]): readonly Line[] {
  const rows = clusters.map((cluster): (string | Line)[] => [
    `  ${cluster.cluster}`,
    [toned(statusTone(stateOf(cluster)), stateOf(cluster))],
    cluster.revert ?? cluster.rollout ?? '-',
    [toned('quiet', cluster.held ?? cluster.refused ?? cluster.message)],
  ]);
  // A table has a heading; this one speaks for itself.
  return table([['', '', '', ''], ...rows]).slice(1);
}

/** Of its rollout, or of the one that takes it back. */
function stateOf({ refused, status, revert, revertStatus }: Cluster): string {
  if (refused !== null) return 'refused';
  return (revert === null ? status : revertStatus) ?? 'not started';
}

export const fleetRows = (items: readonly FleetSummary[], now: number): readonly Line[] =>
  table([
    ['ID', 'SERVICE', 'NAMESPACE', 'STATUS', 'WAVE', 'CLUSTERS', 'AGE', 'BY'],
    ...items.map(({ id, target, status, awaiting, wave, waves, createdAt, createdBy }) => {
      const clusters = waves.flatMap((one) => one.clusters);
      const promoted = clusters.filter((one) => one.status === 'succeeded' && one.revert === null);
      return [
        id,
        target.service,
        target.namespace,
        [toned(statusTone(status), awaiting === null ? status : `${status}*`)],
        `${wave + 1}/${waves.length}`,
        `${promoted.length}/${clusters.length}`,
        duration(Math.max(0, now - Date.parse(createdAt))),
        createdBy,
      ];
    }),
  ]);
