/**
 * What people are told of fleet rollouts and migrations: ends, ways back, and every need for a person. The same outbox as
 * for rollouts, by a channel for each of the two.
 */
import type { FleetFact, FleetFactType } from '../domain/fleet/fleet.ts';
import type { MigrationFact, MigrationFactType } from '../domain/migration/migration.ts';
import type { Queued } from './ports.ts';

export type NewsKind = 'fleet' | 'migration';

/** Channels of the outbox. No channel of the installation can have a dot in its name. */
export const NEWS_CHANNELS = { fleet: 'slack.fleets', migration: 'slack.migrations' } as const satisfies Readonly<
  Record<NewsKind, string>
>;

export interface News extends Queued {
  /** Id of the fleet rollout or migration. */
  readonly about: string;
  readonly message: string;
}

const OF_FLEETS: ReadonlySet<FleetFactType> = new Set(['paused', 'rollback_started', 'child_held', 'ended']);
/** A caller without mTLS and a policy that cannot be written stay until somebody does something. */
const OF_MIGRATIONS: ReadonlySet<MigrationFactType> = new Set([
  'blocked',
  'paused',
  'mesh_trouble',
  'rollback_started',
  'ended',
]);

/** Numbers of the facts that are told. */
export const toldOfFleet = (facts: readonly FleetFact[]): readonly number[] =>
  facts.filter(({ type }) => OF_FLEETS.has(type)).map(({ seq }) => seq);
export const toldOfMigration = (facts: readonly MigrationFact[]): readonly number[] =>
  facts.filter(({ type }) => OF_MIGRATIONS.has(type)).map(({ seq }) => seq);
