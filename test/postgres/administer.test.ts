/** The operator's commands over a real database: what they say and what the callers may then do. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDatabase } from '../../src/adapters/postgres/db.ts';
import { postgresSlackPrincipals } from '../../src/adapters/postgres/slack-principals.ts';
import { postgresTokenStore } from '../../src/adapters/postgres/tokens.ts';
import { administer } from '../../src/administer.ts';
import { type FreshDatabase, freshDatabase, silent } from '../support/postgres.ts';

class Usage extends Error {}

let fresh: FreshDatabase;
let db: ReturnType<typeof openDatabase>;
beforeAll(async () => {
  fresh = await freshDatabase();
  db = openDatabase({ url: fresh.url, log: silent });
});
afterAll(async () => {
  await db?.close();
  await fresh?.drop();
});

const run = (what: 'token' | 'slack', verb: string, flags: Parameters<typeof administer>[3]): Promise<string> =>
  administer(fresh.url, what, verb, flags, Usage);
const shop = { name: 'shop', role: 'deployer', namespace: ['shop', 'shop'], service: ['checkout', 'cart'] };
const SCOPE = { namespaces: ['shop'], services: ['checkout', 'cart'] };

describe('a scope', () => {
  it('of a token is kept, shown, and that of its caller', async () => {
    const token = (await run('token', 'create', shop)).trim();
    expect(await postgresTokenStore(db).authenticate(token)).toMatchObject({ role: 'deployer', scope: SCOPE });
    const all = (await run('token', 'list', {})).split('\n').map((line) => line.split('\t'));
    expect(all[0]?.slice(-2)).toEqual(['namespaces', 'services']);
    expect(all.find((line) => line.includes('shop'))?.slice(-2)).toEqual(['shop', 'checkout, cart']);
  });

  it('of a token without flags is everywhere', async () => {
    const token = (await run('token', 'create', { name: 'all', role: 'deployer' })).trim();
    expect((await postgresTokenStore(db).authenticate(token))?.scope).toBeUndefined();
    const line = (await run('token', 'list', {})).split('\n').find((one) => one.includes('\tall\t'));
    expect(line?.split('\t').slice(-2)).toEqual(['all', 'all']);
  });

  it('of a person of Slack is kept, said, and replaced when they are mapped again', async () => {
    const who = { team: 'T1', user: 'U1', name: 'ana', role: 'approver' };
    expect(await run('slack', 'map', { ...who, namespace: ['shop'] })).toContain('namespaces: shop, services: all');
    const people = postgresSlackPrincipals(db);
    expect(await people.find('T1', 'U1')).toMatchObject({ scope: { namespaces: ['shop'], services: null } });
    expect(await run('slack', 'map', who)).not.toContain('namespaces');
    expect((await people.find('T1', 'U1'))?.scope).toBeUndefined();
  });

  it.each([
    ['namespace', ''],
    ['namespace', 'Shop'],
    ['service', 'cart,checkout'],
  ] as const)('with --%s %j is refused, and no token is made', async (flag, name) => {
    const before = await run('token', 'list', {});
    await expect(run('token', 'create', { ...shop, [flag]: [name] })).rejects.toThrow(
      `wanted --${flag} with a name as Kubernetes has it; found ${JSON.stringify(name)}`,
    );
    expect(await run('token', 'list', {})).toBe(before);
  });
});
