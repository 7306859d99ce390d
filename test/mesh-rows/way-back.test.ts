/** Nobody is left on a canary that has been sent back, and nobody is sent back to a version that has been left. */
import { Client } from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import { istioTarget } from '../support/mesh-objects.ts';
import { seedCluster } from '../support/seed-cluster.ts';
import { planOf, type Whole, wholeService } from '../support/whole-service.ts';

interface HttpRule {
  readonly name?: string;
  readonly match?: readonly { readonly uri?: object }[];
  route: { readonly destination: { readonly host: string; readonly subset: string }; weight?: number }[];
}

let whole: Whole;
beforeEach(async () => {
  whole = await wholeService({ objects: await seedCluster('istio') });
  edit((rules) => setWeights(rules[1], 100, 0));
});
afterEach(() => whole?.close());

const stored = (): KubeObject => whole.stored('networking.istio.io', 'virtualservices', 'myapp');
const rulesOf = (object: KubeObject): HttpRule[] => (object.spec as { http: HttpRule[] }).http;

/** As `kubectl edit` by somebody. */
function edit(change: (rules: HttpRule[]) => void): void {
  const copy = structuredClone(stored());
  change(rulesOf(copy));
  const { generation: _, ...metadata } = copy.metadata;
  whole.api.put({ ...copy, metadata }, { manager: 'kubectl-edit' });
}

function setWeights(rule: HttpRule | undefined, stable: number, canary: number): void {
  const [one, other] = rule?.route ?? [];
  if (one === undefined || other === undefined) throw new Error('the rule has no two destinations');
  one.weight = stable;
  other.weight = canary;
}

const own = (): readonly string[] =>
  rulesOf(stored()).flatMap(({ name = '' }) => (name.startsWith('sluice') ? [name] : []));
const moves = (): readonly string[] =>
  whole.moves().map(({ after }) => {
    const rule = rulesOf(after).find(({ match, name = '' }) => match?.[0]?.uri && !name.startsWith('sluice'));
    return (rule?.route ?? []).map(({ weight }) => weight).join('/');
  });

describe('where somebody takes the canary out of the rule that is moved', () => {
  it.each([
    ['a step', { sessionAffinity: {} }, [{ weight: 50, hold: '10m' }], 50],
    ['a route by header', {}, [{ headerRoute: { header: 'x-tester', exact: 'yes' }, hold: '10m' }, { weight: 50 }], 0],
  ])(
    'an abort of %s takes the rollout’s own rules away before it says that traffic is back',
    async (_, more, steps, weight) => {
      const id = await whole.started(planOf(istioTarget({ index: 1 }), steps, more));
      await whole.until(
        id,
        ({ observedWeight, phase }) => observedWeight === weight && 'reachedAt' in phase && phase.reachedAt !== null,
      );
      expect(own().length).toBeGreaterThan(0);
      edit((rules) => {
        const rule = rules.find(({ match, name = '' }) => match?.[0]?.uri && !name.startsWith('sluice'));
        rule?.route.splice(1);
      });
      await whole.call('post', `/rollouts/${id}/abort`, {});
      const end = await whole.ended(id);
      expect(end.phase).toMatchObject({ status: 'aborted' });
      expect(own()).toEqual([]);
      const leads = rulesOf(stored()).filter(({ route }) =>
        route.some(({ destination }) => destination.subset === 'v2'),
      );
      // The document's own rule by header led to v2 before.
      expect(leads).toHaveLength(1);
    },
  );
});

describe('a rollout that waited for another one, which promoted the very version', () => {
  it('does not begin: its first step would send nearly everybody back', async () => {
    const target = istioTarget({ index: 1 });
    const first = await whole.started(planOf(target, [{ weight: 50, hold: '0s', approval: 'required' }]));
    await whole.until(first, ({ phase }) => phase.name === 'paused');
    const queued = await whole.call(
      'post',
      '/rollouts',
      planOf(target, [{ weight: 5, hold: '10m' }], { onConflict: 'queue' }),
    );
    await whole.call('post', `/rollouts/${first}/promote`, {});
    expect((await whole.ended(first)).phase).toMatchObject({ status: 'succeeded' });
    const { phase } = await whole.ended((queued.body as { id: string }).id);
    expect(phase).toMatchObject({
      status: 'rolled_back',
      outcome: { code: 'starting_point', message: expect.stringMatching(/100 % already.*Swap stable and canary/) },
    });
    expect(new Set(moves())).toEqual(new Set(['50/50', '0/100']));
  });
});

describe('a rollout that waited while the mesh around the route changed', () => {
  const target = istioTarget({ index: 1 });
  const waits = planOf(target, [{ weight: 5, hold: '10m' }], { onConflict: 'queue' });

  /** Queued behind another one, and accepted `ago` minutes before now. */
  async function queued(ago: number): Promise<{ readonly first: string; readonly second: string }> {
    const first = await whole.started(planOf(target, [{ weight: 50, hold: '10m' }]));
    await whole.until(first, ({ observedWeight }) => observedWeight === 50);
    const { body } = await whole.call('post', '/rollouts', waits);
    const database = new Client({ connectionString: whole.settings.databaseUrl });
    await database.connect();
    await database.query(`update rollout set created_at = created_at - $2 * interval '1 minute' where id = $1`, [
      body.id,
      ago,
    ]);
    await database.end();
    return { first, second: body.id };
  }

  function dropSubset(): void {
    const { metadata, spec, ...rest } = whole.stored('networking.istio.io', 'destinationrules', 'myapp');
    const { generation: _, ...kept } = metadata;
    const { subsets } = spec as { subsets: readonly { readonly name: string }[] };
    const left = { ...(spec as object), subsets: subsets.filter(({ name }) => name !== 'v2') };
    whole.api.put({ ...rest, metadata: kept, spec: left }, { manager: 'kubectl-edit' });
  }

  it('does not begin where the preflight would refuse it now, and says why', async () => {
    const { first, second } = await queued(5);
    dropSubset();
    expect((await whole.call('post', `/rollouts/${first}/abort`, {})).status).toBe(202);
    const { phase } = await whole.ended(second);
    expect(phase).toMatchObject({
      status: 'rolled_back',
      outcome: { code: 'preflight', message: expect.stringMatching(/^Not begun: .*nothing was written: .*v2/) },
    });
    expect(moves()).toEqual(['50/50', '100/0']);
  });

  it('begins where nothing has changed', async () => {
    const { first, second } = await queued(5);
    await whole.call('post', `/rollouts/${first}/abort`, {});
    await whole.until(second, ({ observedWeight }) => observedWeight === 5);
    expect(moves()).toEqual(['50/50', '100/0', '95/5']);
  });
});
