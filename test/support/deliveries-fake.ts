/** A log of deliveries with one message in it, which keeps what it was asked. */
import type { DeliveryFilter, DeliveryLog, LoggedDelivery } from '../../src/app/ports.ts';

export const delivery: LoggedDelivery = {
  id: 'ops:ro_1:7',
  channel: 'ops',
  about: { kind: 'rollout', id: 'ro_1' },
  state: 'dead',
  fact: { seq: 7, type: 'paused', message: 'Somebody else changed the route' },
  attempts: 84,
  createdAt: 0,
  nextAt: null,
  deliveredAt: null,
  deadAt: 259_200_000,
  lastError: 'it answers with 404',
  log: [{ attempt: 84, at: 5, took: 12, status: 404, delivered: false, message: 'it answers with 404', excerpt: 'no' }],
};

export function deliveriesFake(nextCursor: string | null = null) {
  const asked: unknown[] = [];
  const deliveries: Pick<DeliveryLog, 'list' | 'resend'> = {
    async list(filter: DeliveryFilter, limit: number, cursor: string | null) {
      asked.push({ ...filter, limit, cursor });
      return { items: [delivery], nextCursor };
    },
    async resend(id: string): Promise<LoggedDelivery | null> {
      asked.push(id);
      return id === delivery.id ? { ...delivery, state: 'pending', nextAt: 1, deadAt: null } : null;
    },
  };
  return { asked, deliveries };
}
