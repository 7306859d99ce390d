/** The audit, as it is read: who did what, how, from where and why; with the hashes by which anybody can check it. */
import { z } from 'zod';
import { AUDIT_ACTIONS } from '../app/audit/act.ts';
import type { AuditRow } from '../app/audit/chain.ts';
import type { AuditLog } from '../app/audit/log.ts';
import type { AuditRowBody } from './audit-schemas.ts';
import { auditPageSchema } from './audit-schemas.ts';
import * as params from './params.ts';
import { urlOf } from './resource.ts';
import { linkToNext } from './rollouts.ts';
import type { Route } from './route.ts';
import { route } from './route.ts';

export interface AuditRoutes {
  readonly audit: Pick<AuditLog, 'list'>;
  readonly publicUrl: string | undefined;
}

const only = (what: string) =>
  params.parameterOf(`Only acts ${what}.`, { type: 'string', maxLength: 500 }, z.string().max(500).optional());

const query = z.strictObject({
  since: params.time('Only acts at or after this time.'),
  actor: only('of this principal, by id or name'),
  action: params.parameterOf(
    'Only acts of this kind.',
    { type: 'string', enum: [...AUDIT_ACTIONS] },
    z.enum(AUDIT_ACTIONS).optional(),
  ),
  object: only('on the object of this id, or that made it'),
  order: params.parameterOf(
    'Which come first.',
    { type: 'string', enum: ['newest', 'oldest'], default: 'newest' },
    z.enum(['newest', 'oldest']).default('newest'),
  ),
  limit: params.limit(50, 1_000),
  cursor: params.cursor,
});

export const auditRoutes = ({ audit, publicUrl }: AuditRoutes): readonly Route[] => [
  route({
    method: 'get',
    path: '/audit',
    operationId: 'listAudit',
    summary: 'Every act: who, how, from where, why',
    description:
      'With order=oldest and without filters, the pages together are the whole chain: `sluice audit verify` computes its hashes again and trusts nothing that this server says of them.',
    can: 'audit',
    query,
    responses: {
      200: {
        description: 'One page.',
        body: auditPageSchema,
        headers: { Link: 'rel="next": the next page, where there is one.' },
      },
    },
    problems: [],
    async handle({ query: { order, limit, cursor, since, actor, action, object } }) {
      const filter = {
        ...(since === undefined ? {} : { since }),
        ...(actor === undefined ? {} : { actor }),
        ...(action === undefined ? {} : { action }),
        ...(object === undefined ? {} : { object }),
      };
      const { items, nextCursor } = await audit.list(filter, order, limit, cursor ?? null);
      const more = {
        ...filter,
        ...(since === undefined ? {} : { since: new Date(since).toISOString() }),
        order,
        limit,
        cursor: nextCursor,
      };
      return {
        status: 200,
        headers: linkToNext(urlOf('/audit', publicUrl), nextCursor === null ? null : more),
        body: { items: items.map(present), nextCursor },
      };
    },
  }),
];

const present = ({ at, ...row }: AuditRow): AuditRowBody => ({ ...row, at: new Date(at).toISOString() });
