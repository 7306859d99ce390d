/** The store of migrations in memory: versions and facts as Postgres keeps them, for simulations. */
import type { MigrationStore } from '../../src/app/migration/ports.ts';
import type { Migration, MigrationFact } from '../../src/domain/migration/migration.ts';

export interface MemoryMigrations extends Pick<MigrationStore, 'load' | 'commit'> {
  readonly facts: readonly MigrationFact[];
  present(): Migration;
}

export function memoryMigrations(first: Migration, now: () => number): MemoryMigrations {
  let row = first;
  const facts: MigrationFact[] = [];
  return {
    facts,
    present: () => row,
    async load() {
      return { migration: row, now: now() };
    },
    async commit({ previous, next, facts: told }) {
      if (row.version !== previous.version) return false;
      row = structuredClone(next);
      facts.push(...told);
      return true;
    },
  };
}
