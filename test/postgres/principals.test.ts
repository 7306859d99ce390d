/** Who may do what: tokens that cannot be stolen from the database, people of Slack, commands that came in. */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../../src/adapters/postgres/db.ts';
import { openDatabase } from '../../src/adapters/postgres/db.ts';
import { postgresInboundCommands } from '../../src/adapters/postgres/inbound-commands.ts';
import { prune } from '../../src/adapters/postgres/retention.ts';
import { postgresSlackPrincipals } from '../../src/adapters/postgres/slack-principals.ts';
import { postgresTokenStore } from '../../src/adapters/postgres/tokens.ts';
import type { InboundCommands, SlackPrincipals, TokenStore } from '../../src/app/ports.ts';
import type { FreshDatabase } from '../support/postgres.ts';
import { freshDatabase, silent } from '../support/postgres.ts';

let fresh: FreshDatabase;
let db: Database;
let tokens: TokenStore;
let people: SlackPrincipals;
let inbound: InboundCommands;
let sql: pg.Client;

beforeAll(async () => {
  fresh = await freshDatabase();
  db = openDatabase({ url: fresh.url, log: silent });
  tokens = postgresTokenStore(db);
  people = postgresSlackPrincipals(db);
  inbound = postgresInboundCommands(db);
  sql = new pg.Client({ connectionString: fresh.url });
  await sql.connect();
});
afterAll(async () => {
  await sql.end();
  await db.close();
  await fresh.drop();
});

const withLastSwapped = (token: string): string =>
  token.slice(0, -2) + [...token.slice(-2)].map((c) => (c === 'A' ? 'B' : 'A')).join('');

describe('API tokens', () => {
  test('a new token is who it was made for', async () => {
    const { id, token } = await tokens.create('ci-deployer', 'deployer', null);
    expect(token).toMatch(/^slc_[0-9a-f]{16}_[A-Za-z0-9_-]{43}$/);
    expect(await tokens.authenticate(token)).toEqual({
      id: `token:${id}`,
      name: 'token ci-deployer',
      role: 'deployer',
      persons: [],
      groups: [],
    });
  });

  test('a token says which person uses it, and of which groups they are', async () => {
    const who = { persons: ['ana@example.com', 'ana-gh'], groups: ['payments-oncall'] };
    const { token } = await tokens.create('ana-laptop', 'approver', null, undefined, who);
    expect(await tokens.authenticate(token)).toMatchObject(who);
    expect(await tokens.list()).toContainEqual(expect.objectContaining({ name: 'ana-laptop', ...who }));
  });

  test('a token says where it may change something', async () => {
    const scope = { namespaces: ['shop'], services: null };
    const { token } = await tokens.create('shop', 'deployer', null, undefined, { scope });
    expect(await tokens.authenticate(token)).toMatchObject({ scope });
    expect(await tokens.list()).toContainEqual(expect.objectContaining({ name: 'shop', ...scope }));
  });

  test('a limit that names nothing is no limit that could be meant', async () => {
    const scope = { namespaces: [], services: null };
    await expect(tokens.create('nowhere', 'deployer', null, undefined, { scope })).rejects.toThrow(/scope_named/);
  });

  test('nothing but the very token will do', async () => {
    const { id, token } = await tokens.create('exact', 'viewer', null);
    const other = await tokens.create('other', 'admin', null);
    const secret = token.slice(`slc_${id}_`.length);
    const attempts = [
      '',
      'slc_',
      id,
      secret,
      withLastSwapped(token),
      `${token}A`,
      token.slice(0, -1),
      token.toUpperCase(),
      ` ${token}`,
      `${token}\n`,
      `slc_${other.id}_${secret}`,
      `slc_${'0'.repeat(16)}_${secret}`,
      `slc_${id}_${'A'.repeat(43)}`,
      `slc_${id}' or true--_${secret}`,
    ];
    for (const attempt of attempts) expect(await tokens.authenticate(attempt), JSON.stringify(attempt)).toBeNull();
  });

  test('the database holds no usable token, nor its secret in any form that can be turned back', async () => {
    const { id, token } = await tokens.create('stolen', 'admin', null);
    const secret = token.slice(`slc_${id}_`.length);
    const { rows } = await sql.query('select t::text as dump, hash from api_token t where id = $1', [id]);
    const [{ dump, hash }] = rows as [{ dump: string; hash: Buffer }];
    for (const form of [
      secret,
      Buffer.from(secret, 'base64url').toString('hex'),
      Buffer.from(secret).toString('hex'),
      Buffer.from(secret).toString('base64'),
    ])
      expect(dump).not.toContain(form);
    expect(hash).toHaveLength(32);
    for (const forged of [hash.toString('base64url'), hash.toString('hex'), dump])
      expect(await tokens.authenticate(`slc_${id}_${forged}`)).toBeNull();
  });

  test('two tokens never share anything', async () => {
    const made = await Promise.all(Array.from({ length: 50 }, () => tokens.create('many', 'viewer', null)));
    expect(new Set(made.map(({ id }) => id))).toHaveProperty('size', 50);
    expect(new Set(made.map(({ token }) => token.slice(-43)))).toHaveProperty('size', 50);
  });

  test('an expired token is nobody, from the moment it expires', async () => {
    const { token } = await tokens.create('brief', 'deployer', Date.now() + 400);
    expect(await tokens.authenticate(token)).not.toBeNull();
    await sleep(600);
    expect(await tokens.authenticate(token)).toBeNull();
  });

  test('a revocation counts from the next request on, in every process', async () => {
    const { id, token } = await tokens.create('leaked', 'admin', null);
    const elsewhere = openDatabase({ url: fresh.url, log: silent });
    const other = postgresTokenStore(elsewhere);
    expect(await other.authenticate(token)).not.toBeNull();
    expect(await tokens.revoke(id)).toBe(true);
    expect(await other.authenticate(token)).toBeNull();
    expect(await tokens.authenticate(token)).toBeNull();
    expect(await tokens.revoke(id)).toBe(false);
    expect(await tokens.revoke('nobody')).toBe(false);
    await elsewhere.close();
  });

  test('its use is noted, at most once a minute', async () => {
    const { id, token } = await tokens.create('busy', 'viewer', null);
    const used = async () => (await tokens.list()).find((listed) => listed.id === id)?.lastUsedAt;
    expect(await used()).toBeNull();
    await tokens.authenticate(withLastSwapped(token));
    expect(await used()).toBeNull();
    await tokens.authenticate(token);
    const first = await used();
    expect(first).toBeTypeOf('number');
    await tokens.authenticate(token);
    expect(await used()).toBe(first);
    await sql.query("update api_token set last_used_at = now() - interval '61 seconds' where id = $1", [id]);
    await tokens.authenticate(token);
    expect(await used()).toBeGreaterThanOrEqual(first ?? 0);
  });

  test('the list tells everything but the secret', async () => {
    const expiresAt = Date.now() + 86_400_000;
    const { id } = await tokens.create('listed', 'approver', expiresAt);
    await tokens.revoke(id);
    const listed = (await tokens.list()).find((token) => token.id === id);
    expect(listed).toEqual({
      id,
      name: 'listed',
      role: 'approver',
      persons: [],
      groups: [],
      namespaces: null,
      services: null,
      createdAt: expect.any(Number),
      expiresAt,
      revokedAt: expect.any(Number),
      lastUsedAt: null,
    });
  });

  test('a role that does not exist is refused by the database as well', async () => {
    await expect(tokens.create('odd', 'root' as 'admin', null)).rejects.toMatchObject({
      constraint: 'api_token_role_known',
    });
  });
});

describe('people of Slack', () => {
  test('nobody by default; mapped, remapped, unmapped', async () => {
    expect(await people.find('T1', 'U1')).toBeNull();
    const ana = { id: 'slack:T1:U1', name: 'slack U1 (ana)', role: 'approver', persons: ['slack:U1'], groups: [] };
    expect(await people.map('T1', 'U1', 'ana', 'approver')).toEqual(ana);
    expect(await people.find('T1', 'U1')).toEqual(ana);
    const who = { persons: ['ana@example.com'], groups: ['payments-oncall'] };
    await people.map('T1', 'U1', 'ana', 'viewer', undefined, who);
    expect(await people.find('T1', 'U1')).toMatchObject({
      role: 'viewer',
      persons: ['ana@example.com', 'slack:U1'],
      groups: ['payments-oncall'],
    });
    expect(await people.unmap('T1', 'U1')).toBe(true);
    expect(await people.unmap('T1', 'U1')).toBe(false);
    expect(await people.find('T1', 'U1')).toBeNull();
  });

  test('the same user id in another workspace is somebody else', async () => {
    await people.map('T1', 'U2', 'bob', 'admin');
    expect(await people.find('T2', 'U2')).toBeNull();
  });
});

describe('commands that came in', () => {
  test('a repeat of an id is dropped, also after it was done', async () => {
    expect(await inbound.accept('click-1', 'promote', { rollout: 'r1' })).toBe(true);
    expect(await inbound.accept('click-1', 'abort', { rollout: 'r2' })).toBe(false);
    expect(await inbound.claim(10, 60_000)).toEqual([
      {
        id: 'click-1',
        kind: 'promote',
        payload: { rollout: 'r1' },
        acceptedAt: expect.any(Number),
        age: expect.any(Number),
        attempts: 0,
      },
    ]);
    await inbound.done('click-1');
    expect(await inbound.accept('click-1', 'promote', {})).toBe(false);
  });

  test('of many equal ones at once exactly one is accepted', async () => {
    const accepted = await Promise.all(Array.from({ length: 10 }, () => inbound.accept('click-2', 'promote', {})));
    expect(accepted.filter((first) => first)).toHaveLength(1);
    await inbound.done('click-2');
  });

  test('come oldest first, to one worker at a time, and again after the lease', async () => {
    for (const id of ['a', 'b', 'c']) await inbound.accept(id, 'pause', { id });
    const [first, second] = await Promise.all([inbound.claim(2, 100), inbound.claim(2, 100)]);
    expect([...first, ...second].map(({ id }) => id).sort()).toEqual(['a', 'b', 'c']);
    expect(await inbound.claim(10, 100)).toEqual([]);
    await sleep(150);
    expect((await inbound.claim(10, 60_000)).map(({ id, attempts }) => [id, attempts])).toEqual([
      ['a', 1],
      ['b', 1],
      ['c', 1],
    ]);
    for (const id of ['a', 'b', 'c']) await inbound.done(id);
  });

  test('postponed comes back after its delay; its age counts from when it came in', async () => {
    await inbound.accept('slow', 'pause', 'text payload \u0000');
    await inbound.claim(10, 60_000);
    await inbound.postpone('slow', 120, 'Postgres was away');
    expect(await inbound.claim(10, 60_000)).toEqual([]);
    await sleep(200);
    const [again] = await inbound.claim(10, 60_000);
    expect(again).toMatchObject({ id: 'slow', attempts: 1, payload: 'text payload \ufffd' });
    expect(again?.age).toBeGreaterThanOrEqual(200);
    await inbound.done('slow');
  });

  test('an id is remembered for at least a day after it was done, then forgotten', async () => {
    await inbound.accept('old', 'pause', {});
    await inbound.done('old');
    await sql.query("update inbound_command set done_at = now() - interval '23 hours' where id = 'old'");
    await prune(db, Date.now(), 10);
    expect(await inbound.accept('old', 'pause', {})).toBe(false);
    await sql.query("update inbound_command set done_at = now() - interval '25 hours' where id = 'old'");
    await prune(db, Date.now(), 10);
    expect(await inbound.accept('old', 'pause', {})).toBe(true);
  });
});
