/** A row of the audit on the wire. */
import { z } from 'zod';
import { VIAS } from '../app/audit/act.ts';
import { described, named } from './schemas.ts';

const rowSchema = named(
  'AuditRow',
  'One act, as it was written down with it. docs/audit.md says how the hash is made.',
  z.object({
    seq: described('From 1, without gaps.', z.int()),
    at: described("The database's clock, in whole milliseconds.", z.iso.datetime()),
    actorId: z.string(),
    actor: z.string(),
    via: described('As the request said of itself. system: the service by itself.', z.enum(VIAS)),
    address: z.string().nullable(),
    userAgent: z.string().nullable(),
    action: z.string(),
    objectKind: z.string(),
    objectId: z.string().nullable(),
    made: described('Id of what the act brought into being, where that is another object.', z.string().nullable()),
    reason: z.string().nullable(),
    requestId: z.string().nullable(),
    outcome: z.enum(['done', 'refused']),
    code: described(
      'Why it was refused; or unchanged, replayed, joined: it was fulfilled already.',
      z.string().nullable(),
    ),
    omitted: described('Refusals of the same process that were left out before this row.', z.int()),
    hash: described('SHA-256 in hexadecimal, over the hash of the row before and this row.', z.string()),
  }),
);
export type AuditRowBody = z.output<typeof rowSchema>;

export const auditPageSchema = named(
  'AuditPage',
  'Rows of the audit.',
  z.object({ items: z.array(rowSchema), nextCursor: z.string().nullable() }),
);
