/**
 * Rollouts that are under way: at their first step since ten minutes, weight and stamp in place, next look soon. Written
 * through the store, as the service writes them; only the way there (one patch, one read-back each) is left out.
 */
import { postgresRolloutStore } from '../../src/adapters/postgres/rollout-store.ts';
import { openQueue } from '../../src/adapters/queue.ts';
import { encodeDecision } from '../../src/adapters/routes/decision.ts';
import { decisionOf } from '../../src/app/tick.ts';
import type { Rollout } from '../../src/domain/rollout.ts';
import { openLog } from '../../src/telemetry/log.ts';
import { anAct } from '../../test/support/audit.ts';
import type { SeededService } from '../processes/cluster.ts';
import { type PlanOptions, planFor, serviceName, setupOf, WEIGHT } from '../world.ts';
import type { Stage } from './stage.ts';

const log = openLog({ level: 'warn', secrets: [] });
const AGE = 600_000;
const AT_ONCE = 10;

export interface Seeded {
  readonly id: string;
  readonly service: string;
}

export const idOf = (n: number): string => `ro_bench${String(n).padStart(8, '0')}`;

/** Rollouts number `from` up to, not including, `to`. They sleep until `spread` wakes them. */
export async function seed(stage: Stage, from: number, to: number, options: PlanOptions): Promise<readonly Seeded[]> {
  const store = postgresRolloutStore(stage.db, { channels: [], log });
  const decisions: SeededService[] = [];
  let next = from;
  const some = async (): Promise<void> => {
    for (let n = next++; n < to; n = next++) decisions.push(await underWay(store, n, options));
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, some));
  } finally {
    await store.close();
  }
  await inSlices(decisions, (slice) => stage.cluster.ask('seed', slice));
  return Array.from({ length: Math.max(0, to - from) }, (_, i) => ({
    service: serviceName(from + i),
    id: idOf(from + i),
  }));
}

type Store = ReturnType<typeof postgresRolloutStore>;

async function underWay(store: Store, n: number, options: PlanOptions): Promise<SeededService> {
  const service = serviceName(n);
  const plan = planFor(service, options);
  const started = await store.start(
    {
      id: idOf(n),
      plan,
      source: {},
      createdBy: 'token bench',
      act: anAct(),
      objectKey: service,
      epochAbove: 0,
      observedWeight: 0,
      idempotency: null,
      warnings: [],
      evidence: setupOf(plan),
    },
    'nobody',
  );
  if (started.kind !== 'created') throw new Error(`rollout ${idOf(n)}: wanted a new one, found ${started.kind}`);
  const previous = started.rollout;
  const at = previous.createdAt;
  const rollout: Rollout = {
    ...previous,
    version: previous.version + 1,
    generation: 1,
    phase: { name: 'progressing', step: 0, reachedAt: at - AGE, from: 0, go: null },
    appliedGeneration: 1,
    observedWeight: WEIGHT,
    evaluatedAt: at,
  };
  const written = await store.commit({
    previous,
    next: rollout,
    facts: [],
    measurements: [],
    evidence: null,
    at,
    nextTickAt: null,
  });
  if (!written) throw new Error(`rollout ${rollout.id}: somebody else moved first`);
  return { service, decision: encodeDecision(decisionOf(rollout, WEIGHT, 0)) };
}

async function inSlices<T>(
  all: readonly T[],
  work: (slice: readonly T[]) => Promise<unknown>,
  size = 500,
): Promise<void> {
  for (let i = 0; i < all.length; i += size) await work(all.slice(i, i + size));
}

const SPREAD = `
with due as (
  select id, now() + interval '1 millisecond' * ($2 + $3 * (row_number() over (order by id) - 1) / $4::float8) as at
  from rollout where id = any($1)
)
update rollout r set
  next_tick_at = due.at,
  state = jsonb_set(state, '{evaluatedAt}', to_jsonb((extract(epoch from due.at) * 1000)::bigint - $3::bigint))
from due where r.id = due.id
returning r.id, (extract(epoch from due.at - now()) * 1000)::float8 as delay`;

/** Their next looks, evenly over one `interval`, the first in `lead` ms. Both in the row and in the queue. */
export async function spread(stage: Stage, ids: readonly string[], interval: number, lead: number): Promise<void> {
  const queue = await openQueue({ backend: stage.queue, log });
  try {
    const rows = await stage.db.rows<{ id: string; delay: number }>({
      text: SPREAD,
      values: [ids, lead, interval, ids.length],
    });
    const began = performance.now();
    await inSlices(
      rows,
      (slice) => Promise.all(slice.map(({ id, delay }) => queue.wake(id, delay - (performance.now() - began), 'tick'))),
      50,
    );
  } finally {
    await queue.close();
  }
}
