/** A fleet rollout that asks for an approval, a migration that is watched, and one that a caller is in the way of. */
import { fleetDocument } from '../support/fleets-fake.ts';
import { aCaller } from '../support/migration-builders.ts';
import { migrationDocument } from '../support/migrations-fake.ts';
import { ci } from './story.ts';
import type { World } from './world.ts';

export async function aFleet({ fleets }: Pick<World, 'fleets'>, part: object = {}): Promise<string> {
  const result = await fleets.start(fleetDocument(part), ci, null);
  if (!('fleet' in result)) throw new Error(`the fleet of the test is refused: ${JSON.stringify(result)}`);
  return result.fleet.id;
}

/** Promoted in east, with its question asked. */
export async function askingFleet(world: Pick<World, 'fleets'>, part: object = {}): Promise<string> {
  const id = await aFleet(world, part);
  await world.fleets.look(id, { east: { status: 'succeeded', message: 'Promoted to 100 % after 2 m' } });
  await world.fleets.look(id);
  return id;
}

export async function aMigration({ migrations }: Pick<World, 'migrations'>, namespace: string): Promise<string> {
  const result = await migrations.start(migrationDocument({ scope: { namespace } }), ci, null);
  if (!('migration' in result)) throw new Error(`the migration of the test is refused: ${JSON.stringify(result)}`);
  await migrations.look(result.migration.id);
  return result.migration.id;
}

export async function watched(world: Pick<World, 'migrations'>, namespace: string): Promise<string> {
  const id = await aMigration(world, namespace);
  await world.migrations.look(id);
  world.migrations.advance(11 * 60_000);
  await world.migrations.look(id);
  await world.migrations.look(id);
  // By the browser's clock it has just begun.
  world.migrations.advance(-11 * 60_000);
  return id;
}

export async function blocked(world: Pick<World, 'migrations'>, namespace: string): Promise<string> {
  const id = await aMigration(world, namespace);
  const callers = [aCaller(), aCaller('unknown')];
  await world.migrations.look(id, { plaintext: { ok: true, calls: 600, callers } });
  return id;
}

export async function fleetsAndMigrations(world: World): Promise<void> {
  await askingFleet(world);
  await watched(world, 'production');
  await blocked(world, 'staging');
}
