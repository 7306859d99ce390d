/** The audit on a real Postgres: no act without its row, no row without its act, one chain, and two roles. */
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { append, ownsAudit, postgresAudit } from '../../src/adapters/postgres/audit.ts';
import type { Database } from '../../src/adapters/postgres/db.ts';
import { openDatabase } from '../../src/adapters/postgres/db.ts';
import { postgresFleetStore } from '../../src/adapters/postgres/fleet-store.ts';
import { migrate } from '../../src/adapters/postgres/migrate.ts';
import { prune } from '../../src/adapters/postgres/retention.ts';
import { postgresRolloutStore } from '../../src/adapters/postgres/rollout-store.ts';
import { postgresSlackPrincipals } from '../../src/adapters/postgres/slack-principals.ts';
import { postgresTokenStore } from '../../src/adapters/postgres/tokens.ts';
import type { AuditEntry, Doer } from '../../src/app/audit/act.ts';
import { done, refused } from '../../src/app/audit/act.ts';
import type { AuditRow, Broken, Head } from '../../src/app/audit/chain.ts';
import { BEFORE_ALL, bytesOf, follow, isBroken } from '../../src/app/audit/chain.ts';
import type { AuditLog } from '../../src/app/audit/log.ts';
import { command } from '../../src/app/commands.ts';
import type { TickQueue } from '../../src/app/ports.ts';
import { using, wanted } from '../contract/store.cases.ts';
import { chained } from '../support/audit.ts';
import type { FreshDatabase } from '../support/postgres.ts';
import { emptied, freshDatabase, silent } from '../support/postgres.ts';

let fresh: FreshDatabase;
let db: Database;
let audit: AuditLog;
let store: ReturnType<typeof postgresRolloutStore>;
let owner: pg.Client;

const queue: TickQueue = {
  wake: async () => undefined,
  depth: async () => ({ waiting: 0, delayed: 0, active: 0 }),
  ping: async () => null,
};

beforeAll(async () => {
  fresh = await freshDatabase();
  db = openDatabase({ url: fresh.url, log: silent });
  audit = postgresAudit(db);
  store = postgresRolloutStore(db, { channels: [], log: silent });
  owner = new pg.Client({ connectionString: fresh.url });
  await owner.connect();
});
afterAll(async () => {
  await owner?.end();
  await store?.close();
  await db?.close();
  await fresh?.drop();
});
beforeEach(() => emptied(fresh.url));

const ANA: Doer = {
  id: 'token:ana',
  name: 'token ana',
  origin: { via: 'cli', address: '127.0.0.1', userAgent: 'sluice-cli/0.1.0', requestId: 'req-1' },
};
const noted = (id: string): AuditEntry => refused(ANA, { action: 'rollout.abort', id, code: 'forbidden' });
const rows = async (): Promise<readonly AuditRow[]> => (await audit.list({}, 'oldest', 1000, null)).items;

/** As `sluice audit verify` walks. */
function verified(all: readonly AuditRow[]): Head | Broken {
  let head = BEFORE_ALL;
  for (const row of all) {
    const next = follow(head, row);
    if (isBroken(next)) return next;
    head = next;
  }
  return head;
}

const pauses = (id: string, by: Doer = ANA, reason = 'lunch') =>
  command({ store, queue, audit, log: silent }, { id, command: { name: 'pause', reason }, by });

/** A rollout that can be paused. */
async function progressing(): Promise<string> {
  const use = using(store);
  const { id } = await use.created();
  await use.move(id, { generation: 1, phase: { name: 'progressing', step: 0, reachedAt: 1, from: null, go: null } });
  return id;
}

describe('an act and its row', () => {
  it('of a command are written together, with who, how, from where, what and why', async () => {
    const id = await progressing();
    expect((await pauses(id)).kind).toBe('done');
    expect((await rows()).at(-1)).toMatchObject({
      actorId: 'token:ana',
      actor: 'token ana',
      via: 'cli',
      address: '127.0.0.1',
      userAgent: 'sluice-cli/0.1.0',
      action: 'rollout.pause',
      objectKind: 'rollout',
      objectId: id,
      reason: 'lunch',
      requestId: 'req-1',
      outcome: 'done',
      code: null,
    });
  });

  it('of a tick is none', async () => {
    await progressing();
    expect(await rows()).toHaveLength(1);
  });

  it('of a command that lost its race is none, and of the one that won is one', async () => {
    const id = await progressing();
    const { rollout, now } = await using(store).loaded(id);
    const next = { ...rollout, version: rollout.version + 1 };
    const act = done(ANA, { action: 'rollout.resume', id });
    const change = {
      previous: rollout,
      next,
      facts: [],
      measurements: [],
      evidence: null,
      at: now,
      nextTickAt: now,
      act,
    };
    expect([await store.commit(change), await store.commit(change)]).toEqual([true, false]);
    expect((await rows()).filter(({ action }) => action === 'rollout.resume')).toHaveLength(1);
  });

  it.each(['commit', 'start', 'fleet', 'token', 'mapping'] as const)(
    'are both undone where the row cannot be written: %s',
    async (what) => {
      const id = await progressing();
      const before = await using(store).loaded(id);
      const all = await rows();
      // No row of this action passes the table's own check.
      const act = { ...done(ANA, { action: 'rollout.pause', id }), action: 'Not An Action' as 'rollout.pause' };
      const next = { ...before.rollout, version: before.rollout.version + 1 };
      const { rollout: previous, now: at } = before;
      const by = { doer: ANA, reason: 'x'.repeat(10) };
      await owner.query("alter table audit add constraint shut check (action !~ '^(token|slack)') not valid");
      const fleet = {
        id: 'fr_never',
        spec: { plan: {}, waves: [], onFailure: 'all' },
        createdBy: 'ana',
        act,
        idempotency: null,
      } as const;
      const tries = {
        commit: () =>
          store.commit({ previous, next, facts: [], measurements: [], evidence: null, at, nextTickAt: at, act }),
        start: () => store.start(wanted({ id: 'ro_never', act }), 'nobody'),
        fleet: () => postgresFleetStore(db).create(fleet),
        token: () => postgresTokenStore(db).create('never', 'viewer', null, by),
        mapping: () => postgresSlackPrincipals(db).map('T1', 'U1', 'never', 'admin', by),
      };
      await expect(tries[what]()).rejects.toMatchObject({ code: '23514' });
      await owner.query('alter table audit drop constraint shut');
      expect(await rows()).toEqual(all);
      expect((await using(store).loaded(id)).rollout).toEqual(before.rollout);
      const there = await owner.query(
        `select (select count(*) from rollout where id = 'ro_never') + (select count(*) from fleet_rollout)
          + (select count(*) from api_token) + (select count(*) from slack_principal) as n`,
      );
      expect(there.rows).toEqual([{ n: '0' }]);
    },
  );

  it('are both undone by a crash between them, and leave no hole in the numbers', async () => {
    const died = db.transaction(async (tx) => {
      await append(tx, noted('r1'));
      throw new Error('the process dies here');
    });
    await expect(died).rejects.toThrow('dies here');
    await audit.note(noted('r2'));
    expect((await rows()).map(({ seq, objectId }) => [seq, objectId])).toEqual([[1, 'r2']]);
  });

  it('of tokens and of people of Slack are written with them, and no secret in them', async () => {
    const tokens = postgresTokenStore(db);
    const { id, token } = await tokens.create('ci', 'deployer', null, { doer: ANA, reason: `for ${'x'}` });
    expect([await tokens.revoke(id, { doer: ANA, reason: 'leaked' }), await tokens.revoke(id)]).toEqual([true, false]);
    const people = postgresSlackPrincipals(db);
    await people.map('T1', 'U1', 'ana', 'approver');
    expect([await people.unmap('T1', 'U1'), await people.unmap('T1', 'U1')]).toEqual([true, false]);
    const all = await rows();
    expect(all.map(({ action, objectId, actor, reason }) => [action, objectId, actor, reason])).toEqual([
      ['token.create', id, 'token ana', 'for x'],
      ['token.revoke', id, 'token ana', 'leaked'],
      ['slack.map', 'T1:U1', 'sluice', null],
      ['slack.unmap', 'T1:U1', 'sluice', null],
    ]);
    expect(JSON.stringify(all)).not.toContain(token.slice(-43));
  });
});

describe('the chain', () => {
  it('is the same to the database and to whoever computes it again, for every text', async () => {
    const text = fc.option(fc.string({ unit: 'grapheme', maxLength: 40 }));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(text, text, text), { minLength: 1, maxLength: 5 }), async (given) => {
        await emptied(fresh.url);
        for (const [name, reason, id] of given)
          await audit.note(done({ ...ANA, name: name ?? '' }, { action: 'rollout.pause', id, reason }));
        const all = await rows();
        expect(verified(all)).toEqual({ seq: given.length, hash: all.at(-1)?.hash });
        const bytes = await owner.query<{ text: string }>(
          "select convert_from(audit_bytes(audit), 'UTF8') as text from audit order by seq",
        );
        expect(bytes.rows.map((row) => row.text)).toEqual(all.map(bytesOf));
      }),
      { numRuns: 25 },
    );
  });

  it('is unbroken after 50 acts at once, of which each has one row', async () => {
    const ids = await Promise.all(Array.from({ length: 20 }, progressing));
    const before = (await rows()).length;
    const acts = [
      ...ids.map((id) => () => pauses(id)),
      ...Array.from({ length: 15 }, () => () => store.start(wanted(), 'nobody')),
      ...Array.from({ length: 15 }, (_, i) => () => audit.note(noted(`n${i}`))),
    ];
    await Promise.all(acts.map((act) => act()));
    const all = await rows();
    expect(all).toHaveLength(before + 50);
    expect(verified(all)).toMatchObject({ seq: before + 50 });
    const paused = all.filter(({ action }) => action === 'rollout.pause').map(({ objectId }) => objectId);
    expect(paused.toSorted()).toEqual(ids.toSorted());
  });

  it('is unbroken where several processes write, and some of them change their mind', async () => {
    const others = Array.from({ length: 4 }, () => openDatabase({ url: fresh.url, log: silent, maxConnections: 3 }));
    await Promise.all(
      others.flatMap((other, process) =>
        Array.from({ length: 10 }, (_, i) =>
          other
            .transaction(async (tx) => {
              await append(tx, noted(`${process}-${i}`));
              if (i % 3 === 0) throw new Error('changed its mind');
            })
            .catch((error: Error) => expect(error.message).toBe('changed its mind')),
        ),
      ),
    );
    await Promise.all(others.map((other) => other.close()));
    const all = await rows();
    expect(all).toHaveLength(4 * 6);
    expect(verified(all)).toMatchObject({ seq: 24 });
  });

  it('is not shortened by the retention', async () => {
    const { id } = await using(store).created();
    await using(store).end(id, 5);
    expect(await prune(db, Date.now(), 10)).toBe(1);
    expect(await rows()).toHaveLength(1);
  });

  it('is read page by page, from both ends, by actor, action, object and time', async () => {
    for (let i = 0; i < 5; i += 1) await audit.note(noted(`r${i}`));
    await audit.note(
      done({ ...ANA, id: 'token:bob', name: 'token bob' }, { action: 'rollout.retry', id: 'r1', made: 'r9' }),
    );
    const seqs = async (...given: Parameters<AuditLog['list']>) => {
      const page = await audit.list(...given);
      return [page.items.map(({ seq }) => seq), page.nextCursor];
    };
    expect(await seqs({}, 'newest', 4, null)).toEqual([[6, 5, 4, 3], '3']);
    expect(await seqs({}, 'newest', 4, '3')).toEqual([[2, 1], null]);
    expect(await seqs({}, 'oldest', 4, '4')).toEqual([[5, 6], null]);
    expect(await seqs({ actor: 'token bob' }, 'newest', 9, null)).toEqual([[6], null]);
    expect(await seqs({ actor: 'token:ana' }, 'newest', 9, null)).toEqual([[5, 4, 3, 2, 1], null]);
    expect(await seqs({ action: 'rollout.retry' }, 'newest', 9, null)).toEqual([[6], null]);
    expect(await seqs({ object: 'r1' }, 'newest', 9, null)).toEqual([[6, 2], null]);
    expect(await seqs({ object: 'r9' }, 'newest', 9, null)).toEqual([[6], null]);
    const third = (await rows())[2] as AuditRow;
    expect(await seqs({ since: third.at + 60_000 }, 'newest', 9, null)).toEqual([[], null]);
    expect((await seqs({ since: third.at }, 'oldest', 9, null))[0]).toEqual(expect.arrayContaining([3, 4, 5, 6]));
    await expect(audit.list({}, 'newest', 1, "1' or true")).rejects.toThrow('cursor');
  });
});

describe('nobody changes what was written', () => {
  const CHANGES = [
    "update audit set actor = 'somebody else'",
    'delete from audit',
    'truncate audit',
    'set session_replication_role = replica; delete from audit',
    "begin; set local sluice.pruning = 'on'; delete from audit; commit",
  ];
  it.each(CHANGES)('%s: refused to the owner too, by the trigger', async (statement) => {
    await audit.note(noted('r1'));
    const all = await rows();
    await expect(owner.query(statement)).rejects.toMatchObject({ code: '23000' });
    await owner.query('rollback; reset session_replication_role');
    expect(await rows()).toEqual(all);
  });

  it('a forged row gets the next number, the time and the hash of the database, whatever it says of itself', async () => {
    await audit.note(noted('r1'));
    await owner.query(
      `insert into audit (seq, at, hash, actor_id, actor, via, action, object_kind, outcome)
        values (1, '2020-01-01', decode(repeat('ab', 32), 'hex'), 'x', 'x', 'api', 'rollout.start', 'rollout', 'done')`,
    );
    const all = await rows();
    expect(all.map(({ seq }) => seq)).toEqual([1, 2]);
    expect(all[1]?.at).toBeGreaterThanOrEqual(all[0]?.at ?? Number.POSITIVE_INFINITY);
    expect(verified(all)).toMatchObject({ seq: 2 });
  });

  it.each([
    ['a row that was changed', "update audit set reason = 'other' where seq = 2", 2],
    ['a row that was removed', 'delete from audit where seq = 2', 2],
    [
      'a row that was put in',
      `insert into audit (seq, at, hash, actor_id, actor, via, action, object_kind, outcome)
        values (4, now(), decode(repeat('ab', 32), 'hex'), 'x', 'x', 'api', 'rollout.start', 'rollout', 'done')`,
      4,
    ],
  ])('%s by an administrator who took the triggers away is found', async (_, statement, broken) => {
    for (const id of ['r1', 'r2', 'r3']) await audit.note(noted(id));
    await owner.query('alter table audit disable trigger all');
    await owner.query(statement);
    await owner.query('alter table audit enable trigger audit_is_chained');
    await owner.query('alter table audit enable always trigger audit_is_append_only');
    expect(verified(await rows())).toMatchObject({ broken });
  });
});

describe("the application's own role", () => {
  const role = `sluice app "${randomUUID().slice(0, 8)}"`;
  const quoted = `"${role.replaceAll('"', '""')}"`;
  let url: string;
  let app: pg.Client;

  beforeAll(async () => {
    await owner.query(`create role ${quoted} login password 'app'`);
    const address = new URL(fresh.url);
    address.username = encodeURIComponent(role);
    address.password = 'app';
    url = address.href;
    await migrate(fresh.url, { direction: 'up', application: role, log: () => undefined });
    app = new pg.Client({ connectionString: url });
    await app.connect();
  });
  afterAll(async () => {
    await app?.end();
    await owner.query(`drop owned by ${quoted}; drop role ${quoted}`);
  });

  it('is told from the owner, who is warned of at every start', async () => {
    const [asOwner, asApp] = [openDatabase({ url: fresh.url, log: silent }), openDatabase({ url, log: silent })];
    try {
      expect([await ownsAudit(asOwner), await ownsAudit(asApp)]).toEqual([true, false]);
    } finally {
      await Promise.all([asOwner.close(), asApp.close()]);
    }
  });

  it.each([
    "update audit set actor = 'somebody else'",
    'delete from audit',
    'truncate audit',
    'alter table audit disable trigger audit_is_append_only',
    'alter table audit drop column hash',
    'drop trigger audit_is_append_only on audit',
    'drop trigger audit_is_chained on audit',
    'drop table audit',
    'set session_replication_role = replica',
    "create or replace function audit_is_append_only() returns trigger language plpgsql as 'begin return null; end'",
    'delete from schema_migration',
    'create table elsewhere (a int)',
  ])('may not: %s', async (statement) => {
    await audit.note(noted('r1'));
    await expect(app.query(statement)).rejects.toMatchObject({ code: '42501' });
    expect(await rows()).toHaveLength(1);
  });

  it('may do everything that the service does', async () => {
    const own = openDatabase({ url, log: silent });
    const rollouts = postgresRolloutStore(own, { channels: [], log: silent });
    const use = using(rollouts);
    const { id } = await use.created({ epochAbove: 100_000 });
    await use.move(id, { generation: 1, phase: { name: 'progressing', step: 0, reachedAt: 1, from: null, go: null } });
    const paused = await command(
      { store: rollouts, queue, audit: postgresAudit(own), log: silent },
      { id, command: { name: 'pause', reason: '' }, by: ANA },
    );
    expect(paused.kind).toBe('done');
    const tokens = postgresTokenStore(own);
    const { token, id: made } = await tokens.create('x', 'viewer', null);
    expect(await tokens.authenticate(token)).toMatchObject({ role: 'viewer' });
    await tokens.revoke(made);
    await use.end(id, 5);
    expect(await rollouts.ping()).toBeNull();
    expect(await prune(own, Date.now(), 10)).toBe(1);
    expect(verified(await rows())).toMatchObject({ seq: 4 });
    await rollouts.close();
    await own.close();
  });

  it('cannot lead the chain astray by a table of its own that has the same name', async () => {
    await audit.note(noted('r1'));
    await app.query('create temporary table audit (like public.audit)');
    await app.query(
      `insert into public.audit (actor_id, actor, via, action, object_kind, outcome)
        values ('x', 'x', 'api', 'rollout.start', 'rollout', 'done')`,
    );
    await app.query('drop table pg_temp.audit');
    expect(verified(await rows())).toMatchObject({ seq: 2 });
  });

  it('that forges a row gets it at the end of the chain, under the number and the time of the database', async () => {
    for (const id of ['r1', 'r2']) await audit.note(noted(id));
    const [forged] = chained([done({ id: 'x', name: 'x' }, { action: 'rollout.start', id: 'r' })]);
    await app.query(
      `insert into audit (seq, at, hash, actor_id, actor, via, action, object_kind, outcome)
        values (1, '2020-01-01', decode($1, 'hex'), 'x', 'x', 'api', 'rollout.start', 'rollout', 'done')`,
      [forged?.hash],
    );
    const all = await rows();
    expect(all.map(({ seq, actor }) => [seq, actor])).toEqual([
      [1, 'token ana'],
      [2, 'token ana'],
      [3, 'x'],
    ]);
    expect(all[2]?.at).toBeGreaterThan(Date.UTC(2021, 0));
    expect(verified(all)).toMatchObject({ seq: 3 });
  });
});
