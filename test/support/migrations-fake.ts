/** Migrations in memory: the real use cases and the real reducer; what a look finds is what the test says. */
import type { MigrationStarted, MigrationStore, PolicyGateway } from '../../src/app/migration/ports.ts';
import type { MigrationUseCases } from '../../src/app/migration/usecases.ts';
import { migrationUseCases } from '../../src/app/migration/usecases.ts';
import type { IdempotencyClaim } from '../../src/app/ports.ts';
import { observe } from '../../src/domain/migration/advance.ts';
import type { Migration, MigrationFact, Scope } from '../../src/domain/migration/migration.ts';
import { isLive, scopeKey, stampOf, statusOf, wantedOf } from '../../src/domain/migration/migration.ts';
import type { Look } from '../../src/domain/migration/observation.ts';
import { unheard } from './audit.ts';
import { someTraffic } from './migration-builders.ts';

export const migrationDocument = (part: object = {}) => ({
  scope: { workload: 'myapp-v1', namespace: 'production' },
  ...part,
});

export interface FakeMigrations extends MigrationUseCases {
  /** One look at a scope where all is well and the wanted mode is in place; `seen` says what is different. */
  look(id: string, seen?: Partial<Look>): Promise<Migration>;
  /** Moves the clock. */
  advance(ms: number): void;
  /** Every call rejects with this error from now on; null: no more. */
  breakWith(error: unknown): void;
}

export function fakeMigrations(): FakeMigrations {
  let broken: unknown = null;
  let offset = 0;
  let made = 0;
  const store = memoryMigrationStore(() => Date.now() + offset);
  const useCases = migrationUseCases({
    store,
    policies: policiesOf(),
    audit: unheard,
    newId: () => {
      made += 1;
      return `mm_${made}`;
    },
  });
  const whole = async <T>(answer: () => Promise<T>): Promise<T> => {
    if (broken !== null) throw broken;
    return answer();
  };
  return {
    breakWith(error) {
      broken = error;
    },
    advance(ms) {
      offset += ms;
    },
    async look(id, seen = {}) {
      const loaded = await store.load(id);
      if (loaded === null) throw new Error(`the test names a migration that is not there: ${id}`);
      const { migration, now } = loaded;
      const wanted = wantedOf(migration);
      const change = observe(migration, {
        at: now,
        policy: {
          ok: true,
          policy: {
            mode: wanted?.mode ?? null,
            stamp: wanted === null ? null : stampOf(migration, wanted),
            token: '1',
            lastWriter: null,
          },
          before: [],
        },
        beyond: { ok: true, workloads: [] },
        plaintext: { ok: true, callers: [], calls: 600 },
        traffic: { ok: true, ...someTraffic() },
        whole: { ok: true, ...someTraffic() },
        ...seen,
      });
      const next = { ...change.migration, version: migration.version + 1 };
      await store.commit({ previous: migration, next, facts: change.facts, nextLookAt: null });
      return next;
    },
    start: (document, principal, key) => whole(() => useCases.start(document, principal, key)),
    abort: (id, principal, asked) => whole(() => useCases.abort(id, principal, asked)),
    get: (id) => whole(() => useCases.get(id)),
    facts: (id, after, limit) => whole(() => useCases.facts(id, after, limit)),
    list: (filter, limit, cursor) => whole(() => useCases.list(filter, limit, cursor)),
  };
}

/** Every scope is there and has a policy. */
const policiesOf = (): PolicyGateway => ({
  clusters: ['default'],
  meshes: ['istio'],
  remotes: new Map(),
  shortest: () => 60_000,
  object() {
    throw new Error('requests never touch a policy');
  },
  metrics() {
    throw new Error('requests never ask for metrics');
  },
  async survey(_, { workload, namespace = 'istio-system' }) {
    const scope: Scope =
      workload === undefined
        ? { kind: 'namespace', namespace }
        : { kind: 'workload', namespace, deployment: workload, selector: {}, labels: {} };
    return { scope, policy: { namespace, name: 'default', made: false }, findings: [], epoch: 0 };
  },
});

function memoryMigrationStore(now: () => number): MigrationStore {
  const rows = new Map<string, { migration: Migration; facts: MigrationFact[]; claim: IdempotencyClaim | null }>();
  const replay = (claim: IdempotencyClaim): Extract<MigrationStarted, { kind: 'replayed' | 'key_reused' }> | null => {
    const found = [...rows.values()].find(
      (row) => row.claim?.principal === claim.principal && row.claim.key === claim.key,
    );
    if (found === undefined) return null;
    return found.claim?.hash === claim.hash ? { kind: 'replayed', migration: found.migration } : { kind: 'key_reused' };
  };
  return {
    async load(id) {
      const row = rows.get(id);
      return row === undefined ? null : { migration: row.migration, now: now() };
    },
    replay: async (claim) => replay(claim),
    async start({ id, plan, createdBy, idempotency, message, warnings }) {
      const live = [...rows.values()].find(
        ({ migration }) => isLive(migration) && scopeKey(migration.plan) === scopeKey(plan),
      );
      if (live !== undefined) return { kind: 'conflict', live: live.migration };
      const at = now();
      const migration: Migration = {
        id,
        epoch: rows.size + 1,
        plan,
        createdAt: at,
        createdBy,
        version: 1,
        phase: { name: 'pending' },
        trouble: null,
        attempts: 0,
        factCount: 1,
      };
      const fact: MigrationFact = { seq: 1, at, type: 'created', actor: createdBy, message, data: { warnings } };
      rows.set(id, { migration, facts: [fact], claim: idempotency });
      return { kind: 'created', migration };
    },
    async commit({ previous, next, facts }) {
      const row = rows.get(previous.id);
      if (row === undefined || row.migration.version !== previous.version) return false;
      row.migration = structuredClone(next);
      row.facts.push(...facts);
      return true;
    },
    due: async () => [],
    async list({ status, cluster, namespace }, limit, cursor) {
      const from = cursor === null ? 0 : Number(cursor);
      const all = [...rows.values()]
        .map(({ migration }) => migration)
        .filter(
          ({ plan, ...rest }) =>
            (status === undefined || status.includes(statusOf({ ...rest, plan }))) &&
            (cluster === undefined || cluster === plan.cluster) &&
            (namespace === undefined || namespace === plan.scope.namespace),
        )
        .toReversed();
      const items = all.slice(from, from + limit);
      return { items, nextCursor: from + limit < all.length ? String(from + limit) : null };
    },
    facts: async (id, after, limit) => (rows.get(id)?.facts ?? []).filter(({ seq }) => seq > after).slice(0, limit),
    prune: async () => 0,
  };
}
