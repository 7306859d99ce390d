/** The store in memory, which the simulation uses, answers as the one on Postgres (test/postgres/store.test.ts). */
import { memoryStore } from '../support/memory-store.ts';
import { storeContract } from './store.cases.ts';

storeContract('in memory', async () => ({ store: memoryStore(() => Date.now()), close: async () => undefined }));
