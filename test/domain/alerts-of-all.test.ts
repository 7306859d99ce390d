/** Which facts of fleet rollouts and migrations nobody may miss. Every type of fact is decided on here. */
import { describe, expect, it } from 'vitest';
import type { AlertKind } from '../../src/domain/alert.ts';
import { fleetAlertKind, fleetAlerts } from '../../src/domain/fleet/alert.ts';
import type { Fleet, FleetFactType } from '../../src/domain/fleet/fleet.ts';
import { FLEET_FACTS } from '../../src/domain/fleet/fleet.ts';
import { migrationAlertKind, migrationAlerts } from '../../src/domain/migration/alert.ts';
import type { MigrationFactType } from '../../src/domain/migration/migration.ts';
import { MIGRATION_FACTS } from '../../src/domain/migration/migration.ts';
import { aMigration, back, strict } from '../support/migration-builders.ts';

const common = { seq: 1, at: 0, actor: 'sluice', message: '', data: {} };
const fleetFact = (type: FleetFactType) => ({ ...common, type, wave: 0, cluster: null });
const migrationFact = (type: MigrationFactType) => ({ ...common, type });

const paused: Pick<Fleet, 'phase'> = {
  phase: { name: 'paused', wave: 0, since: 0, cause: 'approval', message: '' },
};
const baking: Pick<Fleet, 'phase'> = { phase: { name: 'baking', wave: 0, since: 0 } };

const OF_FLEETS: Readonly<Record<FleetFactType, AlertKind | null>> = {
  created: null,
  wave_started: null,
  child_started: null,
  child_ended: null,
  child_refused: null,
  wave_promoted: null,
  paused: 'needs_person',
  promoted: 'goes_on',
  rollback_started: 'going_back',
  child_reverting: null,
  child_reverted: null,
  child_held: 'needs_person',
  ended: 'ended',
};
const OF_MIGRATIONS: Readonly<Record<MigrationFactType, AlertKind | null>> = {
  created: null,
  guarding: null,
  blocked: 'needs_person',
  unblocked: 'goes_on',
  paused: 'needs_person',
  resumed: 'goes_on',
  strict_wanted: null,
  strict_in_force: null,
  no_answer: null,
  mesh_trouble: 'needs_person',
  mesh_recovered: 'goes_on',
  rollback_started: 'going_back',
  ended: 'ended',
};

describe('of a fleet rollout', () => {
  it.each(FLEET_FACTS)('%s', (type) => {
    expect(fleetAlerts(paused, [fleetFact(type)]).map(fleetAlertKind)).toEqual([OF_FLEETS[type]].filter(Boolean));
    if (OF_FLEETS[type] === null) expect(() => fleetAlertKind(fleetFact(type))).toThrow('is no alert');
  });

  it('a wave that is let through before it has asked is no news', () => {
    expect(fleetAlerts(baking, [fleetFact('promoted')])).toEqual([]);
  });
});

describe('of a migration', () => {
  const watched = aMigration(strict());
  it.each(MIGRATION_FACTS)('%s', (type) => {
    const told = migrationAlerts(watched, watched, [migrationFact(type)]).map(migrationAlertKind);
    expect(told).toEqual([OF_MIGRATIONS[type]].filter(Boolean));
  });

  it('STRICT in force is news where writing it was in trouble', () => {
    const troubled = { ...watched, trouble: { code: 'write_conflict', message: 'x', since: 0 } };
    expect(migrationAlerts(troubled, watched, [migrationFact('strict_in_force')]).map(migrationAlertKind)).toEqual([
      'goes_on',
    ]);
  });

  it('on the way back only the end is good news', () => {
    const returning = aMigration(back());
    expect(migrationAlerts(returning, returning, [migrationFact('mesh_recovered')])).toEqual([]);
  });
});
