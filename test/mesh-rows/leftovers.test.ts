/** What a rollout whose rollback was given up leaves on its mesh object, and how it is taken away: by nobody's next release. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { leftoverGateway } from '../../src/adapters/clusters.ts';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import gatewayApi from '../../src/adapters/meshes/gateway-api.ts';
import istio from '../../src/adapters/meshes/istio.ts';
import { loadMeshes } from '../../src/adapters/registry.ts';
import { backOff, clearOnce, type LeftoverPorts } from '../../src/app/leftovers.ts';
import type { Cleared, Commit, Message } from '../../src/app/ports.ts';
import type { FactType } from '../../src/domain/rollout.ts';
import type { Temporary } from '../../src/domain/temporary.ts';
import { aRollout } from '../support/builders.ts';
import { decision, istioTarget, type Loose, targetOf } from '../support/mesh-objects.ts';
import { exampleOf, type MeshWorld, meshWorld } from '../support/mesh-world.ts';
import { quietLog } from '../support/quiet.ts';
import { seedCluster } from '../support/seed-cluster.ts';
import { planOf, type Whole, wholeService } from '../support/whole-service.ts';

const TESTERS: Temporary = { kind: 'headerRoute', match: { header: 'x-tester', exact: 'yes' } };

describe('the whole service', () => {
  let whole: Whole;
  beforeAll(async () => {
    whole = await wholeService({ objects: await seedCluster('istio') });
  }, 60_000);
  afterAll(() => whole?.close());

  const names = (): readonly unknown[] => {
    const { spec } = whole.stored('networking.istio.io', 'virtualservices', 'myapp');
    return (spec as { http: readonly Loose[] }).http.map(({ name }) => name ?? null);
  };

  it('takes it away as soon as the object can be written, leaves the weights, and tells it', {
    timeout: 90_000,
  }, async () => {
    const id = await whole.started(
      planOf(istioTarget(), [
        { headerRoute: { header: 'x-tester', exact: 'yes' }, hold: '10m' },
        { weight: 50, hold: '10m' },
      ]),
    );
    await whole.until(id, ({ phase }) => phase.name === 'progressing' && phase.reachedAt !== null);
    const own = `sluice-${id}-header-0`;
    expect(names()).toContain(own);

    const mend = whole.api.fail({ verb: 'patch', path: '/virtualservices/myapp', status: 503 });
    await whole.call('post', `/rollouts/${id}/abort`, {});
    const given = await whole.call('post', `/rollouts/${id}/abort`, { giveUp: true, reason: 'by hand' });
    expect(given.body).toMatchObject({ status: 'failed', outcome: { code: 'given_up' } });
    const before = whole.stored('networking.istio.io', 'virtualservices', 'myapp');
    expect(names()).toContain(own);

    mend();
    await expect.poll(names, { timeout: 60_000 }).not.toContain(own);
    const after = whole.stored('networking.istio.io', 'virtualservices', 'myapp');
    const others = ({ spec }: KubeObject) =>
      (spec as { http: readonly Loose[] }).http.filter(({ name }) => name !== own);
    expect(others(after)).toEqual(others(before));
    await expect
      .poll(async () => (await whole.service.useCases.facts(id, 0, 100)).map(({ type }) => type), { timeout: 30_000 })
      .toContain('leftovers_gone');
    const facts = await whole.service.useCases.facts(id, 0, 100);
    expect(facts.at(-1)).toMatchObject({
      type: 'leftovers_gone',
      message: expect.stringMatching(/^VirtualService production\/myapp: .*taken away \(1 rule\).*weights were left/),
      data: { object: 'VirtualService production/myapp', rules: 1 },
    });
    expect((await whole.service.useCases.get(id))?.phase).toMatchObject({ name: 'ended', status: 'failed' });
  });
});

describe.each([
  ['istio', istio],
  ['gateway-api', gatewayApi],
] as const)('on the object of %s', (_, mesh) => {
  const worlds: MeshWorld[] = [];
  afterEach(() => Promise.all(worlds.splice(0).map((world) => world.stop())));

  /** Another's stamp after it, where one is given. */
  async function left(rollout: string, next?: string) {
    const world = await meshWorld(mesh);
    worlds.push(world);
    const write = async (by: string, epoch: number, temporary: readonly Temporary[]) => {
      const stamp = { rollout: by, epoch, generation: 1 };
      const wanted = decision(10, 1, { stamp, temporary, goingBack: false });
      const applied = await world.router.apply(wanted, (await world.read()).token);
      if (applied.kind !== 'applied') throw new Error(JSON.stringify(applied));
    };
    await write(rollout, 6, []);
    const before = world.now().spec;
    await write(rollout, 7, [TESTERS]);
    if (next !== undefined) await write(next, 8, [TESTERS]);
    const clusters = new Map([
      ['default', { name: 'default', kube: world.kube, providers: new Map(), defaultProvider: '' }],
    ]);
    const gateway = leftoverGateway(clusters, await loadMeshes());
    return { world, before, clear: () => gateway.clear(targetOf(mesh, mesh.example), rollout) };
  }

  it('its rules go, everything else stays, and a second time finds nothing', async () => {
    const { world, before, clear } = await left('ro-1');
    expect(world.now().spec).not.toEqual(before);
    expect(await clear()).toMatchObject({ kind: 'cleared', rules: 1 });
    expect(world.now().spec).toEqual(before);
    expect(await clear()).toMatchObject({ kind: 'nothing', message: 'none of its rules stands there' });
  });

  it('nothing is touched once another decision stands there, whoever made it', async () => {
    const { world, clear } = await left('ro-1', 'ro-2');
    const now = world.now();
    expect(await clear()).toMatchObject({ kind: 'nothing', message: expect.stringContaining('of rollout ro-2') });
    expect(world.now()).toEqual(now);
  });

  it('what people made of the weights, and of the rules around, is left', async () => {
    const { world, clear } = await left('ro-1');
    const list = mesh === istio ? 'http' : 'rules';
    const byHand = (spec: Loose): void => {
      const rules = spec[list] as Loose[];
      rules.push({ ...rules.at(-1), timeouts: undefined, timeout: undefined });
    };
    world.edit(byHand);
    const edited = structuredClone(world.now().spec) as Loose;
    expect(await clear()).toMatchObject({ kind: 'cleared' });
    expect((world.now().spec as Loose)[list]).toHaveLength((edited[list] as unknown[]).length - 1);
  });

  it('an object that is gone is asked for no more, one that cannot be read is', async () => {
    const { world, clear } = await left('ro-1');
    const heal = world.api.fail({ verb: 'get', path: exampleOf(mesh).plural, status: 403 });
    expect(await clear()).toMatchObject({ kind: 'trouble' });
    heal();
    const { name, namespace = '' } = world.now().metadata;
    world.api.remove(exampleOf(mesh).group, exampleOf(mesh).plural, namespace, name);
    expect(await clear()).toMatchObject({ kind: 'nothing', message: 'it is gone' });
  });
});

describe('one try', () => {
  const DAY = 86_400_000;
  const outcome = { code: 'given_up', message: 'by hand', step: 0, weight: 25 };
  const rollout = aRollout({ phase: { name: 'ended', status: 'failed', outcome, step: 0, at: 0 }, factCount: 4 });

  function world(
    cleared: Cleared,
    more: { readonly now?: number; readonly told?: boolean; readonly tries?: number } = {},
  ) {
    const done: string[] = [];
    const commits: Commit[] = [];
    const type: FactType = 'leftovers_gone';
    const fact = { seq: 4, at: 0, actor: 'ana', step: 0, message: '', data: { outcome }, type: 'ended' as const };
    const message: Message = { id: 'm', rolloutId: rollout.id, fact, attempts: more.tries ?? 0 };
    const ports: LeftoverPorts = {
      outbox: {
        claim: async () => [message],
        delivered: async () => void done.push('delivered'),
        postpone: async (_channel, _id, delay) => void done.push(`again in ${delay}`),
      },
      store: {
        load: async () => ({
          rollout,
          now: more.now ?? 1_000,
          blocked: false,
          supersededBy: null,
          dueAt: null,
          ledger: null,
        }),
        facts: async () => (more.told === true ? [{ ...fact, seq: 5, type, traceId: null }] : []),
        commit: async (change) => commits.push(change) > 0,
      },
      leftovers: {
        async clear() {
          done.push('asked');
          return cleared;
        },
      },
      log: quietLog,
    };
    return { done, commits, once: () => clearOnce(ports) };
  }
  const trouble: Cleared = { kind: 'trouble', message: 'no answer' };

  it.each([
    ['that takes something away', { kind: 'cleared', object: 'VirtualService a/b', rules: 2 }],
    ['that finds the object gone', { kind: 'nothing', object: 'VirtualService a/b', message: 'it is gone' }],
  ] as const)('%s is told once, and the end stays as it was', async (_, cleared) => {
    const { done, commits, once } = world(cleared);
    expect(await once()).toBe('concluded');
    expect(done).toEqual(['asked', 'delivered']);
    expect(commits.map(({ next, facts, nextTickAt }) => [next.phase, facts.map((f) => f.type), nextTickAt])).toEqual([
      [rollout.phase, ['leftovers_gone'], null],
    ]);
  });

  it('after a worker that died before it struck the message off asks nobody and tells nothing twice', async () => {
    const { done, commits, once } = world(trouble, { told: true });
    expect(await once()).toBe('concluded');
    expect([done, commits]).toEqual([['delivered'], []]);
  });

  it('that fails is put off, longer each time, and given up after three days', async () => {
    for (const [tries, wait] of [
      [0, 5_000],
      [3, 40_000],
      [100, 1_800_000],
    ] as const) {
      const { done, once } = world(trouble, { tries });
      expect(await once()).toBe('postponed');
      expect(done).toEqual(['asked', `again in ${wait}`]);
      expect(backOff(tries)).toBe(wait);
    }
    const { done, once } = world(trouble, { now: 3 * DAY });
    expect(await once()).toBe('concluded');
    expect(done).toEqual(['asked', 'delivered']);
  });
});
