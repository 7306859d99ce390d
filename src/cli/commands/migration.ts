/** `sluice migration ...`: mTLS from PERMISSIVE to STRICT. */
import type { CommandModule } from '../command.ts';
import { MIGRATIONS } from '../kinds/migrations.ts';
import * as listing from '../listing.ts';
import * as looking from '../looking.ts';
import { migrationRows } from '../show/migration.ts';
import * as starting from '../starting.ts';
import * as telling from '../telling.ts';
import type { MigrationSummary } from '../wire/api.ts';
import { history as historyOf } from './history-of.ts';

const LIVE = ['pending', 'guarding', 'paused', 'strict', 'rolling_back'];

export const run: CommandModule = { run: (call) => starting.run(call, MIGRATIONS) };
export const get: CommandModule = { run: (call) => looking.get(call, MIGRATIONS) };
export const wait: CommandModule = { run: (call) => looking.wait(call, MIGRATIONS) };
export const history: CommandModule = { run: (call) => historyOf(call, MIGRATIONS) };
export const abort: CommandModule = { run: (call) => telling.abort(call, MIGRATIONS) };
export const list: CommandModule = {
  run: (call) =>
    listing.list<MigrationSummary>(call, {
      collection: 'mesh-migrations',
      plural: 'migrations',
      query: listing.queryOf(call, { live: LIVE, filters: ['cluster', 'namespace'] }),
      rows: migrationRows,
    }),
};
