import { describe, expect, it } from 'vitest';
import { deliveriesFake } from '../support/deliveries-fake.ts';
import { sluice, world } from './support.ts';

describe('sluice deliveries', () => {
  it('lists messages with their state and last trouble, by the filters that were given', async () => {
    const { deliveries, asked } = deliveriesFake();
    const w = await world({ deliveries });
    const { code, stdout } = await sluice(w.url, ['deliveries', 'list', '--state', 'dead', '--channel', 'ops']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/ops:ro_1:7 +dead +84 +1970-01-01 00:00:00 +paused +it answers with 404/);
    expect(asked).toEqual([{ state: 'dead', channel: 'ops', limit: 50, cursor: null }]);
  });

  it('prints ids alone for a loop over them', async () => {
    const w = await world(deliveriesFake());
    expect((await sluice(w.url, ['deliveries', 'list', '-o', 'name'])).stdout).toBe('ops:ro_1:7\n');
  });

  it('sends one again', async () => {
    const { deliveries, asked } = deliveriesFake();
    const w = await world({ deliveries });
    const { code, stderr } = await sluice(w.url, ['deliveries', 'resend', 'ops:ro_1:7']);
    expect([code, asked]).toEqual([0, ['ops:ro_1:7']]);
    expect(stderr).toContain('ops:ro_1:7 is sent again: Somebody else changed the route');
  });

  it.each([
    [['deliveries', 'resend', 'ops:ro_1:8'], 12],
    [['deliveries', 'list', '--limit', '0'], 2],
    [['deliveries', 'list', '--state', 'lost'], 2],
  ])('%j ends with %i', async (args, ending) => {
    const w = await world(deliveriesFake());
    expect((await sluice(w.url, args)).code).toBe(ending);
  });

  it('of a server that has no such call ends with 13', async () => {
    const w = await world();
    expect((await sluice(w.url, ['deliveries', 'list'])).code).toBe(13);
  });
});
