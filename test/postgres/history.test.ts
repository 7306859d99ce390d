/** What only a database can promise: history that cannot be rewritten, rows of other versions, text that it would refuse. */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../../src/adapters/postgres/db.ts';
import { openDatabase } from '../../src/adapters/postgres/db.ts';
import type { PostgresRolloutStore } from '../../src/adapters/postgres/rollout-store.ts';
import { postgresRolloutStore } from '../../src/adapters/postgres/rollout-store.ts';
import { using, wanted } from '../contract/store.cases.ts';
import { aPlan, measured } from '../support/builders.ts';
import { aLedger, anEvidenceSetup, counted } from '../support/evidence.ts';
import type { FreshDatabase } from '../support/postgres.ts';
import { freshDatabase, silent } from '../support/postgres.ts';

let fresh: FreshDatabase;
let db: Database;
let store: PostgresRolloutStore;
let use: ReturnType<typeof using>;
/** Any SQL, as somebody with a console. */
let sql: pg.Client;

beforeAll(async () => {
  fresh = await freshDatabase();
  db = openDatabase({ url: fresh.url, log: silent });
  store = postgresRolloutStore(db, { channels: ['slack'], log: silent });
  use = using(store);
  sql = new pg.Client({ connectionString: fresh.url });
  await sql.connect();
});
afterAll(async () => {
  await sql.end();
  await store.close();
  await db.close();
  await fresh.drop();
});

/** A rollout with one row in each table of the history. */
async function withHistory() {
  const rollout = await use.created({ evidence: anEvidenceSetup() });
  const evidence = counted(aLedger(), rollout.createdAt);
  await use.move(rollout.id, {}, { measurements: [measured('pass')], evidence });
  await store.recordWrite(rollout.id, {
    at: 1,
    object: 'o',
    generation: 1,
    canaryWeight: 5,
    before: 0,
    result: 'applied',
    message: '',
    tookMs: 1,
    traceId: null,
  });
  return rollout;
}

describe('the history is append-only', () => {
  const tables = ['fact', 'measurement', 'mesh_write', 'evidence_block'];

  test.each(tables)('%s refuses update, delete and truncate', async (table) => {
    const { id } = await withHistory();
    const before = await sql.query(`select * from ${table} where rollout_id = $1`, [id]);
    expect(before.rows).not.toHaveLength(0);
    for (const attempt of [
      `update ${table} set at = now()`,
      `delete from ${table}`,
      `truncate ${table}`,
      `truncate ${table} cascade`,
    ])
      await expect(sql.query(attempt), attempt).rejects.toMatchObject({
        message: expect.stringContaining(`${table} is append-only`),
        code: '23000',
      });
    const after = await sql.query(`select * from ${table} where rollout_id = $1`, [id]);
    expect(after.rows).toEqual(before.rows);
  });

  test('not even the retention may update or truncate it', async () => {
    await withHistory();
    await sql.query('begin');
    await sql.query("set local sluice.pruning = 'on'");
    await expect(sql.query('truncate fact')).rejects.toThrow('append-only');
    await sql.query('rollback');
  });

  test('the right to prune ends with the transaction of the retention', async () => {
    const old = await withHistory();
    await use.end(old.id, 1_000);
    expect(await store.prune(2_000, 10)).toBe(1);
    const { rows } = await sql.query('select * from fact where rollout_id = $1', [old.id]);
    expect(rows).toEqual([]);
    // The pool has few connections: each is asked, the one that pruned among them.
    const tries = Array.from({ length: 10 }, () =>
      db.rows({ text: 'delete from fact', values: [] }).then(
        () => 'deleted',
        () => 'refused',
      ),
    );
    expect(new Set(await Promise.all(tries))).toEqual(new Set(['refused']));
  });
});

describe('the schema guards the aggregate', () => {
  test('two live rollouts of one target cannot exist, whatever the program does', async () => {
    const rollout = await use.created();
    const twin = (targetKey: string, objectKey: string): string =>
      `insert into rollout select 'twin', epoch + 1000000, ${targetKey}, cluster, namespace, service, mesh, plan, source, created_at, created_by,
      version, commit_id, generation, status, state, behind, next_tick_at, claimed_until, ended_at, ${objectKey} from rollout where id = $1`;
    for (const [sqlText, constraint] of [
      [twin('target_key', "'another'"), 'rollout_live_target'],
      [twin("'another'", 'object_key'), 'rollout_live_object'],
    ] as const)
      await expect(sql.query(sqlText, [rollout.id])).rejects.toMatchObject({ code: '23505', constraint });
  });

  test('an ended rollout has an end, a live one has none, and an unknown status is refused', async () => {
    const { id } = await use.created();
    await expect(sql.query("update rollout set status = 'succeeded' where id = $1", [id])).rejects.toMatchObject({
      constraint: 'rollout_ends_once',
    });
    await expect(
      sql.query("update rollout set status = 'done', ended_at = now() where id = $1", [id]),
    ).rejects.toMatchObject({ code: '23514' });
  });

  test('a status column always says what the phase says', async () => {
    const { id } = await use.created();
    await use.move(id, { phase: { name: 'progressing', step: 0, reachedAt: null, from: 0, go: null } });
    await use.end(id);
    const { rows } = await sql.query(
      "select status, ended_at is not null as ended, state -> 'phase' ->> 'status' as phase, next_tick_at from rollout where id = $1",
      [id],
    );
    expect(rows).toEqual([{ status: 'succeeded', ended: true, phase: 'succeeded', next_tick_at: null }]);
  });
});

describe('rows of another version of the program', () => {
  test('a row that lacks what was added since is read with its default', async () => {
    const { id } = await use.created();
    await sql.query("update rollout set state = state - 'reasserts' - 'unreadySince' - 'tallies' where id = $1", [id]);
    expect(await use.loaded(id)).toMatchObject({ rollout: { reasserts: 0, unreadySince: null, tallies: {} } });
  });

  test('what a newer version added to a row survives a commit of this one', async () => {
    const { id } = await use.created();
    await sql.query(
      `update rollout set state = state || '{"inventedLater": {"by": "the next version"}}' where id = $1`,
      [id],
    );
    await use.move(id, { attempts: 1 });
    const { rows } = await sql.query(
      "select state -> 'inventedLater' as kept, state -> 'attempts' as attempts from rollout where id = $1",
      [id],
    );
    expect(rows).toEqual([{ kept: { by: 'the next version' }, attempts: 1 }]);
  });

  test('a plan with fields that this version does not know is kept as it was stored', async () => {
    const plan = { ...aPlan(), rehearsal: { fault: 'delay' } };
    const request = wanted();
    const { id } = await use.created({ ...request, plan: { ...plan, target: request.plan.target } });
    const other = postgresRolloutStore(db, { channels: [], log: silent });
    expect((await other.load(id))?.rollout.plan).toMatchObject({ rehearsal: { fault: 'delay' } });
    await other.close();
  });

  test('the plan as it was sent keeps the order of its keys', async () => {
    const source = { zeta: 1, alpha: [{ weight: 5, hold: '2m' }], steps: { b: null, a: 'ü\u0000\ud800' } };
    const { id } = await use.created({ source });
    expect(JSON.stringify(await store.source(id))).toBe(JSON.stringify(source));
  });
});

describe('text that Postgres refuses', () => {
  test.each([
    ['NUL', 'a\u0000b'],
    ['a lone surrogate', 'a\ud800b'],
    ['an escaped backslash before u0000', 'a\\u0000b'],
  ])('%s in what a third party said does not stop the commit', async (_, text) => {
    const { id } = await use.created();
    const { rollout, now } = await use.loaded(id);
    const trouble = { on: 'write' as const, since: now, code: 'rejected', message: text };
    const facts = [
      { seq: 2, at: now, type: 'mesh_trouble' as const, actor: text, step: 0, message: text, data: { [text]: text } },
    ];
    expect(
      await use.move(
        id,
        { meshTrouble: trouble },
        {
          facts,
          measurements: [
            measured('error', { reason: text, canary: { ok: false, code: 'malformed', message: text, query: text } }),
          ],
        },
      ),
    ).toBe(true);
    await store.recordWrite(id, {
      at: now,
      object: 'o',
      generation: 1,
      canaryWeight: 5,
      before: null,
      result: 'trouble',
      message: text,
      tookMs: 1,
      traceId: null,
    });
    const [, said] = await store.facts(id, 0, 10);
    expect(said?.message).toBe(text.replace('\u0000', '\ufffd').toWellFormed());
    expect((await use.loaded(id)).rollout.version).toBe(rollout.version + 1);
  });
});

test('an epoch beyond what can be counted is refused, and the sequence is not spoilt by it', async () => {
  await expect(store.start(wanted({ epochAbove: 2 ** 53 }), 'nobody')).rejects.toThrow(
    /epoch 9007199254740992, wanted less than 2\^52/,
  );
  await expect(store.start(wanted({ epochAbove: Number.NaN }), 'nobody')).rejects.toThrow(/epoch NaN/);
  expect((await use.created()).epoch).toBeLessThan(2 ** 52);
});

test('many jumps of the epoch at once give each rollout one of its own', async () => {
  const rollouts = await Promise.all(
    Array.from({ length: 20 }, (_, n) => use.created({ epochAbove: 500_000 + (n % 3) * 10 })),
  );
  expect(new Set(rollouts.map(({ epoch }) => epoch))).toHaveProperty('size', 20);
  expect(Math.min(...rollouts.map(({ epoch }) => epoch))).toBeGreaterThan(500_000);
});

test('a cursor that this list did not give is named as such', async () => {
  const { id } = await use.created();
  await expect(store.list({}, 10, 'nonsense')).rejects.toThrow(/the cursor "nonsense" is not one/);
  await expect(store.measurements(id, 10, '-1')).rejects.toThrow(/the cursor "-1"/);
  await expect(store.writes(id, 10, "1'; drop table fact")).rejects.toThrow(/the cursor/);
});

test('a version that does not follow the one before is a bug, and is told', async () => {
  const { id } = await use.created();
  const { rollout, now } = await use.loaded(id);
  const change = { previous: rollout, facts: [], measurements: [], evidence: null, at: now, nextTickAt: now };
  await expect(store.commit({ ...change, next: rollout })).rejects.toThrow(
    'version 1 must be followed by the next one, not by 1',
  );
});
