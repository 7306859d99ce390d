/** Texts of queries are stored once per rollout, and every measurement still shows its own. */
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Database } from '../../src/adapters/postgres/db.ts';
import { openDatabase } from '../../src/adapters/postgres/db.ts';
import { queryId, queryTexts } from '../../src/adapters/postgres/query-texts.ts';
import type { PostgresRolloutStore } from '../../src/adapters/postgres/rollout-store.ts';
import { postgresRolloutStore } from '../../src/adapters/postgres/rollout-store.ts';
import type { Measurement } from '../../src/domain/observation.ts';
import { using } from '../contract/store.cases.ts';
import { measured } from '../support/builders.ts';
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
  store = postgresRolloutStore(db, { channels: [], log: silent });
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

const asked = (canary: string, stable: string | null): Measurement => ({
  ...measured('pass'),
  canary: { ok: true, value: 0, samples: 100, query: canary },
  stable: stable === null ? null : { ok: true, value: 0, samples: 100, query: stable },
});

const textsOf = async (id: string): Promise<readonly string[]> =>
  (await sql.query<{ text: string }>('select text from query_text where rollout_id = $1 order by text', [id])).rows.map(
    ({ text }) => text,
  );

const shown = async (id: string) =>
  (await store.measurements(id, 50, null)).items.map(({ query, stableQuery }) => [query, stableQuery]);

test('a text that comes again and again is stored once, and each measurement shows it', async () => {
  const { id } = await use.created();
  for (let n = 0; n < 3; n += 1)
    await use.move(id, {}, { measurements: [asked('up{v="2"}', 'up{v="1"}'), asked('up{v="2"}', null)] });
  expect(await textsOf(id)).toEqual(['up{v="1"}', 'up{v="2"}']);
  expect(await shown(id)).toEqual(
    Array.from({ length: 3 }, () => [
      ['up{v="2"}', 'up{v="1"}'],
      ['up{v="2"}', null],
    ]).flat(),
  );
});

test('texts of a change that somebody else overtook are sent again with the next one', async () => {
  const { id } = await use.created();
  const { rollout, now } = await use.loaded(id);
  await use.move(id, {});
  const stale = {
    previous: rollout,
    facts: [],
    evidence: null,
    at: now,
    nextTickAt: null,
    measurements: [asked('late', null)],
  };
  expect(await store.commit({ ...stale, next: { ...rollout, version: rollout.version + 1 } })).toBe(false);
  expect(await textsOf(id)).toEqual([]);
  await use.move(id, {}, { measurements: [asked('late', null)] });
  expect(await shown(id)).toEqual([['late', null]]);
});

test('two processes that know nothing of each other store one text once', async () => {
  const { id } = await use.created();
  await use.move(id, {}, { measurements: [asked('shared', null)] });
  const other = postgresRolloutStore(db, { channels: [], log: silent });
  await using(other).move(id, {}, { measurements: [asked('shared', null)] });
  await other.close();
  expect(await textsOf(id)).toEqual(['shared']);
  expect(await shown(id)).toEqual([
    ['shared', null],
    ['shared', null],
  ]);
});

test('a text that Postgres would refuse is stored as what it can hold', async () => {
  const { id } = await use.created();
  await use.move(id, {}, { measurements: [asked('a\0b', null)] });
  expect(await shown(id)).toEqual([['a�b', null]]);
});

test('a measurement from before the texts were kept apart shows its own', async () => {
  const { id } = await use.created();
  await sql.query(
    `insert into measurement (rollout_id, at, step, check_name, verdict, code, reason, window_ms, query, stable_query)
     values ($1, now(), 0, 'errors', 'pass', 'within', '', 1000, 'old canary', 'old stable')`,
    [id],
  );
  expect(await shown(id)).toEqual([['old canary', 'old stable']]);
});

test('texts are append-only, and go with their rollout', async () => {
  const { id } = await use.created();
  await use.move(id, {}, { measurements: [asked('kept', null)] });
  for (const attempt of ["update query_text set text = ''", 'delete from query_text', 'truncate query_text'])
    await expect(sql.query(attempt), attempt).rejects.toMatchObject({
      message: expect.stringContaining('query_text is append-only'),
    });
  await use.end(id, 1_000);
  expect(await store.prune(2_000, 10)).toBe(1);
  expect(await textsOf(id)).toEqual([]);
});

test('only so many rollouts are remembered: of a forgotten one the texts are sent again', () => {
  const texts = queryTexts(2);
  const one = [asked('up', null)];
  for (const id of ['a', 'b', 'c']) texts.stored(id, texts.unknown(id, one));
  expect(texts.unknown('c', one)).toEqual([]);
  expect(texts.unknown('a', one)).toEqual([{ id: queryId('up'), text: 'up' }]);
});
