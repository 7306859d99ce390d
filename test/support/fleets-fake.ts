/** Fleet rollouts in memory: the real use cases and the real reducer; what the children do is what the test says. */

import type { FleetPorts } from '../../src/app/fleet/look.ts';
import { commandFleet } from '../../src/app/fleet/look.ts';
import type { FleetStarted, FleetStore, FleetUseCases } from '../../src/app/fleet/ports.ts';
import { dryRunFleet, startFleet } from '../../src/app/fleet/start.ts';
import type { IdempotencyClaim } from '../../src/app/ports.ts';
import type { ChildSeen } from '../../src/domain/fleet/advance.ts';
import { advanceFleet } from '../../src/domain/fleet/advance.ts';
import type { Fleet, FleetFact } from '../../src/domain/fleet/fleet.ts';
import { childrenAtStart, fleetStatus, waveWords } from '../../src/domain/fleet/fleet.ts';
import type { FakeUseCases } from './usecases-fake.ts';
import { planDocument } from './usecases-fake.ts';

const { cluster: _, ...target } = planDocument()['target'] as Record<string, unknown>;

/** Two waves: east, then west and north after somebody's approval. */
export const fleetDocument = (part: object = {}) => ({
  plan: { ...planDocument(), target },
  waves: [
    { name: 'first', clusters: ['east'], approval: 'required' },
    { name: 'rest', clusters: ['west', 'north'] },
  ],
  ...part,
});

export interface FakeFleets extends FleetUseCases {
  /** One look, at which the children of these clusters were found like this; the others as they were. */
  look(id: string, children?: Readonly<Record<string, Partial<ChildSeen>>>): Promise<Fleet>;
  /** Every call rejects with this error from now on; null: no more. */
  breakWith(error: unknown): void;
}

export function fakeFleets(fake: FakeUseCases): FakeFleets {
  let broken: unknown = null;
  let made = 0;
  const store = memoryFleets();
  const ports: FleetPorts = {
    fleets: store,
    start: { ...fake.startPorts, clusters: ['east', 'west', 'north'] },
  };
  const starting = {
    ...ports,
    newFleetId: () => {
      made += 1;
      return `fr_${made}`;
    },
  };
  const whole = async <T>(answer: () => Promise<T>): Promise<T> => {
    if (broken !== null) throw broken;
    return answer();
  };
  return {
    breakWith(error) {
      broken = error;
    },
    async look(id, children = {}) {
      const loaded = await store.load(id);
      if (loaded === null) throw new Error(`the test names a fleet rollout that is not there: ${id}`);
      const { fleet, now } = loaded;
      const seen = Object.entries(children).map(([cluster, part]): ChildSeen => {
        const wave = fleet.spec.waves.findIndex(({ clusters }) => clusters.includes(cluster));
        const rollout = `ro_${cluster}`;
        return { wave, cluster, rollout, status: 'progressing', message: '', revert: null, unwell: null, ...part };
      });
      const change = advanceFleet(fleet, { at: now, children: seen });
      const next = { ...change.fleet, version: fleet.version + 1 };
      await store.commit({ previous: fleet, next, facts: change.facts, lookIn: null });
      return next;
    },
    start: (document, principal, key) => whole(() => startFleet(starting, document, principal, key)),
    dryRun: (document, principal) => whole(() => dryRunFleet(starting, document, principal)),
    command: (id, wanted, principal, expected) => whole(() => commandFleet(ports, id, wanted, principal, expected)),
    get: (id) =>
      whole(async () => {
        const found = await store.load(id);
        return found === null ? null : { fleet: found.fleet, facts: await store.facts(id) };
      }),
    list: (filter, limit, cursor) => whole(() => store.list(filter, limit, cursor)),
  };
}

export function memoryFleets(now: () => number = Date.now): FleetStore {
  const rows = new Map<string, { fleet: Fleet; facts: FleetFact[]; claim: IdempotencyClaim | null }>();
  const replay = (claim: IdempotencyClaim): FleetStarted | null => {
    const found = [...rows.values()].find(
      (row) => row.claim?.principal === claim.principal && row.claim.key === claim.key,
    );
    if (found === undefined) return null;
    return found.claim?.hash === claim.hash ? { kind: 'replayed', fleet: found.fleet } : { kind: 'key_reused' };
  };
  return {
    async load(id) {
      const row = rows.get(id);
      return row === undefined ? null : { fleet: row.fleet, now: now() };
    },
    replay: async (claim) => replay(claim),
    async create({ id, spec, createdBy, idempotency }) {
      const before = idempotency === null ? null : replay(idempotency);
      if (before !== null) return before;
      const at = now();
      const fleet: Fleet = {
        id,
        version: 1,
        spec,
        createdAt: at,
        createdBy,
        phase: { name: 'running', wave: 0 },
        children: childrenAtStart(spec),
        factCount: 1,
      };
      const message = `Created by ${createdBy}: ${waveWords(spec, 0)} begins`;
      const fact: FleetFact = {
        seq: 1,
        at,
        type: 'created',
        actor: createdBy,
        wave: 0,
        cluster: null,
        message,
        data: {},
      };
      rows.set(id, { fleet, facts: [fact], claim: idempotency });
      return { kind: 'created', fleet };
    },
    async commit({ previous, next, facts }) {
      const row = rows.get(previous.id);
      if (row === undefined || row.fleet.version !== previous.version) return false;
      row.fleet = structuredClone(next);
      row.facts.push(...facts);
      return true;
    },
    due: async () => [],
    async list({ status }, limit, cursor) {
      const from = cursor === null ? 0 : Number(cursor);
      const all = [...rows.values()]
        .map(({ fleet }) => fleet)
        .filter((fleet) => status === undefined || status.includes(fleetStatus(fleet)))
        .toReversed();
      const items = all.slice(from, from + limit);
      return { items, nextCursor: from + limit < all.length ? String(from + limit) : null };
    },
    facts: async (id) => [...(rows.get(id)?.facts ?? [])],
  };
}
