/** Fleet rollouts: one plan, cluster after cluster in waves. */
import type { Kind } from '../kind.ts';
import { looksSame, polled } from '../polling.ts';
import { fleetTree, waveWords } from '../show/fleet.ts';
import type { FleetBody } from '../wire/api.ts';

export const FLEETS: Kind<FleetBody> = {
  noun: 'fleet rollout',
  prefix: 'fleet ',
  collection: 'fleet-rollouts',
  dryRun: 'fleet dry-run',
  labels: ['plan', 'labels'],
  example: 'fr_2kXbQm81TzLw0aVc',
  read: (api, id, limits = {}, wait = 0) => polled(() => api.fleet(id, limits), limits, wait),
  facts: async (_api, { history }, after) => history.filter(({ seq }) => seq > after),
  isSame: looksSame,
  needsAPerson: ({ awaiting }) => awaiting !== null,
  isStuck: ({ status, waves }) =>
    status === 'rolling_back' && waves.some(({ clusters }) => clusters.some(({ held }) => held !== null)),
  title: ({ target, waves }) => {
    const clusters = waves.flatMap((wave) => wave.clusters);
    return `${target.service} (${target.namespace}) in ${clusters.length} ${clusters.length === 1 ? 'cluster' : 'clusters'}, ${waves.length} ${waves.length === 1 ? 'wave' : 'waves'}`;
  },
  place: (fleet) => `${fleet.status} at ${waveWords(fleet)}`,
  sentence: ({ message }) => message,
  onPause: (_fleet, id) => `sluice fleet promote ${id}, or sluice fleet abort ${id}`,
  aborts: 'takes every wave back',
  stuckWords: (id) => `Some cluster could not be brought back: a person is needed now. sluice fleet get ${id}`,
  picture: async () => fleetTree,
};
