/** Fleet rollouts and migrations in a real Postgres that are brought to whatever people are told of. */
import { expect } from 'vitest';
import type { Database } from '../../src/adapters/postgres/db.ts';
import { postgresFleetStore } from '../../src/adapters/postgres/fleet-store.ts';
import { postgresMigrationStore } from '../../src/adapters/postgres/migration-store.ts';
import type { FleetStore } from '../../src/app/fleet/ports.ts';
import type { MigrationStore } from '../../src/app/migration/ports.ts';
import type { Listeners } from '../../src/app/news.ts';
import type { RolloutStore } from '../../src/app/ports.ts';
import { fleetSubject, migrationSubject, rolloutSubject, type Subjects } from '../../src/app/subject.ts';
import type { ChildSeen } from '../../src/domain/fleet/advance.ts';
import { advanceFleet } from '../../src/domain/fleet/advance.ts';
import type { Fleet, FleetFact, FleetSpec, OnFailure } from '../../src/domain/fleet/fleet.ts';
import { observe } from '../../src/domain/migration/advance.ts';
import type { Migration, MigrationFact } from '../../src/domain/migration/migration.ts';
import { anAct } from './audit.ts';
import { aCaller, aPlan, someTraffic, stamped } from './migration-builders.ts';

export interface NewsWorld {
  readonly fleets: FleetStore;
  readonly migrations: MigrationStore;
  aFleet(id?: string, onFailure?: OnFailure, plan?: Readonly<Record<string, unknown>>): Promise<Fleet>;
  /** One look at which its first cluster was found like this. */
  looked(fleet: Fleet, part?: Partial<ChildSeen>): Promise<Fleet>;
  kept(previous: Fleet, change: { readonly fleet: Fleet; readonly facts: readonly FleetFact[] }): Promise<Fleet>;
  /** Its first wave is promoted, and it asks whether the next one may begin. */
  asking(id?: string): Promise<Fleet>;
  aMigration(id?: string): Promise<Migration>;
  moved(
    previous: Migration,
    change: { readonly migration: Migration; readonly facts: readonly MigrationFact[] } | null,
  ): Promise<Migration>;
  /** Somebody calls without mTLS. */
  blocked(id?: string): Promise<Migration>;
}

const TARGET = { namespace: 'production', service: 'myapp', mesh: 'istio' };

const specOf = (onFailure: OnFailure, plan: Readonly<Record<string, unknown>>): FleetSpec => ({
  plan: { target: TARGET, ...plan },
  waves: [
    { name: 'first', clusters: ['east'], steps: null, approval: 'required', bake: 0 },
    { name: 'rest', clusters: ['west'], steps: null, approval: 'none', bake: 0 },
  ],
  onFailure,
});

export function newsWorld(db: Database, listeners?: Listeners): NewsWorld {
  const fleets = postgresFleetStore(db, listeners);
  const migrations = postgresMigrationStore(db, listeners);
  const world: NewsWorld = {
    fleets,
    migrations,
    async aFleet(id = 'fr_1', onFailure = 'all', plan = {}) {
      const made = await fleets.create({
        id,
        spec: specOf(onFailure, plan),
        createdBy: 'token <ci>',
        act: anAct(id),
        idempotency: null,
      });
      if (!('fleet' in made)) throw new Error(made.kind);
      return made.fleet;
    },
    async looked(fleet, part = {}) {
      const east = {
        wave: 0,
        cluster: 'east',
        rollout: 'ro_1',
        status: 'progressing',
        message: '',
        revert: null,
        unwell: null,
      } as const;
      return world.kept(fleet, advanceFleet(fleet, { at: 1000, children: [{ ...east, ...part }] }));
    },
    async kept(previous, change) {
      const next = { ...change.fleet, version: previous.version + 1 };
      expect(await fleets.commit({ previous, next, facts: change.facts, lookIn: null })).toBe(true);
      return next;
    },
    async asking(id) {
      const promoted = await world.looked(await world.aFleet(id), { status: 'succeeded' });
      return world.looked(promoted, { status: 'succeeded' });
    },
    async aMigration(id = 'mm_1') {
      const started = await migrations.start({
        id,
        plan: aPlan({ cluster: id === 'mm_1' ? 'default' : id }),
        source: null,
        createdBy: 'ana',
        epochAbove: 0,
        act: anAct(id),
        idempotency: null,
        message: 'Created by ana',
        warnings: [],
      });
      if (!('migration' in started)) throw new Error(started.kind);
      return started.migration;
    },
    async moved(previous, change) {
      if (change === null) throw new Error('it has ended');
      const next = { ...change.migration, version: previous.version + 1 };
      expect(await migrations.commit({ previous, next, facts: change.facts, nextLookAt: null })).toBe(true);
      return next;
    },
    async blocked(id) {
      const pending = await world.aMigration(id);
      const look = { at: 1000, policy: null, beyond: null, plaintext: null, traffic: null, whole: null };
      const guarding = await world.moved(pending, observe(pending, look));
      return world.moved(
        guarding,
        observe(guarding, {
          at: 2000,
          policy: { ok: true, policy: { ...stamped('PERMISSIVE', 1), stamp: null }, before: [] },
          beyond: { ok: true, workloads: [] },
          plaintext: { ok: true, calls: 600, callers: [aCaller()] },
          traffic: { ok: true, ...someTraffic() },
          whole: null,
        }),
      );
    },
  };
  return world;
}

export const subjectsIn = (
  store: Pick<RolloutStore, 'load'>,
  { fleets, migrations }: Pick<NewsWorld, 'fleets' | 'migrations'>,
): Subjects => ({
  async rollout(id) {
    const found = await store.load(id);
    return found === null ? null : rolloutSubject(found.rollout);
  },
  async fleet(id) {
    const found = await fleets.load(id);
    return found === null ? null : fleetSubject(found.fleet);
  },
  async migration(id) {
    const found = await migrations.load(id);
    return found === null ? null : migrationSubject(found.migration);
  },
});
