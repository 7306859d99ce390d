/**
 * Who is told of a commit of a fleet rollout or of a migration: the channels of the installation, of everything that nobody
 * may miss, and Slack, of ends, ways back and every need for a person. The same outbox as for rollouts; Slack by a channel
 * for each of the two.
 */
import { fleetAlertKind, fleetAlerts } from '../domain/fleet/alert.ts';
import type { Fleet, FleetFact } from '../domain/fleet/fleet.ts';
import { migrationAlertKind, migrationAlerts } from '../domain/migration/alert.ts';
import type { Migration, MigrationFact } from '../domain/migration/migration.ts';
import type { Post } from './deliveries.ts';
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

/** Who is there to be told. */
export interface Listeners {
  /** Is there a Slack? */
  readonly slack: boolean;
  /** Channels of the installation for plans that name none. */
  readonly usual: readonly string[];
}

export const NOBODY: Listeners = { slack: false, usual: [] };

export const fleetPosts = (
  previous: Fleet,
  next: Fleet,
  facts: readonly FleetFact[],
  { slack, usual }: Listeners,
): readonly Post[] => {
  const { notify = usual } = next.spec.plan as { readonly notify?: readonly string[] };
  return fleetAlerts(previous, facts).flatMap((fact) => [
    ...(slack && fleetAlertKind(fact) !== 'goes_on' ? [postTo(NEWS_CHANNELS.fleet, next, fact)] : []),
    ...notify.map((channel) => postTo(channel, next, fact)),
  ]);
};

/** A migration has no plan that could name channels. */
export const migrationPosts = (
  previous: Migration,
  next: Migration,
  facts: readonly MigrationFact[],
  { slack, usual }: Listeners,
): readonly Post[] =>
  migrationAlerts(previous, next, facts).flatMap((fact) => [
    ...(slack && migrationAlertKind(fact) !== 'goes_on' ? [postTo(NEWS_CHANNELS.migration, next, fact)] : []),
    ...usual.map((channel) => postTo(channel, next, fact)),
  ]);

const postTo = (channel: string, { id }: { readonly id: string }, { seq }: { readonly seq: number }): Post => ({
  channel,
  id: `${id}:${seq}`,
  seq,
});
