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

/** Deliveries that are kept, and pending again once they were to be sent again. */
export function deliveriesKept(): Pick<DeliveryLog, 'list' | 'resend'> & { readonly items: LoggedDelivery[] } {
  const items: LoggedDelivery[] = [];
  return {
    items,
    list: async ({ rollout }, limit) => ({
      items: items.filter(({ about }) => rollout === undefined || about.id === rollout).slice(0, limit),
      nextCursor: null,
    }),
    async resend(id) {
      const at = items.findIndex((one) => one.id === id);
      const found = items[at];
      if (found === undefined) return null;
      const again: LoggedDelivery = { ...found, state: 'pending', nextAt: found.createdAt, deadAt: null };
      items[at] = again;
      return again;
    },
  };
}

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
