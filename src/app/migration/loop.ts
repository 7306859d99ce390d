/** The worker's loop over migrations: due rows come from Postgres itself. There are few, and seconds do not matter. */
import type { Instant, Millis } from '../../domain/plan.ts';
import type { Logger } from '../ports.ts';
import { type Repeating, repeat } from '../repeat.ts';
import type { MigrationStore } from './ports.ts';

export interface LoopPorts {
  readonly store: Pick<MigrationStore, 'due' | 'prune'>;
  readonly tick: (id: string) => Promise<void>;
  readonly log: Logger;
  /** How long ended migrations are kept; null: for ever. */
  readonly retention: Millis | null;
  readonly now: () => Instant;
}

const REST: Millis = 500;
/** Longer than a tick. A worker that dies in one delays its migration by this. */
const CLAIM: Millis = 20_000;
const LIMIT = 20;
const PRUNE_EVERY: Millis = 3_600_000;
const PRUNE_LIMIT = 500;

export function migrationLoops({ store, tick, log, retention, now }: LoopPorts): readonly (() => Repeating)[] {
  const pass = async (): Promise<Millis> => {
    const ids = await store.due(CLAIM, LIMIT);
    await Promise.all(
      ids.map(async (id) => {
        try {
          await tick(id);
        } catch (error) {
          log.error({ migrationId: id, err: error }, 'a tick of a migration failed; it is looked at again');
        }
      }),
    );
    return ids.length === LIMIT ? 0 : REST;
  };
  const prune = async (): Promise<Millis> => {
    const deleted = retention === null ? 0 : await store.prune(now() - retention, PRUNE_LIMIT);
    return deleted === PRUNE_LIMIT ? REST : PRUNE_EVERY;
  };
  return [
    () => repeat('migrations', pass, log),
    ...(retention === null ? [] : [() => repeat('retention of migrations', prune, log)]),
  ];
}
