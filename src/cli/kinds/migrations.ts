/** Migrations of mTLS, from PERMISSIVE to STRICT. */
import type { Kind } from '../kind.ts';
import { looksSame, polled } from '../polling.ts';
import { migrationSentence, migrationTree, scopeWords } from '../show/migration.ts';
import type { MigrationBody } from '../wire/api.ts';

export const MIGRATIONS: Kind<MigrationBody> = {
  noun: 'migration',
  prefix: 'migration ',
  collection: 'mesh-migrations',
  dryRun: null,
  labels: [],
  example: 'mm_4f0c9a1be27d5630c8aa',
  read: (api, id, limits = {}, wait = 0) => polled(() => api.migration(id, limits), limits, wait),
  facts: async (_api, { facts }, after) => facts.filter(({ seq }) => seq > after),
  isSame: looksSame,
  // A caller without mTLS does not go away by itself; what cannot be heard may come back.
  needsAPerson: ({ callers }) => callers.length > 0,
  isStuck: ({ status, trouble }) => status === 'rolling_back' && trouble !== null,
  title: (migration) => `${scopeWords(migration)} of cluster ${migration.cluster} to STRICT`,
  place: ({ status }) => status,
  sentence: migrationSentence,
  onPause: (_migration, id) => `Give those callers a proxy, and it goes on by itself; or sluice migration abort ${id}`,
  aborts: 'stops it; the mode goes back where STRICT was written',
  stuckWords: (id) => `The mode could not be put back: a person is needed now. sluice migration get ${id}`,
  picture: async () => migrationTree,
};
