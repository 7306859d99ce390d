import { describe, expect, it } from 'vitest';
import { deliveriesFake } from '../support/deliveries-fake.ts';
import { harness } from './harness.ts';

async function opened(nextCursor: string | null = null) {
  const { asked, deliveries } = deliveriesFake(nextCursor);
  return { h: await harness({ deliveries }), asked };
}

describe('GET /deliveries', () => {
  it('shows each message with its attempts, to whoever may read', async () => {
    const { h, asked } = await opened();
    const response = await h.call('get', '/deliveries?rollout=ro_1&channel=ops&state=dead&limit=5', { as: 'viewer' });
    expect(response.status).toBe(200);
    expect(asked).toEqual([{ rollout: 'ro_1', channel: 'ops', state: 'dead', limit: 5, cursor: null }]);
    expect(response.body.items).toMatchObject([
      {
        id: 'ops:ro_1:7',
        state: 'dead',
        event: { type: 'paused' },
        log: [{ attempt: 84, status: 404, tookMs: 12, excerpt: 'no' }],
        about: { kind: 'rollout', id: 'ro_1' },
        rollout: 'ro_1',
        links: { about: '/rollouts/ro_1', resend: '/deliveries/ops:ro_1:7/resend' },
      },
    ]);
  });

  it('links to the next page with the same filters, and only those that were given', async () => {
    const { h } = await opened('17');
    const response = await h.call('get', '/deliveries?state=pending&limit=1');
    expect(response.headers['link']).toBe('</deliveries?state=pending&limit=1&cursor=17>; rel="next"');
  });

  it.each(['state=lost', 'channel=Ops', 'rollout=..', 'limit=0'])('refuses ?%s', async (query) => {
    const { h, asked } = await opened();
    expect((await h.call('get', `/deliveries?${query}`)).status).toBe(400);
    expect(asked).toEqual([]);
  });
});

describe('POST /deliveries/{id}/resend', () => {
  it('sends it again: 202', async () => {
    const { h } = await opened();
    const response = await h.call('post', '/deliveries/ops:ro_1:7/resend', { as: 'deployer' });
    expect([response.status, response.body.state]).toEqual([202, 'pending']);
  });

  it('is not for viewers', async () => {
    const { h, asked } = await opened();
    expect((await h.call('post', '/deliveries/ops:ro_1:7/resend', { as: 'viewer' })).status).toBe(403);
    expect(asked).toEqual([]);
  });

  it.each(['ops:ro_1:8', 'nonsense', 'a:b:c:d e', '%00'])('of %s: 404', async (id) => {
    const { h } = await opened();
    const response = await h.call('post', `/deliveries/${encodeURIComponent(decodeURIComponent(id))}/resend`);
    expect([response.status, response.body.code]).toEqual([404, 'delivery_not_found']);
  });
});

it('both are in the document, with the shape of a delivery', async () => {
  const { h } = await opened();
  const { body } = await h.call('get', '/openapi.json', { as: null });
  expect(body.paths['/deliveries'].get.operationId).toBe('listDeliveries');
  expect(body.paths['/deliveries/{id}/resend'].post.operationId).toBe('resendDelivery');
  expect(Object.keys(body.components.schemas.Delivery.properties)).toContain('nextAttemptAt');
});
