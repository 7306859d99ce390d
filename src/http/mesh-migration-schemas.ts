/** Answers about migrations of mTLS, as the API gives them. */
import { z } from 'zod';
import { MIGRATION_FACTS, MIGRATION_STATUSES } from '../domain/migration/migration.ts';
import { described, named } from './schemas.ts';

const time = z.iso.datetime();

const caller = z.object({
  source_workload: described('"unknown": it has no proxy, and nobody can name it.', z.string()),
  source_workload_namespace: z.string(),
  called: z.string(),
  protocol: z.enum(['http', 'tcp']),
  calls: described('Within quiet, extrapolated as Prometheus does.', z.number()),
});

const factSchema = named(
  'MigrationFact',
  'Something that happened to a migration.',
  z.object({
    seq: z.int(),
    at: time,
    type: z.enum(MIGRATION_FACTS),
    actor: z.string(),
    message: z.string(),
    data: z.record(z.string(), z.unknown()),
  }),
);

const fields = {
  id: z.string(),
  status: z.enum(MIGRATION_STATUSES),
  cluster: z.string(),
  mesh: z.string(),
  scope: z.object({
    kind: z.enum(['workload', 'namespace', 'mesh']),
    namespace: z.string(),
    workload: z.string().nullable(),
  }),
  policy: z.object({
    namespace: z.string(),
    name: z.string(),
    made: described('The migration makes it, and removes it on the way back.', z.boolean()),
  }),
  wantedMode: described('Mode that the policy is to have now; null: Sluice leaves it alone.', z.string().nullable()),
  quietMs: z.number(),
  watchMs: z.number(),
  patienceMs: z.number(),
  callers: described('Who called in plaintext and keeps STRICT from being written.', z.array(caller)),
  pause: z.object({ cause: z.string(), message: z.string(), since: time }).nullable(),
  before: described(
    'What STRICT is judged against, as it was found just before; null: STRICT was not wanted yet, or it has ended.',
    z
      .object({
        mode: described('Of the policy; null: it said none.', z.string().nullable()),
        windowMs: z.number(),
        calls: z.number(),
        failures: described('Of these, calls that did not connect (503 with UF or URX).', z.number()),
        callers: z.array(
          z.object({
            source_workload: z.string(),
            source_workload_namespace: z.string(),
            perSecond: described('Of its calls, arrived.', z.number()),
          }),
        ),
      })
      .nullable(),
  ),
  inForceAt: described('When STRICT was read back: the watch counts from here.', time.nullable()),
  trouble: z.object({ code: z.string(), message: z.string(), since: time }).nullable(),
  outcome: z.object({ code: z.string(), message: z.string() }).nullable(),
  createdAt: time,
  createdBy: z.string(),
  endedAt: time.nullable(),
  version: z.int(),
  links: z.object({ self: z.string() }),
};
export const migrationBody = named('MeshMigration', 'One migration from PERMISSIVE to STRICT.', z.object(fields));
export const migrationDetail = named(
  'MeshMigrationDetail',
  'One migration with all that happened to it.',
  z.object({ ...fields, facts: z.array(factSchema) }),
);

export const listBody = named(
  'MeshMigrationList',
  'Migrations, newest first.',
  z.object({ items: z.array(migrationBody), nextCursor: z.string().nullable() }),
);

export type MigrationBody = z.input<typeof migrationDetail>;
export type MigrationSummary = z.input<typeof migrationBody>;
