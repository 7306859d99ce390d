/** Row G, acting: PERMISSIVE to STRICT in the closed loop of the sandbox's data plane and a real Prometheus. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { statusOf } from '../../src/domain/migration/migration.ts';
import { PEER_AUTHENTICATIONS } from '../../src/sandbox/data-plane/cluster-view.ts';
import { NAMESPACE } from '../../src/sandbox/seeds.ts';
import { type MigrationWorld, startMigrationWorld } from '../support/migration-world.ts';

let world: MigrationWorld;
beforeAll(async () => {
  world = await startMigrationWorld();
}, 60_000);
afterAll(() => world?.stop());

describe('a migration of a workload', () => {
  it('is blocked by a plaintext caller, which it names, and writes STRICT when there is none any more', async () => {
    await world.plaintext(true);
    const cron = await world.sandbox.call({ workload: 'cron', sidecar: false, rps: 10 });
    const id = await world.start({ workload: 'myapp-v1', namespace: NAMESPACE });
    const policy = id.replace('_', '-');
    const blocked = await world.until(
      id,
      ({ phase }) => phase.name === 'guarding' && new Set(phase.callers.map(({ workload }) => workload)).size === 2,
    );
    expect(blocked.phase).toMatchObject({
      callers: expect.arrayContaining([
        expect.objectContaining({ workload: 'frontend', namespace: NAMESPACE, called: `${NAMESPACE}/myapp-v1` }),
        expect.objectContaining({ workload: 'unknown' }),
      ]),
    });
    const said = (await world.facts(id)).findLast(({ type }) => type === 'blocked');
    expect(said?.message).toMatch(/frontend called .*myapp-v1 in plaintext .*cannot be named.*istio-proxy/);
    expect(JSON.stringify(said?.data)).toContain('"source_workload":"frontend"');
    expect(await world.mode(policy)).toBeNull();

    await cron.stop();
    await world.plaintext(false);
    await world.until(id, ({ phase }) => phase.name === 'strict' && phase.inForceAt !== null);
    expect(await world.mode(policy)).toBe('STRICT');
    const object = await world.api.get(PEER_AUTHENTICATIONS, policy);
    expect(object.spec).toMatchObject({ selector: { matchLabels: expect.any(Object) } });
    const done = await world.until(id, ({ phase }) => phase.name === 'ended');
    expect([statusOf(done), await world.mode(policy)]).toEqual(['succeeded', 'STRICT']);
    // How often it is told anew who calls, or that nobody was heard yet, is chance.
    const told = (await world.facts(id)).map(({ type }) => type).filter((type) => type !== 'no_answer');
    expect([...new Set(told)]).toEqual([
      'created',
      'guarding',
      'blocked',
      'unblocked',
      'strict_wanted',
      'strict_in_force',
      'ended',
    ]);
    await world.api.remove(PEER_AUTHENTICATIONS, policy);
  }, 90_000);
});

describe('a migration of a namespace', () => {
  it('goes back by itself when connections fail after STRICT, and its history says rolled_back', async () => {
    await world.api.create(PEER_AUTHENTICATIONS, {
      apiVersion: PEER_AUTHENTICATIONS.apiVersion,
      kind: 'PeerAuthentication',
      metadata: { name: 'default', namespace: NAMESPACE },
      spec: { mtls: { mode: 'PERMISSIVE' }, selector: {} },
    });
    const id = await world.start({ namespace: NAMESPACE }, { watch: '5m' });
    await world.until(id, ({ phase }) => phase.name === 'strict' && phase.inForceAt !== null);
    expect(await world.mode('default')).toBe('STRICT');

    await world.plaintext(true);
    const done = await world.until(id, ({ phase }) => phase.name === 'ended');
    expect([statusOf(done), await world.mode('default')]).toEqual(['rolled_back', 'PERMISSIVE']);
    const last = (await world.facts(id)).at(-1);
    expect(last).toMatchObject({ type: 'ended', data: { status: 'rolled_back', code: 'failures' } });
    expect(last?.message).toMatch(
      /did not connect \(503 with UF or URX\).*production\/frontend.*mode PERMISSIVE again/,
    );
    await world.plaintext(false);
    await world.api.remove(PEER_AUTHENTICATIONS, 'default');
  }, 90_000);
});
