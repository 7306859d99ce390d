import { describe, expect, it } from 'vitest';
import { type RevertResult, revert } from '../../src/app/revert.ts';
import { tick } from '../../src/app/tick.ts';
import { statusOf } from '../../src/domain/rollout.ts';
import { anAct, unheard } from '../support/audit.ts';
import { aPlan, aRollout, ready } from '../support/builders.ts';
import { tickWorld } from './tick-world.ts';

type World = Awaited<ReturnType<typeof tickWorld>>;

const plan = aPlan({
  steps: [{ weight: 50, hold: 0, approval: 'none' }],
  analysis: { ...aPlan().analysis, checks: [] },
});

/** At 100 %, ended as succeeded. */
async function promoted(): Promise<World> {
  const world = await tickWorld({ plan });
  for (let at = 0; world.rollout().phase.name !== 'ended'; at += 250) await world.tickAt(at);
  expect(statusOf(world.rollout())).toBe('succeeded');
  return world;
}

const ask = (world: World, newId: string, part: { reason?: string; force?: boolean } = {}): Promise<RevertResult> =>
  revert(
    { ...world.ports, audit: unheard, newId: () => newId },
    { id: 'r1', reason: '', force: false, principal: { id: 'ana', name: 'ana' }, ...part },
  );

const idOf = (result: RevertResult): string | null => (result.kind === 'reverting' ? result.rollout.id : null);
/** Of weights: how a rollout ended is said beside them. */
const sluicesWrites = (world: World) =>
  world.kube.journal.filter((write) => write.by === 'sluice' && moves(write)).length;
const moves = ({ before, after }: World['kube']['journal'][number]): boolean =>
  before.metadata.generation !== after.metadata.generation;

describe('rollback after promotion', () => {
  it('puts the old version back in one write, and leaves what has ended as it was', async () => {
    const world = await promoted();
    const before = world.rollout();
    const writes = sluicesWrites(world);
    expect(world.weight()).toBe(100);
    expect(idOf(await ask(world, 'r2', { reason: 'carts are empty' }))).toBe('r2');
    expect(world.wakes.at(-1)).toMatchObject({ urgency: 'rollback', delay: 0 });
    await tick(world.ports, 'r2');
    expect(world.weight()).toBe(0);
    expect(sluicesWrites(world)).toBe(writes + 1);
    await tick(world.ports, 'r2');
    const row = world.store.row('r2');
    expect(row?.rollout.phase).toMatchObject({ name: 'ended', status: 'rolled_back', outcome: { code: 'reverted' } });
    expect(row?.facts.map(({ type }) => type)).toEqual(['created', 'rollback_started', 'ended']);
    expect(row?.facts.at(-1)?.message).toContain('Rolled back by ana');
    expect(world.rollout()).toBe(before);
    expect(sluicesWrites(world)).toBe(writes + 1);
  });

  it('is the same one for who asks again, before and after its end', async () => {
    const world = await promoted();
    await ask(world, 'r2');
    expect(idOf(await ask(world, 'r3'))).toBe('r2');
    await tick(world.ports, 'r2');
    await tick(world.ports, 'r2');
    expect(idOf(await ask(world, 'r4'))).toBe('r2');
  });

  it('writes nothing where the old version has too few pods, unless somebody insists', async () => {
    const world = await promoted();
    world.pods.stable = ready('myapp-v1', 1);
    const writes = sluicesWrites(world);
    expect(await ask(world, 'r2')).toMatchObject({ kind: 'refused', refusal: { code: 'stable_short' } });
    expect([world.store.row('r2'), sluicesWrites(world)]).toEqual([undefined, writes]);
    expect(idOf(await ask(world, 'r3', { force: true }))).toBe('r3');
    await tick(world.ports, 'r3');
    expect(world.weight()).toBe(0);
    expect(world.store.row('r3')?.facts.at(-1)).toMatchObject({ type: 'stable_short', data: { ready: 1, needed: 3 } });
  });

  it('is written over a canary that cannot run', async () => {
    const world = await promoted();
    world.pods.canary = { ...ready('myapp-v2'), ready: 0, settled: false } as typeof world.pods.canary;
    await ask(world, 'r2');
    await tick(world.ports, 'r2');
    expect(world.weight()).toBe(0);
  });

  it('conflicts with a live rollout of the object, whatever its service is called', async () => {
    const world = await promoted();
    const other = aPlan({ target: { ...plan.target, service: 'other' } });
    await world.store.start({ ...wantedAs('r9'), plan: other }, 'nobody');
    expect(await ask(world, 'r2')).toMatchObject({ kind: 'conflict', live: { id: 'r9' } });
  });

  it('refuses where a later rollout was promoted, and allows it again once that one is taken back', async () => {
    const world = await promoted();
    // All traffic is the canary's already: no smaller first step would begin there.
    const all = { ...plan, steps: [{ weight: 100, hold: 0, approval: 'none' as const }] };
    await world.store.start({ ...wantedAs('r9'), plan: all }, 'nobody');
    for (let at = 10_000; world.store.row('r9')?.rollout.phase.name !== 'ended'; at += 250) {
      await world.tickAt(at);
      await tick(world.ports, 'r9');
    }
    expect(await ask(world, 'r2')).toMatchObject({ kind: 'refused', refusal: { code: 'promoted_since' } });
    const later = await revert(
      { ...world.ports, audit: unheard, newId: () => 'r10' },
      { id: 'r9', reason: '', force: false, principal: { id: 'ana', name: 'ana' } },
    );
    expect(idOf(later)).toBe('r10');
    await tick(world.ports, 'r10');
    await tick(world.ports, 'r10');
    // The object sends the canary nothing now: nothing is left for the first one to take back.
    expect(await ask(world, 'r3')).toMatchObject({ kind: 'refused', refusal: { code: 'nothing_to_revert' } });
  });

  it('does not know a rollout that is not there', async () => {
    const world = await promoted();
    const request = { id: 'nobody', reason: '', force: false, principal: { id: 'ana', name: 'ana' } };
    expect(await revert({ ...world.ports, audit: unheard, newId: () => 'r2' }, request)).toEqual({ kind: 'not_found' });
  });
});

const wantedAs = (id: string) => ({
  id,
  plan,
  source: {},
  createdBy: 'test',
  act: anAct(),
  objectKey: 'default VirtualService production/myapp',
  epochAbove: 0,
  observedWeight: 100,
  idempotency: null,
  warnings: [],
  evidence: null,
});

describe('a rollout that takes the place of another', () => {
  it('moves nothing before the weight is 0 and was read back, so that the canary may be repointed then', async () => {
    const world = await tickWorld();
    await world.atFirstStep();
    expect(world.weight()).toBe(5);
    const taker = aPlan({ onConflict: 'supersede' });
    await world.store.start({ ...wantedAs('r2'), plan: taker }, 'live');
    const trail: string[] = [];
    for (let at = 1_000; at < 6_000; at += 250) {
      await world.tickAt(at);
      await tick(world.ports, 'r2');
      const second = world.store.row('r2')?.rollout ?? aRollout();
      trail.push(`${statusOf(world.rollout())}/${second.phase.name} ${world.weight()}`);
    }
    const started = trail.findIndex((line) => line.includes('/progressing'));
    expect(started).toBeGreaterThan(0);
    // Until the first one has ended, which it does on reading 0 back, the second one waits.
    for (const line of trail.slice(0, started)) expect(line).toMatch(/\/pending/);
    expect(trail.indexOf('superseded/pending 0')).toBeGreaterThanOrEqual(0);
    expect(world.store.row('r1')?.facts.some(({ type }) => type === 'rollback_started')).toBe(true);
  });
});
