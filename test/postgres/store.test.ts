/** The store contract on a real Postgres: a database for the file, emptied between the cases. */
import { afterAll, beforeAll } from 'vitest';
import type { Database } from '../../src/adapters/postgres/db.ts';
import { openDatabase } from '../../src/adapters/postgres/db.ts';
import { postgresRolloutStore } from '../../src/adapters/postgres/rollout-store.ts';
import { storeContract } from '../contract/store.cases.ts';
import type { FreshDatabase } from '../support/postgres.ts';
import { emptied, freshDatabase, silent } from '../support/postgres.ts';

let fresh: FreshDatabase;
let db: Database;
beforeAll(async () => {
  fresh = await freshDatabase();
  db = openDatabase({ url: fresh.url, log: silent });
});
afterAll(async () => {
  await db.close();
  await fresh.drop();
});

storeContract('the store on Postgres', async () => {
  await emptied(fresh.url);
  const store = postgresRolloutStore(db, { channels: [], log: silent });
  return { store, close: store.close };
});
