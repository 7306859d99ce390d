/** The write protocol against a server that misbehaves in every way that a router must survive. */
import { describe, expect, it } from 'vitest';
import type { KubeClient, KubeObject, PatchOp } from '../../src/adapters/kubernetes/kube.ts';
import istio from '../../src/adapters/meshes/istio.ts';
import { DECISION_ANNOTATION } from '../../src/adapters/routes/decision.ts';
import type { Applied } from '../../src/app/ports.ts';
import type { RouteReading } from '../../src/domain/observation.ts';
import { memoryKube } from '../support/memory-kube.ts';
import type { Faults } from '../support/mesh-faults.ts';
import { faulty, kubeTrouble } from '../support/mesh-faults.ts';
import { decision, istioTarget, targetOf, threeRules } from '../support/mesh-objects.ts';

function setUp(object: KubeObject = threeRules()) {
  const server = memoryKube();
  server.put(object);
  let faults: Faults = {};
  const kube = faulty(server, () => faults);
  const open = () => istio.open(targetOf(istio, istioTarget()), kube);
  return {
    server,
    kube,
    open,
    router: open(),
    now: () => server.object('myapp') as KubeObject,
    break: (next: Faults) => {
      faults = next;
    },
  };
}

type World = ReturnType<typeof setUp>;

const reading = async ({ router }: World): Promise<RouteReading> => {
  const route = await router.read({ fresh: true });
  if (!route.ok) throw new Error(route.message);
  return route;
};

const edit = (world: World, change: (spec: { http: { route: { weight: number }[] }[] }) => void): void => {
  const copy = structuredClone(world.now()) as unknown as { spec: { http: { route: { weight: number }[] }[] } };
  change(copy.spec);
  world.server.put(copy as unknown as KubeObject, 'kubectl-edit');
};

const troubleOf = (applied: Applied) => {
  if (applied.kind !== 'trouble') throw new Error(`wanted trouble; found ${applied.kind}`);
  return applied.trouble;
};

describe('one write', () => {
  it('changes two weights and one annotation in one patch, and says what was before', async () => {
    const world = setUp();
    const { token } = await reading(world);
    const applied = await world.router.apply(decision(25), token);
    expect(applied).toEqual({ kind: 'applied', token: world.now().metadata.resourceVersion, before: 10, after: 25 });
    expect(world.kube.asked).toMatchObject({ gets: 1, patches: 1 });
    expect(await reading(world)).toMatchObject({ canaryWeight: 25, stamp: decision(25).stamp });
  });

  it('holds the resourceVersion, tests what it touches and names no other field', async () => {
    const object = threeRules() as unknown as { spec: { http: { name?: string }[] } };
    (object.spec.http[1] as { name?: string }).name = 'api';
    const world = setUp(object as unknown as KubeObject);
    const sent: (readonly PatchOp[])[] = [];
    const spying = {
      ...world.kube,
      patch: (...[ref, ops, options]: Parameters<KubeClient['patch']>) => {
        sent.push(structuredClone(ops));
        return world.kube.patch(ref, ops, options);
      },
    };
    const router = istio.open(targetOf(istio, istioTarget()), spying);
    const { token } = await reading(world);
    await router.apply(decision(25), token);
    const split = '/spec/http/1/route';
    expect(sent).toEqual([
      [
        { op: 'replace', path: '/metadata/resourceVersion', value: token },
        { op: 'test', path: '/spec/http/1/name', value: 'api' },
        { op: 'test', path: `${split}/0/destination`, value: { host: 'myapp', subset: 'v1' } },
        { op: 'replace', path: `${split}/0/weight`, value: 75 },
        { op: 'test', path: `${split}/1/destination`, value: { host: 'myapp', subset: 'v2' } },
        { op: 'replace', path: `${split}/1/weight`, value: 25 },
        { op: 'add', path: '/metadata/annotations', value: {} },
        {
          op: 'add',
          path: '/metadata/annotations/sluice.dev~1decision',
          value: expect.stringContaining('"to":25'),
        },
      ],
    ]);
  });

  it('needs no second read when the object was just read, and one when it was not', async () => {
    const world = setUp();
    const { token } = await reading(world);
    expect((await world.open().apply(decision(25), token)).kind).toBe('applied');
    expect(world.kube.asked).toMatchObject({ gets: 2, patches: 1 });
  });

  it('made twice is written once', async () => {
    const world = setUp();
    const { token } = await reading(world);
    const first = await world.router.apply(decision(25), token);
    if (first.kind !== 'applied') throw new Error(first.kind);
    expect(await world.router.apply(decision(25), first.token)).toEqual({
      kind: 'applied',
      token: first.token,
      before: 25,
      after: 25,
    });
    expect(world.kube.asked.patches).toBe(1);
  });

  it('stamps a weight that is already right: that is the fence', async () => {
    const world = setUp();
    const { token } = await reading(world);
    expect((await world.router.apply(decision(10, 2), token)).kind).toBe('applied');
    expect(world.kube.asked.patches).toBe(1);
    expect((await reading(world)).stamp?.generation).toBe(2);
  });

  it('writes over an equal stamp of another rollout: it is not newer, and it is not ours', async () => {
    const world = setUp();
    await world.router.apply(
      decision(10, 1, { stamp: { rollout: 'r-0', epoch: 7, generation: 1 } }),
      (await reading(world)).token,
    );
    await world.router.apply(decision(10), (await reading(world)).token);
    expect((await reading(world)).stamp).toEqual(decision(10).stamp);
  });

  it('puts back the weight under the same stamp after somebody changed it', async () => {
    const world = setUp();
    await world.router.apply(decision(25), (await reading(world)).token);
    edit(world, (spec) => {
      (spec.http[1]?.route[1] as { weight: number }).weight = 60;
    });
    const seen = await reading(world);
    expect(seen.stamp).toEqual(decision(25).stamp);
    expect(seen.canaryWeight).toBeCloseTo((100 * 60) / 135);
    expect((await world.router.apply(decision(25), seen.token)).kind).toBe('applied');
    expect((await reading(world)).canaryWeight).toBe(25);
  });

  it('adds the map of annotations only where there is none', async () => {
    const object = threeRules();
    const world = setUp({ ...object, metadata: { ...object.metadata, annotations: { team: 'shop' } } });
    await world.router.apply(decision(25), (await reading(world)).token);
    expect(world.now().metadata.annotations).toEqual({ team: 'shop', [DECISION_ANNOTATION]: expect.any(String) });
  });
});

describe('the fence', () => {
  it('a token that is not the present one is a conflict, and nothing is written', async () => {
    const world = setUp();
    const { token } = await reading(world);
    edit(world, (spec) => {
      (spec.http[0]?.route[0] as { weight: number }).weight = 1;
    });
    const { resourceVersion } = world.now().metadata;
    // Once with the object still at hand (the server decides), once without (the router sees it).
    expect((await world.router.apply(decision(25), token)).kind).toBe('conflict');
    expect(world.kube.asked.patches).toBe(1);
    expect((await world.open().apply(decision(25), token)).kind).toBe('conflict');
    expect(world.kube.asked.patches).toBe(1);
    expect(world.now().metadata.resourceVersion).toBe(resourceVersion);
  });

  it.each([
    ['of a later rollout', { rollout: 'r-2', epoch: 8, generation: 1 }],
    ['of a later decision of this rollout', { rollout: 'r-1', epoch: 7, generation: 9 }],
  ])('a stamp %s supersedes: nothing is sent', async (_, stamp) => {
    const world = setUp();
    await world.router.apply(decision(0, 1, { stamp }), (await reading(world)).token);
    const { resourceVersion } = world.now().metadata;
    const { token } = await reading(world);
    expect(await world.router.apply(decision(25, 3), token)).toEqual({ kind: 'superseded', by: stamp });
    expect(await world.open().apply(decision(25, 3), 'stale')).toEqual({ kind: 'superseded', by: stamp });
    expect(await world.router.rehearse(decision(25, 3), token)).toEqual({ kind: 'superseded', by: stamp });
    expect(world.now().metadata.resourceVersion).toBe(resourceVersion);
    expect(world.kube.asked.patches).toBe(1);
  });

  it('a worker that stalled before a rollback cannot raise the weight after it', async () => {
    const world = setUp();
    const stalled = world.open();
    const seen = await stalled.read();
    if (!seen.ok) throw new Error(seen.message);
    await world.router.apply(decision(0, 5), (await reading(world)).token);
    expect((await stalled.apply(decision(5, 4), seen.token)).kind).toBe('superseded');
    const again = await stalled.read();
    if (!again.ok) throw new Error(again.message);
    expect((await stalled.apply(decision(5, 4), again.token)).kind).toBe('superseded');
    expect((await reading(world)).canaryWeight).toBe(0);
  });

  it('two workers with one decision write it once, and both see it in place', async () => {
    const world = setUp();
    const twin = world.open();
    const [one, two] = [await reading(world), await twin.read()];
    if (!two.ok) throw new Error(two.message);
    const applied = await world.router.apply(decision(25), one.token);
    expect(await twin.apply(decision(25), two.token)).toEqual(applied);
    expect(world.server.journal).toHaveLength(1);
  });

  it('after a conflict the object is looked at once, so that a cache learns of the change', async () => {
    const world = setUp();
    const { token } = await reading(world);
    world.break({ beforePatch: () => edit(world, (spec) => spec.http.reverse()) });
    expect((await world.router.apply(decision(25), token)).kind).toBe('conflict');
    expect(world.kube.asked).toMatchObject({ gets: 2, patches: 1 });
  });

  it('a malformed annotation is no stamp and is replaced', async () => {
    const object = threeRules();
    const world = setUp({ ...object, metadata: { ...object.metadata, annotations: { [DECISION_ANNOTATION]: '{' } } });
    const seen = await reading(world);
    expect(seen.stamp).toBeNull();
    expect((await world.router.apply(decision(25), seen.token)).kind).toBe('applied');
    expect((await reading(world)).stamp).toEqual(decision(25).stamp);
  });
});

describe('a rehearsal', () => {
  it('asks the server and stores nothing', async () => {
    const world = setUp();
    const { token } = await reading(world);
    const before = JSON.stringify(world.now());
    expect(await world.router.rehearse(decision(25), token)).toEqual({ kind: 'applied', token, before: 10, after: 25 });
    expect(world.kube.asked).toMatchObject({ patches: 0, dryRuns: 1 });
    expect(JSON.stringify(world.now())).toBe(before);
  });

  it('says what the admission webhook says', async () => {
    const world = setUp();
    const words = 'admission webhook "rev.validation.istio.io" denied the request: total destination weight = 0';
    const { token } = await reading(world);
    world.break({ patchAnswers: () => kubeTrouble('rejected', 400, words) });
    const { code, message } = troubleOf(await world.router.rehearse(decision(25), token));
    expect(code).toBe('rejected');
    expect(message).toContain(words);
    expect(message).toContain('VirtualService production/myapp');
  });

  it('does not look for a write after a time-out: there was none to make', async () => {
    const world = setUp();
    const { token } = await reading(world);
    world.break({ patchAnswers: () => kubeTrouble('timeout', null) });
    expect(troubleOf(await world.router.rehearse(decision(25), token)).code).toBe('timeout');
    expect(world.kube.asked.gets).toBe(1);
  });
});

describe('a patch without an answer', () => {
  const silences = [
    ['timed out', kubeTrouble('timeout', null)],
    ['lost its connection', kubeTrouble('unavailable', null)],
    ['met a gateway that gave up', kubeTrouble('unavailable', 504)],
  ] as const;

  it.each(silences)('that %s but was stored counts as applied', async (_, silence) => {
    const world = setUp();
    const { token } = await reading(world);
    world.break({ patchAnswered: () => silence });
    expect(await world.router.apply(decision(25), token)).toEqual({
      kind: 'applied',
      token: world.now().metadata.resourceVersion,
      before: 10,
      after: 25,
    });
  });

  it.each(silences)('that %s and was not stored is trouble', async (_, silence) => {
    const world = setUp();
    const { token } = await reading(world);
    world.break({ patchAnswers: () => silence });
    expect(troubleOf(await world.router.apply(decision(25), token)).code).toBe(silence.code);
    expect((await reading(world)).canaryWeight).toBe(10);
  });

  it('is trouble when the object cannot be read either', async () => {
    const world = setUp();
    const { token } = await reading(world);
    world.break({
      patchAnswers: () => kubeTrouble('timeout', null),
      readAnswers: () => kubeTrouble('unavailable', 503),
    });
    expect(troubleOf(await world.router.apply(decision(25), token)).code).toBe('timeout');
  });

  it('is superseded when a newer decision was stored meanwhile', async () => {
    const world = setUp();
    const { token } = await reading(world);
    const other = world.open();
    world.break({ patchAnswers: () => kubeTrouble('timeout', null) });
    const pending = async () => {
      const seen = await other.read();
      if (!seen.ok) throw new Error(seen.message);
      world.break({});
      await other.apply(decision(0, 9), seen.token);
      world.break({ patchAnswers: () => kubeTrouble('timeout', null) });
    };
    await pending();
    expect(await world.router.apply(decision(25), token)).toEqual({ kind: 'superseded', by: decision(0, 9).stamp });
  });

  it('is not repeated after 429: the server says when', async () => {
    const world = setUp();
    const { token } = await reading(world);
    world.break({ patchAnswers: () => ({ ...kubeTrouble('unavailable', 429), retryAfter: 7 }) });
    expect(troubleOf(await world.router.apply(decision(25), token))).toMatchObject({
      code: 'unavailable',
      retryAfter: 7,
    });
    expect(world.kube.asked.gets).toBe(1);
  });
});

describe('a patch that the server cannot apply (422)', () => {
  const invalid = kubeTrouble('invalid', 422, 'the server rejected our request due to an error in our request');

  it('is a conflict when the object has moved on but still splits', async () => {
    const world = setUp();
    const { token } = await reading(world);
    world.break({
      patchAnswers: () => {
        edit(world, (spec) => {
          spec.http.reverse();
        });
        return invalid;
      },
    });
    expect((await world.router.apply(decision(25), token)).kind).toBe('conflict');
  });

  it('is the new refusal when the destinations are gone', async () => {
    const world = setUp();
    const { token } = await reading(world);
    world.break({
      patchAnswers: () => {
        edit(world, (spec) => {
          spec.http[1]?.route.pop();
          spec.http.shift();
        });
        return invalid;
      },
    });
    expect(troubleOf(await world.router.apply(decision(25), token)).code).toBe('canary_absent');
  });

  it('is a rejection when nothing moved: the schema said no', async () => {
    const world = setUp();
    const { token } = await reading(world);
    world.break({ patchAnswers: () => invalid });
    const { code, message } = troubleOf(await world.router.apply(decision(25), token));
    expect(code).toBe('rejected');
    expect(message).toContain('the server rejected our request');
  });
});

describe('an answer of 200 that is not what was sent', () => {
  const kept = (
    change: (object: {
      metadata: { annotations: Record<string, string> };
      spec: { http: { route: { weight?: number }[] }[] };
    }) => void,
  ): Faults => ({
    patchAnswered: (answer) => {
      if (!answer.ok) return answer;
      const copy = structuredClone(answer.value) as never;
      change(copy);
      return { ok: true, value: copy };
    },
  });

  it('is trouble when the weights were dropped', async () => {
    const world = setUp();
    const { token } = await reading(world);
    world.break(
      kept(({ spec }) => {
        for (const entry of spec.http[1]?.route ?? []) delete entry.weight;
      }),
    );
    const { code, message } = troubleOf(await world.router.apply(decision(25), token));
    expect(code).toBe('shape');
    expect(message).toContain('kept something else');
  });

  it('is trouble when the decision was dropped', async () => {
    const world = setUp();
    const { token } = await reading(world);
    world.break(kept(({ metadata }) => delete metadata.annotations[DECISION_ANNOTATION]));
    const { code, message } = troubleOf(await world.router.apply(decision(25), token));
    expect(code).toBe('shape');
    expect(message).toContain(DECISION_ANNOTATION);
  });
});

describe('trouble while reading', () => {
  it.each([
    ['not_found', 404, 'not_found', 'Create it'],
    ['unauthorized', 401, 'unauthorized', ''],
    ['forbidden', 403, 'forbidden', 'get, list, watch and patch on virtualservices.networking.istio.io'],
    ['timeout', null, 'timeout', 'tried again'],
    ['unavailable', 503, 'unavailable', 'tried again'],
  ] as const)('%s (%s) is %s, and says what to do', async (found, status, code, remedy) => {
    const world = setUp();
    world.break({ readAnswers: () => kubeTrouble(found, status, 'what the server said') });
    const route = await world.router.read();
    if (route.ok) throw new Error('wanted trouble');
    expect(route.code).toBe(code);
    expect(route.message).toContain('VirtualService production/myapp');
    expect(route.message).toContain('what the server said');
    expect(route.message).toContain(remedy);
    expect(await world.router.apply(decision(25), '1')).toMatchObject({ kind: 'trouble', trouble: { code } });
    expect(world.kube.asked.patches).toBe(0);
  });

  it('keeps the time that the server asked to wait', async () => {
    const world = setUp();
    world.break({ readAnswers: () => ({ ...kubeTrouble('unavailable', 429), retryAfter: 12 }) });
    expect(await world.router.read()).toMatchObject({ ok: false, code: 'unavailable', retryAfter: 12 });
  });
});

describe('versions of the API', () => {
  it('talks the preferred one', async () => {
    const world = setUp();
    world.break({ versions: ['v1beta1', 'v1', 'v1alpha3'] });
    await world.router.read();
    expect(world.kube.asked.versions).toEqual(['v1beta1']);
  });

  it('falls back where the group has a version that the kind lacks, and remembers it', async () => {
    const world = setUp();
    world.break({ versions: ['v1', 'v1alpha3', 'v1beta1'], notServedAt: ['v1'] });
    expect((await world.router.read()).ok).toBe(true);
    await world.router.read();
    expect(world.kube.asked.versions).toEqual(['v1', 'v1beta1', 'v1beta1']);
  });

  it('looks again when the version that it talked is no longer served', async () => {
    const world = setUp();
    world.break({ versions: ['v1', 'v1beta1'], notServedAt: ['v1'] });
    await world.router.read();
    world.break({ versions: ['v1'], notServedAt: ['v1beta1'] });
    expect((await world.router.read()).ok).toBe(true);
    expect(world.kube.asked.versions.at(-1)).toBe('v1');
  });

  it.each([
    ['the group is absent', [], []],
    ['the kind is absent', ['v1'], ['v1']],
    ['only an unknown version is there', ['v9'], []],
  ])('says that the cluster does not serve the kind when %s', async (_, versions, notServedAt) => {
    const world = setUp();
    world.break({ versions, notServedAt });
    const route = await world.router.read();
    expect(route).toMatchObject({ ok: false, code: 'crd_missing' });
    expect(route.ok ? '' : route.message).toContain('virtualservices.networking.istio.io');
    expect(route.ok ? '' : route.message).toContain('istioctl install');
  });
});
