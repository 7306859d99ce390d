/** What channels outside were told: the log of deliveries, and sending one again. */
import { z } from 'zod';
import type { SubjectKind } from '../app/deliveries.ts';
import type { DeliveryLog, LoggedDelivery } from '../app/ports.ts';
import type { Instant } from '../domain/plan.ts';
import * as params from './params.ts';
import { refuse } from './problem.ts';
import { urlOf } from './resource.ts';
import { linkToNext } from './rollouts.ts';
import type { Route } from './route.ts';
import { route } from './route.ts';
import { type DeliveryBody, deliveryListSchema, deliverySchema } from './schemas.ts';

export interface DeliveryRoutes {
  readonly deliveries: Pick<DeliveryLog, 'list' | 'resend'>;
  readonly publicUrl: string | undefined;
}

const timeOf = (at: Instant): string => new Date(at).toISOString();
const timeOrNull = (at: Instant | null): string | null => (at === null ? null : timeOf(at));

const PATHS: Readonly<Record<SubjectKind, string>> = {
  rollout: 'rollouts',
  fleet: 'fleet-rollouts',
  migration: 'mesh-migrations',
};

const presentDelivery = (delivery: LoggedDelivery, publicUrl: string | undefined): DeliveryBody => ({
  id: delivery.id,
  channel: delivery.channel,
  about: delivery.about,
  rollout: delivery.about.kind === 'rollout' ? delivery.about.id : null,
  state: delivery.state,
  event: { ...delivery.fact },
  attempts: delivery.attempts,
  createdAt: timeOf(delivery.createdAt),
  nextAttemptAt: timeOrNull(delivery.nextAt),
  deliveredAt: timeOrNull(delivery.deliveredAt),
  deadAt: timeOrNull(delivery.deadAt),
  lastError: delivery.lastError,
  log: delivery.log.map(({ attempt, at, took, status, delivered, message, excerpt }) => ({
    attempt,
    at: timeOf(at),
    tookMs: took,
    status,
    delivered,
    message,
    excerpt,
  })),
  links: {
    about: urlOf(`/${PATHS[delivery.about.kind]}/${delivery.about.id}`, publicUrl),
    resend: urlOf(`/deliveries/${delivery.id}/resend`, publicUrl),
  },
});

export function deliveryRoutes({ deliveries, publicUrl }: DeliveryRoutes): readonly Route[] {
  return [
    route({
      method: 'get',
      path: '/deliveries',
      operationId: 'listDeliveries',
      summary: 'What channels outside were told, attempt by attempt',
      can: 'read',
      query: z.strictObject({
        rollout: params.ofRollout,
        channel: params.channel,
        state: params.deliveryState,
        limit: params.limit(50),
        cursor: params.cursor,
      }),
      responses: {
        200: {
          description: 'One page.',
          body: deliveryListSchema,
          headers: { Link: 'rel="next": the next page, where there is one.' },
        },
      },
      problems: [],
      async handle({ query: { limit, cursor, ...filter } }) {
        const { items, nextCursor } = await deliveries.list(filter, limit, cursor ?? null);
        const given = Object.entries(filter).filter(([, value]) => value !== undefined);
        const next = nextCursor === null ? null : { ...Object.fromEntries(given), limit, cursor: nextCursor };
        return {
          status: 200,
          headers: linkToNext(urlOf('/deliveries', publicUrl), next),
          body: { items: items.map((one) => presentDelivery(one, publicUrl)), nextCursor },
        };
      },
    }),

    route({
      method: 'post',
      path: '/deliveries/{id}/resend',
      operationId: 'resendDelivery',
      summary: 'Send a message to its channel once more',
      description:
        'Whatever became of it. It goes out under the same webhook-id, so a receiver that had it can tell. Slack changes what stands, or posts what is missing.',
      can: 'start',
      audit: 'delivery.resend',
      params: params.deliveryId,
      responses: { 202: { description: 'It goes out within moments.', body: deliverySchema } },
      problems: ['delivery_not_found'],
      async handle({ params: { id }, principal }) {
        const delivery = params.isDeliveryId(id) ? await deliveries.resend(id, principal) : null;
        if (delivery === null)
          return refuse('delivery_not_found', `there is no delivery ${JSON.stringify(id.slice(0, 200))}`);
        return { status: 202, body: presentDelivery(delivery, publicUrl) };
      },
    }),
  ];
}
