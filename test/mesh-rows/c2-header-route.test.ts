/** Row C2: testers reach the canary by a header or a cookie while its weight is 0, nobody else does, and the rule does not outlive the rollout. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Service } from '../../src/sandbox/demo/service.ts';
import type { Loop } from '../e2e/closed-loop.ts';
import { startLoop } from '../e2e/closed-loop.ts';
import type { IstioRules, Rule } from '../e2e/istio-rules.ts';
import { istioRules } from '../e2e/istio-rules.ts';
import type { Steps } from '../e2e/steps.ts';
import { learnt, stepsOf } from '../e2e/steps.ts';
import { query } from '../support/prometheus-query.ts';

type Headers = Record<string, string>;

/** What a plan may say, what meets it, and what comes near. */
const FORMS: readonly (readonly [form: string, route: object, meets: Headers, misses: readonly Headers[]])[] = [
  ['an exact header', { header: 'x-tester', exact: 'yes' }, { 'x-tester': 'yes' }, [{ 'x-tester': 'yes!' }]],
  ['a prefix', { header: 'x-group', prefix: 'beta-' }, { 'x-group': 'beta-7' }, [{ 'x-group': 'alpha-beta-7' }]],
  ['a regex', { header: 'x-user', regex: '[0-9]+0' }, { 'x-user': '120' }, [{ 'x-user': '12' }, { 'x-user': 'a120' }]],
  [
    'a cookie',
    { cookie: 'canary', exact: 'yes' },
    { cookie: 'a=b; canary=yes' },
    [{ cookie: 'canary=no' }, { cookie: 'not-canary=yes' }],
  ],
];

let loop: Loop;
let service: Service;
let steps: Steps;
let rules: IstioRules;
beforeAll(async () => {
  loop = await startLoop('istio');
  service = await loop.service('postgres');
  steps = stepsOf(loop, service);
  rules = istioRules(loop);
}, 90_000);
afterAll(() => loop?.stop());

const served = async (headers: Headers, times = 10): Promise<readonly unknown[]> => [
  ...new Set(await steps.asked(headers, times)),
];
/** Requests that the canary's own proxies counted. */
const counted = async (): Promise<number> =>
  (await query(loop.sandbox, 'sum(istio_requests_total{reporter="destination",destination_workload="myapp-v2"})')) ?? 0;
const nameOf = (rule: Rule): string => String(rule['name']);
const routesOf = (id: string): readonly string[] => FORMS.map((_, index) => `sluice-${id}-header-${index}`);
const LAST = FORMS.length - 1;
/** One step for each, the last of which waits for a person. */
const HEADER_STEPS = FORMS.map(([, headerRoute], index) => ({
  headerRoute,
  hold: '0s',
  ...(index === LAST ? { approval: 'required' } : {}),
}));

describe('routes by header', () => {
  it('take who asks for it to the canary at weight 0, nobody else, and are gone after the promotion', {
    timeout: 120_000,
  }, async () => {
    await loop.sandbox.release('myapp:header');
    const before = await rules.all();
    for (const [form, , meets] of FORMS) expect(await served(meets), `${form}, before`).toEqual(['myapp-v1']);
    const testers = before.findIndex((rule) => rule['name'] === 'testers');
    const silent = await counted();

    const { id } = await steps.started([...HEADER_STEPS, { weight: 50, hold: '2s' }]);
    await steps.reached(id, LAST);
    expect(await loop.sandbox.weight()).toBe(0);
    for (const [form, , meets, misses] of FORMS) {
      expect(await served(meets), form).toEqual(['myapp-v2']);
      for (const near of misses)
        expect(await served(near), `${form}, but ${JSON.stringify(near)}`).toEqual(['myapp-v1']);
    }
    expect(await served({}, 30)).toEqual(['myapp-v1']);
    // The data plane counts the testers' requests at the canary, and those alone.
    await expect.poll(counted, { timeout: 10_000 }).toBe(silent + FORMS.length * 10);

    const names = (await rules.all()).map(nameOf);
    expect(names.toSorted()).toEqual([...before.map(nameOf), ...routesOf(id)].toSorted());
    const weighted = names.indexOf('api');
    for (const own of routesOf(id)) expect(names.indexOf(own)).toBeLessThan(weighted);
    expect((await rules.all())[testers]).toEqual(before[testers]);

    await service.promote(id);
    const rollout = await steps.ended(id);
    expect(rollout.status, rollout.outcome?.message).toBe('succeeded');
    expect((await rules.all()).map(nameOf)).toEqual(before.map(nameOf));
  });

  it.each([
    [
      'a rollback',
      async () => loop.sandbox.setCanary({ errorRate: 0.5 }),
      { status: 'rolled_back', outcome: { check: 'errors' } },
    ],
    ['an abort', async (id: string) => service.abort(id), { status: 'aborted' }],
  ])(
    'are gone after %s too, and who asks for the canary gets the stable version',
    { timeout: 90_000 },
    async (_, ends, how) => {
      await loop.sandbox.release('myapp:header-bad');
      const before = await rules.all();
      const { id } = await steps.started([...HEADER_STEPS, { weight: 50, hold: '1m' }]);
      await steps.reached(id, LAST);
      await service.promote(id);
      await steps.reached(id, FORMS.length);
      expect(await rules.own()).toEqual(routesOf(id));
      await ends(id);
      const rollout = await steps.ended(id);
      expect(rollout, rollout.outcome?.message).toMatchObject(how);
      expect(await rules.all()).toEqual(before);
      await learnt();
      for (const [form, , meets] of FORMS) expect(await served(meets), form).toEqual(['myapp-v1']);
    },
  );
});
