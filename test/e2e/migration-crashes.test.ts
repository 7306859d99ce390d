/**
 * Migrations of mTLS in real processes that are killed without warning: between the commit and the write, in the middle
 * of the watch, and on the way back. Whoever comes next goes on from the row, or goes back where STRICT does harm.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { statusOf } from '../../src/domain/migration/migration.ts';
import { PEER_AUTHENTICATIONS } from '../../src/sandbox/data-plane/cluster-view.ts';
import { NAMESPACE } from '../../src/sandbox/seeds.ts';
import type { Death } from '../support/migration-crash-worker.ts';
import { type MigrationWorld, startMigrationWorld } from '../support/migration-world.ts';

let world: MigrationWorld;
const children = new Set<ChildProcess>();

beforeAll(async () => {
  world = await startMigrationWorld({ works: false });
  await world.api.create(PEER_AUTHENTICATIONS, {
    apiVersion: PEER_AUTHENTICATIONS.apiVersion,
    kind: 'PeerAuthentication',
    metadata: { name: 'default', namespace: NAMESPACE },
    spec: { mtls: { mode: 'PERMISSIVE' }, selector: {} },
  });
}, 60_000);
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await world?.stop();
});

/** Works until it comes to that place, and is dead when this answers. */
async function diesAt(id: string, death: Death): Promise<void> {
  const child = await worker(id, death);
  const [, signal] = await once(child, 'exit');
  expect(signal).toBe('SIGKILL');
}

async function worker(id: string, death: Death): Promise<ChildProcess> {
  const script = new URL('../support/migration-crash-worker.ts', import.meta.url).pathname;
  const given = JSON.stringify({ settings: world.settings, id, ...death });
  const child = spawn(process.execPath, [script, given], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.add(child);
  child.once('exit', () => children.delete(child));
  await once(child.stdout as NodeJS.EventEmitter, 'data');
  return child;
}

/** What is told once, and in which order, whoever told it. */
async function story(id: string): Promise<readonly string[]> {
  const facts = await world.facts(id);
  expect(facts.map(({ seq }) => seq)).toEqual(facts.map((_, index) => index + 1));
  // Whether a look came too early to hear anybody is chance.
  return facts.map(({ type }) => type).filter((type) => type !== 'no_answer');
}

// A worker that died keeps its claim for 20 s: each death costs as much.
it('is gone on with where each process before was killed, and goes back when nobody watched and calls fail', async () => {
  const id = await world.start({ namespace: NAMESPACE }, { watch: '5m' });

  await diesAt(id, { place: 'committed', status: 'strict', watched: false });
  expect(await world.mode('default'), 'committed, not written').toBe('PERMISSIVE');

  await diesAt(id, { place: 'applied', status: 'strict' });
  expect(await world.mode('default'), 'written, not read back').toBe('STRICT');

  await diesAt(id, { place: 'loaded', status: 'strict', watched: true });
  await world.plaintext(true);
  await diesAt(id, { place: 'committed', status: 'rolling_back' });
  expect(await world.mode('default'), 'the way back committed, not written').toBe('STRICT');

  const last = await worker(id, { place: null });
  const done = await world.until(id, ({ phase }) => phase.name === 'ended', 60_000);
  expect([statusOf(done), await world.mode('default')]).toEqual(['rolled_back', 'PERMISSIVE']);
  expect(await story(id)).toEqual([
    'created',
    'guarding',
    'strict_wanted',
    'strict_in_force',
    'rollback_started',
    'ended',
  ]);
  last.kill('SIGKILL');
  await world.plaintext(false);
}, 240_000);

it('succeeds after a kill in the middle of the watch, when all is well', async () => {
  const id = await world.start({ namespace: NAMESPACE });
  await diesAt(id, { place: 'observed', status: 'strict', watched: true });
  expect(await world.mode('default')).toBe('STRICT');
  const last = await worker(id, { place: null });
  const done = await world.until(id, ({ phase }) => phase.name === 'ended', 90_000);
  expect([statusOf(done), await world.mode('default')]).toEqual(['succeeded', 'STRICT']);
  // Who called in plaintext in the test before may still be within the first look.
  const told = (await story(id)).filter((type) => type !== 'blocked' && type !== 'unblocked');
  expect(told).toEqual(['created', 'guarding', 'strict_wanted', 'strict_in_force', 'ended']);
  last.kill('SIGKILL');
}, 180_000);
