/** What every mesh promises, over HTTP against an API server: a new file in `meshes/` is held to all of it. */
import { afterEach, describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import type { MeshModule } from '../../src/adapters/mesh.ts';
import { loadMeshes } from '../../src/adapters/registry.ts';
import { stampOn } from '../../src/adapters/routes/decision.ts';
import type { Applied, Decision } from '../../src/app/ports.ts';
import type { Route } from '../../src/domain/observation.ts';
import { inspected } from '../support/inspect-target.ts';
import { decision, type Loose, untouched } from '../support/mesh-objects.ts';
import { exampleOf, type MeshWorld, meshWorld, type WorldOptions } from '../support/mesh-world.ts';

const meshes = [...(await loadMeshes()).values()];

describe.each(meshes)('$kind', (mesh: MeshModule) => {
  const { moved, plural, group } = exampleOf(mesh);
  const worlds: MeshWorld[] = [];
  afterEach(async () => {
    for (const world of worlds.splice(0)) await world.stop();
  });
  const setUp = async (options: WorldOptions = {}): Promise<MeshWorld> => {
    const world = await meshWorld(mesh, options);
    worlds.push(world);
    return world;
  };

  const step = async (world: MeshWorld, made: Decision): Promise<Applied> =>
    world.router.apply(made, (await world.read()).token);
  const troubleOf = (applied: Applied) => {
    if (applied.kind !== 'trouble') throw new Error(`wanted trouble; found ${JSON.stringify(applied)}`);
    return applied.trouble;
  };
  const refusal = (route: Route) => {
    if (route.ok) throw new Error('wanted trouble; the route was read');
    return route;
  };
  const versionOf = (world: MeshWorld): string => world.now().metadata.resourceVersion ?? '';
  const entry = (object: Loose, pointer: string): Loose =>
    pointer
      .split('/')
      .slice(1)
      .reduce<unknown>((node, part) => (node as Loose)[part], object) as Loose;
  /** Somebody else takes all weight off the canary. */
  const meddle = (world: MeshWorld): KubeObject =>
    world.edit((spec) => {
      const [stable, canary] = moved.map((pointer) => entry({ spec }, pointer));
      if (stable !== undefined) stable['weight'] = 1;
      if (canary !== undefined) canary['weight'] = 0;
    });

  describe('a reading', () => {
    it('gives the share that the object asks for, no stamp, the resourceVersion and the last writer', async () => {
      const world = await setUp();
      expect(await world.read()).toMatchObject({
        ok: true,
        canaryWeight: 10,
        stamp: null,
        token: versionOf(world),
        lastWriter: expect.stringMatching(/^helm \(Update\) at 20/),
      });
      expect(world.router.object).toMatch(/^\w+ production\/myapp/);
    });

    it('names who changed the weights behind our back', async () => {
      const world = await setUp();
      await step(world, decision(25));
      meddle(world);
      const route = await world.read();
      expect(route.canaryWeight).toBe(0);
      expect(route.stamp).toEqual(decision(25).stamp);
      expect(route.lastWriter).toContain('kubectl-edit');
    });

    it('comes from a watched copy where asked for no more, and knows our own write at once', async () => {
      const world = await setUp();
      const kube = await world.connect({ watchAfter: 0 });
      const router = world.open(kube);
      await router.read();
      const gets = world.api.requests.count('get', plural);
      const seen = await router.read();
      if (!seen.ok) throw new Error(seen.message);
      expect(world.api.requests.count('get', plural)).toBe(gets);
      expect(world.api.requests.count('watch', plural)).toBe(1);
      expect((await router.apply(decision(25), seen.token)).kind).toBe('applied');
      expect(await router.read()).toMatchObject({ canaryWeight: 25, stamp: decision(25).stamp });
      expect(world.api.requests.count('get', plural)).toBe(gets);
    });
  });

  describe('a write', () => {
    it('is read back with its weight and stamp', async () => {
      const world = await setUp();
      expect(await step(world, decision(25))).toEqual({
        kind: 'applied',
        token: versionOf(world),
        before: 10,
        after: 25,
      });
      expect(await world.read()).toMatchObject({
        canaryWeight: 25,
        stamp: decision(25).stamp,
        token: versionOf(world),
      });
      expect(stampOn(world.now())).toEqual(decision(25).stamp);
    });

    it.each([0, 1, 33, 99, 100])('of %d is exact', async (weight) => {
      const world = await setUp();
      await step(world, decision(weight));
      expect((await world.read()).canaryWeight).toBe(weight);
    });

    it('leaves every other field byte for byte as it is, over a whole rollout', async () => {
      const world = await setUp();
      const before = untouched(world.now(), moved);
      for (const [n, weight] of [5, 25, 50, 100, 0].entries()) {
        expect((await step(world, decision(weight, n + 1))).kind).toBe('applied');
        expect(untouched(world.now(), moved)).toBe(before);
      }
    });

    it('is one request, one generation, under our field manager', async () => {
      const world = await setUp();
      const { token } = await world.read();
      const { generation = 0 } = world.now().metadata;
      world.api.requests.reset();
      await world.router.apply(decision(25), token);
      expect(world.api.requests.verbs).toEqual({ patch: 1 });
      expect(world.now().metadata.generation).toBe(generation + 1);
      expect(world.api.journal.at(-1)).toMatchObject({ verb: 'patch', fieldManager: 'sluice', changed: true });
    });

    it('made twice is stored once', async () => {
      const world = await setUp();
      await step(world, decision(25));
      world.api.requests.reset();
      expect(await step(world, decision(25))).toEqual({
        kind: 'applied',
        token: versionOf(world),
        before: 25,
        after: 25,
      });
      expect(world.api.requests.count('patch', plural)).toBe(0);
      expect(world.writes()).toBe(1);
    });

    it('stamps also where the weight is right already', async () => {
      const world = await setUp();
      await step(world, decision(10, 4));
      expect((await world.read()).stamp?.generation).toBe(4);
      expect(world.writes()).toBe(1);
    });

    it('under a stale token is a conflict, and the change of the other stays', async () => {
      const world = await setUp();
      const { token } = await world.read();
      meddle(world);
      const stored = versionOf(world);
      expect(await world.router.apply(decision(25), token)).toEqual({ kind: 'conflict' });
      expect(await world.open().apply(decision(25), token)).toEqual({ kind: 'conflict' });
      expect(versionOf(world)).toBe(stored);
    });

    it.each([
      ['another rollout', { rollout: 'r-2', epoch: 8, generation: 1 }],
      ['this rollout', { rollout: 'r-1', epoch: 7, generation: 6 }],
    ])('older than the stamp of %s is superseded, and nothing is stored', async (_, stamp) => {
      const world = await setUp();
      await step(world, decision(0, 1, { stamp }));
      const stored = versionOf(world);
      expect(await step(world, decision(50, 5))).toEqual({ kind: 'superseded', by: stamp });
      expect(versionOf(world)).toBe(stored);
      expect(world.writes()).toBe(1);
    });

    it('by a worker that slept through a rollback is refused', async () => {
      const world = await setUp();
      const sleeper = world.open();
      const { token } = await world.read(sleeper);
      await step(world, decision(0, 2));
      expect(await sleeper.apply(decision(50, 1), token)).toEqual({ kind: 'superseded', by: decision(0, 2).stamp });
      expect((await world.read()).canaryWeight).toBe(0);
    });

    it('by eight workers at once, each with its own decision: the newest stands and no older one after it', async () => {
      const world = await setUp();
      const made = [1, 2, 3, 4, 5, 6, 7, 8].map((generation) => decision(generation * 10, generation));
      await Promise.all(
        made.map(async (one) => {
          const router = world.open();
          for (;;) {
            const applied = await router.apply(one, (await world.read(router)).token);
            if (applied.kind === 'applied' || applied.kind === 'superseded') return;
            if (applied.kind === 'trouble') throw new Error(applied.trouble.message);
          }
        }),
      );
      expect(await world.read()).toMatchObject({ canaryWeight: 80, stamp: decision(80, 8).stamp });
      const generations = world.api.journal
        .filter((w) => w.fieldManager === 'sluice')
        .map((w) => stampOn(w.after as KubeObject)?.generation ?? 0);
      expect(generations).toEqual([...generations].sort((a, b) => a - b));
    });
  });

  describe('a rehearsal', () => {
    it('is validated by the server and stores nothing', async () => {
      const world = await setUp();
      const { token } = await world.read();
      world.api.requests.reset();
      const text = JSON.stringify(world.now());
      expect(await world.router.rehearse(decision(25), token)).toEqual({
        kind: 'applied',
        token,
        before: 10,
        after: 25,
      });
      expect(world.api.requests.count('patch', plural)).toBe(1);
      expect(JSON.stringify(world.now())).toBe(text);
      expect(await world.router.apply(decision(25), token)).toMatchObject({ kind: 'applied' });
    });
  });

  describe('trouble', () => {
    it('the object is missing', async () => {
      const world = await setUp();
      const { token } = await world.read();
      world.api.remove(group, plural, 'production', world.now().metadata.name);
      const route = refusal(await world.router.read());
      expect(route.code).toBe('not_found');
      expect(route.message).toContain(world.router.object);
      expect(troubleOf(await world.router.apply(decision(25), token)).code).toBe('not_found');
      expect(troubleOf(await world.open().apply(decision(25), token)).code).toBe('not_found');
      expect(world.writes()).toBe(0);
    });

    it('the kind is not served', async () => {
      const world = await setUp();
      world.api.unserve(group, plural);
      const route = refusal(await world.open(await world.connect()).read());
      expect(route.code).toBe('crd_missing');
      expect(route.message).toContain(`${plural}.${group}`);
    });

    it('the kind stops being served while we talk to it', async () => {
      const world = await setUp();
      await world.read();
      world.api.unserve(group, plural);
      expect(refusal(await world.router.read({ fresh: true })).code).toBe('crd_missing');
    });

    it('access is forbidden: the message names the right that is missing', async () => {
      const world = await setUp();
      world.api.grant('reader', {
        user: 'reader',
        rules: mesh.rbac.map((rule) => ({ ...rule, verbs: ['get', 'list', 'watch'] })),
      });
      world.api.grant('nobody', { user: 'nobody', rules: [] });
      const read = refusal(await world.open(await world.connect({ token: 'nobody' })).read());
      expect(read.code).toBe('forbidden');
      expect(read.message).toContain(`patch on ${plural}.${group}`);
      const reader = world.open(await world.connect({ token: 'reader' }));
      const stored = versionOf(world);
      const written = troubleOf(await reader.apply(decision(25), (await world.read(reader)).token));
      expect(written.code).toBe('forbidden');
      expect(written.message).toContain('patch');
      expect(versionOf(world)).toBe(stored);
    });

    it('credentials are not accepted', async () => {
      const world = await setUp();
      world.api.grant('someone', { user: 'someone', rules: [] });
      expect(refusal(await world.open(await world.connect({ token: 'stranger' })).read()).code).toBe('unauthorized');
    });

    it('the server hangs: every call ends by its deadline', async () => {
      const world = await setUp();
      const router = world.open(await world.connect({ timeoutMs: 200 }));
      const { token } = await world.read(router);
      world.api.fail({ hang: true });
      const started = performance.now();
      expect(refusal(await router.read({ fresh: true })).code).toBe('timeout');
      expect(troubleOf(await router.rehearse(decision(25), token)).code).toBe('timeout');
      // The write, and the look at what became of it.
      expect(troubleOf(await router.apply(decision(25), token)).code).toBe('timeout');
      expect(performance.now() - started).toBeLessThan(4 * 200 + 1_000);
      expect(world.writes()).toBe(0);
    });

    it.each([
      ['hangs', { hang: true }],
      ['cuts the connection', { drop: true }],
      ['answers 504', { status: 504 }],
      ['answers 500', { status: 500 }],
    ])('the server stores the write and then %s: the object tells, and it counts as applied', async (_, fault) => {
      const world = await setUp();
      const router = world.open(await world.connect({ timeoutMs: 300 }));
      const { token } = await world.read(router);
      world.api.fail({ verb: 'patch', after: true, ...fault });
      expect(await router.apply(decision(25), token)).toEqual({
        kind: 'applied',
        token: versionOf(world),
        before: 10,
        after: 25,
      });
      expect(world.writes()).toBe(1);
    });

    it.each([
      ['cuts the connection', { drop: true }, 'unavailable'],
      ['answers 503', { status: 503, retryAfter: 3 }, 'unavailable'],
      ['answers 429', { status: 429, retryAfter: 3 }, 'unavailable'],
      ['has a webhook out of reach', { status: 500, message: 'failed calling webhook "x": timed out' }, 'unavailable'],
      [
        'has a webhook that denies',
        { status: 400, message: 'admission webhook "x" denied the request: no' },
        'rejected',
      ],
    ] as const)(
      'the server %s before the write: trouble, in its own words, and nothing stored',
      async (_, fault, code) => {
        const world = await setUp();
        const { token } = await world.read();
        const stored = versionOf(world);
        world.api.fail({ verb: 'patch', ...fault });
        const trouble = troubleOf(await world.router.apply(decision(25), token));
        expect(trouble.code).toBe(code);
        expect(trouble.message).toContain(world.router.object);
        if ('message' in fault) expect(trouble.message).toContain(fault.message);
        if ('retryAfter' in fault) expect(trouble.retryAfter).toBe(3);
        expect(versionOf(world)).toBe(stored);
      },
    );

    it('the server answers 409 although nobody wrote: a conflict', async () => {
      const world = await setUp();
      const { token } = await world.read();
      world.api.fail({ verb: 'patch', status: 409, times: 1 });
      expect(await world.router.apply(decision(25), token)).toEqual({ kind: 'conflict' });
      expect((await step(world, decision(25))).kind).toBe('applied');
    });

    it('the server answers 200 and has dropped the weights', async () => {
      const world = await setUp();
      const { token } = await world.read();
      const pruned = structuredClone(world.now()) as unknown as Loose;
      for (const pointer of moved) delete entry(pruned, pointer)['weight'];
      const body = { contentType: 'application/json', text: JSON.stringify(pruned) };
      world.api.fail({ verb: 'patch', status: 200, body, after: true });
      const trouble = troubleOf(await world.router.apply(decision(25), token));
      expect(trouble.code).toBe('shape');
      expect(trouble.message).toContain('kept something else');
    });

    it('an entry of the split is gone: the refusal names it, and nothing is stored', async () => {
      const world = await setUp();
      const { token } = await world.read();
      world.edit((spec) => {
        const [first = ''] = moved;
        const list = entry({ spec }, first.slice(0, first.lastIndexOf('/'))) as unknown as unknown[];
        list.pop();
      });
      const stored = versionOf(world);
      const trouble = troubleOf(await world.open().apply(decision(25), versionOf(world)));
      expect(trouble.code).toMatch(/canary_absent|rule_not_found/);
      expect(trouble.message).toContain(world.router.object);
      expect((await world.open().apply(decision(25), token)).kind).toBe('conflict');
      expect(versionOf(world)).toBe(stored);
    });
  });

  describe('rights and checks', () => {
    it('the rights that it asks for are enough for everything that it does, and none is left over', async () => {
      const world = await setUp();
      world.api.grant('sluice', { user: 'sluice', rules: mesh.rbac });
      world.api.requests.reset();
      const kube = await world.connect({ token: 'sluice', watchAfter: 0 });
      const router = world.open(kube);
      const seen = await router.read();
      if (!seen.ok) throw new Error(seen.message);
      const { token } = await world.read(router);
      expect((await router.rehearse(decision(25), token)).kind).toBe('applied');
      expect((await router.apply(decision(25), token)).kind).toBe('applied');
      const unused = mesh.rbac.flatMap(({ resources, verbs }) =>
        resources.flatMap((resource) =>
          verbs.filter((verb) => world.api.requests.count(verb, resource) === 0).map((verb) => `${verb} ${resource}`),
        ),
      );
      expect(unused).toEqual([]);
    });

    it('what could not be looked at is said, and passes nothing', async () => {
      const world = await setUp();
      world.api.fail({ verb: 'list', status: 403, message: 'lists are forbidden' });
      const found = await inspected(mesh.target.parse(mesh.example), world.kube);
      const unread = found.filter(({ level }) => level === 'unknown');
      expect(unread.map(({ check }) => check)).toEqual(
        expect.arrayContaining(['injection.namespace', 'injection.pods', 'mesh.installed', 'sidecar.resources']),
      );
      for (const { message } of unread) expect(message).toMatch(/^not checked: .*(lists are forbidden|does not serve)/);
    });

    it('says where its weights stand', async () => {
      const world = await setUp();
      const place = mesh.place(mesh.target.parse(mesh.example));
      expect([place.group, place.plural, place.name]).toEqual([group, plural, world.now().metadata.name]);
      expect(place.kind).toBe(world.now().kind);
      expect(place.weights).toMatch(new RegExp(`^\\.spec\\.${place.field}\\[\\]\\..*weight$`));
    });
  });

  it('has views for its metrics, at least one of which shows the share', () => {
    const views = mesh.views(mesh.target.parse(mesh.example));
    expect(views.some((view) => view.share)).toBe(true);
    for (const view of views) expect(['deployment', 'service']).toContain(view.key);
  });
});
