/** Answers about fleet rollouts, as the API gives them. */
import { z } from 'zod';
import { FLEET_FACTS, FLEET_STATUSES } from '../domain/fleet/fleet.ts';
import { described, finding, meshObjectSchema, named, STATUSES } from './schemas.ts';

const time = z.iso.datetime();
const childSchema = z.object({
  cluster: z.string(),
  rollout: described('Its rollout; null: not started.', z.string().nullable()),
  status: described('Of its rollout, when last seen.', z.enum(STATUSES).nullable()),
  message: z.string(),
  refused: described('Why no rollout could be started; null: one could, or was not tried yet.', z.string().nullable()),
  revert: described('The rollout that takes its promotion back; null: none.', z.string().nullable()),
  revertStatus: z.enum(STATUSES).nullable(),
  held: described('Why its promotion cannot be taken back; null: it can, or was not tried.', z.string().nullable()),
  link: z.string().nullable(),
});
export const fleetSchema = named(
  'FleetRollout',
  'One plan, cluster after cluster in waves.',
  z.object({
    id: z.string(),
    status: described(
      'running: rollouts of a wave are under way. baking: the wave is promoted and watched. failed: some cluster could not be brought back.',
      z.enum(FLEET_STATUSES),
    ),
    target: described(
      'Of the plan, without the cluster.',
      z.object({ namespace: z.string(), service: z.string(), mesh: z.string(), object: meshObjectSchema }),
    ),
    wave: described('Index of the present wave, from 0.', z.int()),
    message: described('Why it stands still, goes back or ended; null: none of these.', z.string().nullable()),
    awaiting: described(
      'A person is asked: to let the next wave begin, or what to do about a wave that failed.',
      z.enum(['approval', 'failed']).nullable(),
    ),
    onFailure: z.enum(['wave', 'all', 'pause']),
    waves: z.array(
      z.object({
        name: z.string(),
        approval: z.enum(['none', 'required']),
        bakeMs: z.number(),
        clusters: z.array(childSchema),
      }),
    ),
    createdAt: time,
    createdBy: z.string(),
    endedAt: time.nullable(),
    version: z.int(),
    link: z.string(),
  }),
);
export const detailSchema = named(
  'FleetRolloutDetail',
  'A fleet rollout with everything that happened, the oldest first.',
  fleetSchema.extend({
    history: z.array(
      z.object({
        seq: z.int(),
        at: time,
        type: z.enum(FLEET_FACTS),
        actor: z.string(),
        wave: z.int().nullable(),
        cluster: z.string().nullable(),
        message: z.string(),
      }),
    ),
  }),
);
export const listSchema = named(
  'FleetRolloutList',
  'Fleet rollouts, newest first.',
  z.object({ items: z.array(fleetSchema), nextCursor: z.string().nullable() }),
);
export const dryRunSchema = named(
  'FleetDryRun',
  'What every cluster says of its plan; nothing is written.',
  z.object({ accepted: z.boolean(), findings: z.array(finding) }),
);

export type FleetBody = z.input<typeof detailSchema>;
export type FleetSummary = z.input<typeof fleetSchema>;
