/** GET /whoami: name, role and scope, and nothing in the audit. */
import { describe, expect, it } from 'vitest';
import { harness } from './harness.ts';

describe('who asks', () => {
  it.each(['viewer', 'deployer', 'approver', 'admin'] as const)('is told to a %s with name and role', async (as) => {
    const { status, body } = await (await harness()).call('get', '/whoami', { as });
    expect([status, body]).toEqual([200, { name: expect.stringContaining(as), role: as, scope: null }]);
  });

  it('is told with the scope, where there is one', async () => {
    const scope = { namespaces: ['shop'], services: null };
    const principal = { id: 'ci:1', name: 'github shop', role: 'deployer', scope } as const;
    const h = await harness({ tokens: { authenticate: async () => principal } });
    expect((await h.call('get', '/whoami')).body).toEqual({ name: 'github shop', role: 'deployer', scope });
  });

  it('is not told to whom nobody knows', async () => {
    expect((await (await harness()).call('get', '/whoami', { as: null })).status).toBe(401);
  });
});
