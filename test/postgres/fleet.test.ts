/** Fleet rollouts on a real Postgres: what is on the row decides, whatever dies, stalls or comes twice. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Database } from '../../src/adapters/postgres/db.ts';
import { openDatabase } from '../../src/adapters/postgres/db.ts';
import { postgresFleetStore } from '../../src/adapters/postgres/fleet-store.ts';
import type { PostgresRolloutStore } from '../../src/adapters/postgres/rollout-store.ts';
import { postgresRolloutStore } from '../../src/adapters/postgres/rollout-store.ts';
import type { FleetPorts } from '../../src/app/fleet/look.ts';
import { commandFleet, lookAtFleet } from '../../src/app/fleet/look.ts';
import { startFleet } from '../../src/app/fleet/start.ts';
import { FleetMovedOn } from '../../src/app/ports.ts';
import type { FleetStatus } from '../../src/domain/fleet/fleet.ts';
import { fleetStatus } from '../../src/domain/fleet/fleet.ts';
import type { Rollout, TerminalStatus } from '../../src/domain/rollout.ts';
import { statusOf } from '../../src/domain/rollout.ts';
import { wanted } from '../contract/store.cases.ts';
import type { FreshDatabase } from '../support/postgres.ts';
import { emptied, freshDatabase, silent } from '../support/postgres.ts';
import { fakeUseCases, planDocument } from '../support/usecases-fake.ts';

let fresh: FreshDatabase;
let db: Database;
let store: PostgresRolloutStore;
let ports: FleetPorts;
const ana = { id: 'tok_1', name: 'ana', role: 'admin' } as const;

beforeAll(async () => {
  fresh = await freshDatabase();
  db = openDatabase({ url: fresh.url, log: silent });
});
afterAll(async () => {
  await db.close();
  await fresh.drop();
});
beforeEach(async () => {
  await emptied(fresh.url);
  store = postgresRolloutStore(db, { channels: [], log: silent });
  const fake = fakeUseCases();
  let made = 0;
  const newId = (): string => {
    made += 1;
    return `ro_${made}`;
  };
  fake.cluster(0);
  ports = {
    fleets: postgresFleetStore(db),
    start: {
      ...fake.startPorts,
      store,
      newId,
      clusters: ['east', 'west', 'north', 'edge'],
      remotes: new Map([['edge', ['east']]]),
    },
  };
});

const { cluster: _, ...target } = planDocument()['target'] as Record<string, unknown>;
const document = (part: object = {}) => ({
  plan: { ...planDocument(), target },
  waves: [{ clusters: ['east'] }, { clusters: ['west', 'north'] }],
  ...part,
});
const newFleet = async (part: object = {}, key: string | null = null) =>
  startFleet(
    { ...ports, newFleetId: () => `fr_${Math.random().toString(36).slice(2)}` },
    document(part),
    ana,
    key === null ? null : { key, hash: 'h' },
  );
async function begun(part: object = {}): Promise<string> {
  const result = await newFleet(part);
  if (result.kind !== 'created') throw new Error(JSON.stringify(result));
  return result.fleet.id;
}
const look = (id: string, more: Partial<FleetPorts> = {}): Promise<void> => lookAtFleet({ ...ports, ...more }, id);
const statusAt = async (id: string): Promise<FleetStatus | null> => {
  const found = await ports.fleets.load(id);
  return found === null ? null : fleetStatus(found.fleet);
};
const children = async (id: string): Promise<string[]> =>
  (await store.childrenOf(id)).map(({ plan, phase, fleet }) => `${fleet?.wave} ${plan.target.cluster} ${phase.name}`);

/** What the ticks would have done by now. */
async function endsAs(rollout: Rollout, status: TerminalStatus): Promise<void> {
  const { previous, now } = await loaded(rollout.id);
  const outcome = { code: 'x', message: `it is ${status}`, step: 1, weight: 0 };
  const next: Rollout = {
    ...previous,
    version: previous.version + 1,
    phase: { name: 'ended', status, outcome, step: 1, at: now },
  };
  const part = { previous, next, facts: [], measurements: [], evidence: null, at: now, nextTickAt: null };
  expect(await store.commit(part)).toBe(true);
}
async function loaded(id: string): Promise<{ previous: Rollout; now: number }> {
  const found = await store.load(id);
  if (found === null) throw new Error(`no rollout ${id}`);
  return { previous: found.rollout, now: found.now };
}
const allEnd = async (id: string, status: TerminalStatus): Promise<void> => {
  for (const child of await store.childrenOf(id)) if (child.phase.name !== 'ended') await endsAs(child, status);
};
const dies = (at: 'committed' | 'started') => ({
  crashPoint: (here: string): void => {
    if (here === at) throw new Error('the process died');
  },
});

describe('a fleet rollout', () => {
  it('starts one rollout for each cluster of a wave, and the next wave when all of them have succeeded', async () => {
    const id = await begun();
    await look(id);
    await look(id);
    expect(await children(id)).toEqual(['0 east pending']);
    await allEnd(id, 'succeeded');
    await look(id); // baking
    await look(id); // let through
    expect(await children(id)).toEqual(['0 east ended', '1 west pending', '1 north pending']);
    await allEnd(id, 'succeeded');
    await look(id);
    await look(id);
    expect(await statusAt(id)).toBe('succeeded');
    const facts = await ports.fleets.facts(id);
    expect(facts.map(({ seq }) => seq)).toEqual(facts.map((_fact, i) => i + 1));
    expect(facts.at(-1)).toMatchObject({ type: 'ended', message: expect.stringContaining('3 clusters in 2 waves') });
    expect(await ports.fleets.due(0, 10)).toEqual([]);
  });

  it('has its rollouts started for whoever started it: four eyes hold in each of them', async () => {
    const steps = [{ weight: 5, hold: '1s', approval: { notBy: 'starter' } }];
    const plan = { ...planDocument({ steps }), target };
    const refused = await newFleet({ plan });
    expect(refused).toMatchObject({ kind: 'invalid', problems: [{ code: 'starter_unknown' }] });
    const known = { ...ana, persons: ['ana@example.com'] };
    const started = await startFleet({ ...ports, newFleetId: () => 'fr_eyes' }, document({ plan }), known, null);
    expect(started.kind).toBe('created');
    await look('fr_eyes');
    await look('fr_eyes');
    expect((await store.childrenOf('fr_eyes')).map(({ startedBy }) => startedBy)).toEqual([
      { id: 'fleet:fr_eyes', persons: ['ana@example.com'] },
    ]);
  });

  it.each(['committed', 'started'] as const)(
    'dies after it has %s, and no cluster is started twice or forgotten',
    async (at) => {
      const id = await begun();
      await expect(look(id, dies(at))).rejects.toThrow('died');
      await Promise.all([look(id), look(id)]);
      await look(id);
      expect(await children(id)).toEqual(['0 east pending']);
    },
  );

  it('is not brought to life again by a worker that stalled between its decision and the start', async () => {
    const id = await begun();
    const stalled = Promise.withResolvers<void>();
    const twin = look(id, { crashPoint: (at) => (at === 'committed' ? stalled.promise : undefined) });
    while ((await ports.fleets.load(id))?.fleet.version === 1) await new Promise((r) => setTimeout(r, 5));
    const aborted = await commandFleet(ports, id, { name: 'abort', reason: '' }, ana);
    expect(aborted.kind).toBe('done');
    await look(id);
    expect(await statusAt(id)).toBe('aborted');
    stalled.resolve();
    await twin;
    expect(await children(id)).toEqual([]);
  });

  it('is not joined by a rollout of another wave than the one that it is at', async () => {
    const id = await begun();
    await expect(store.start(wanted({ fleet: { id, wave: 1 } }), 'nobody')).rejects.toThrow(FleetMovedOn);
    await expect(store.start(wanted({ fleet: { id: 'nobody', wave: 0 } }), 'nobody')).rejects.toThrow(FleetMovedOn);
    const made = await store.start(wanted({ fleet: { id, wave: 0 } }), 'nobody');
    expect(made).toMatchObject({ kind: 'created', rollout: { fleet: { id, wave: 0 } } });
  });

  it('aborts the live ones of a wave that fails, and leaves no rollout live at its end', async () => {
    const id = await begun({ onFailure: 'wave' });
    await look(id);
    await allEnd(id, 'succeeded');
    await look(id);
    await look(id);
    const [, west, north] = await store.childrenOf(id);
    if (west === undefined || north === undefined) throw new Error('no second wave');
    await endsAs(west, 'rolled_back');
    await look(id);
    await look(id);
    const after = await store.load(north.id);
    // It had written nothing yet, so it ends at once.
    expect(after === null ? null : statusOf(after.rollout)).toBe('aborted');
    await look(id);
    expect(await statusAt(id)).toBe('rolled_back');
    const { fleet } = (await ports.fleets.load(id)) ?? { fleet: null };
    expect(fleet?.phase).toMatchObject({ message: expect.stringContaining('west is rolled_back: it is rolled_back') });
  });

  it('fails the wave where a cluster has another live rollout of the target, and says which', async () => {
    const id = await begun();
    const busy = { ...planDocument(), target: { ...target, cluster: 'east' } };
    const parsed = ports.start.parser.parse(busy);
    if (!parsed.ok) throw new Error('plan');
    const theirs = await store.start(wanted({ plan: parsed.plan, objectKey: 'theirs' }), 'nobody');
    await look(id);
    await look(id);
    await look(id);
    const other = theirs.kind === 'created' ? theirs.rollout.id : '';
    const { fleet } = (await ports.fleets.load(id)) ?? { fleet: null };
    expect(fleet?.phase).toMatchObject({
      status: 'rolled_back',
      message: expect.stringContaining(`rollout ${other} of the same target`),
    });
  });

  it('is the same one for a repeat with its key, and refused for another body under it', async () => {
    const first = await newFleet({}, 'ci-1');
    const again = await newFleet({}, 'ci-1');
    expect([first.kind, again.kind]).toEqual(['created', 'replayed']);
    expect('fleet' in first && 'fleet' in again && first.fleet.id === again.fleet.id).toBe(true);
    const other = await startFleet({ ...ports, newFleetId: () => 'fr_x' }, document(), ana, {
      key: 'ci-1',
      hash: 'other',
    });
    expect(other.kind).toBe('key_reused');
  });

  it('is claimed by one worker at a time, listed, and deleted with its history by the retention', async () => {
    const id = await begun();
    expect(await ports.fleets.due(60_000, 10)).toEqual([id]);
    expect(await ports.fleets.due(60_000, 10)).toEqual([]);
    expect((await ports.fleets.list({}, 10, null)).items.map((fleet) => fleet.id)).toEqual([id]);
    await commandFleet(ports, id, { name: 'abort', reason: '' }, ana);
    await look(id);
    await store.prune(Date.now() + 60_000, 10);
    expect([await statusAt(id), await ports.fleets.facts(id)]).toEqual([null, []]);
  });
});

describe('what was sent', () => {
  it.each([
    ['a cluster in the plan', { plan: planDocument() }, '/plan/target/cluster', 'waves name the clusters'],
    [
      'a cluster twice',
      { waves: [{ clusters: ['east'] }, { clusters: ['east'] }] },
      '/waves/1/clusters/0',
      'in wave 1 already',
    ],
    ['a cluster that nobody knows', { waves: [{ clusters: ['south'] }] }, '/waves/0/clusters/0', 'unknown cluster'],
    ['a remote cluster', { waves: [{ clusters: ['edge'] }] }, '/waves/0/clusters/0', 'Write to its primary: east'],
    [
      'an approval after the end',
      { waves: [{ clusters: ['east'], approval: 'required' }] },
      '/waves/0/approval',
      'no wave comes after',
    ],
    [
      'steps that fall',
      { waves: [{ clusters: ['east'], steps: [{ weight: 5 }, { weight: 3 }] }] },
      '/waves/0/steps/1/weight',
      'above 5',
    ],
    ['no wave', { waves: [] }, '/waves', 'at least one wave'],
  ])('is refused with %s', async (_, part, pointer, words) => {
    const result = await newFleet(part);
    expect(result).toMatchObject({ kind: 'invalid' });
    expect(result.kind === 'invalid' && result.problems).toContainEqual(
      expect.objectContaining({ pointer, message: expect.stringContaining(words) }),
    );
  });
});
