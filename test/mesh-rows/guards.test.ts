/** What a plan says of guards, and what they do to a rollout. */
import { describe, expect, it } from 'vitest';
import { guardSpecs, loadGuards, loadMeshes } from '../../src/adapters/registry.ts';
import { planParser } from '../../src/app/plan-schema.ts';

const meshes = await loadMeshes();
const guards = await loadGuards();
const parserFor = (providers: readonly string[]) =>
  planParser(
    [...meshes.values()],
    ['prometheus', 'direct'],
    () => null,
    () => ({ known: providers, usual: providers[0] ?? '' }),
    null,
    guardSpecs(guards, meshes),
  );

interface Asked {
  readonly mesh?: string;
  readonly providers?: readonly string[];
  readonly analysis?: object;
}
const parsed = ({ mesh = 'istio', providers = ['prometheus', 'direct'], analysis = {} }: Asked) =>
  parserFor(providers).parse({ target: meshes.get(mesh)?.example, steps: [{ weight: 5 }], analysis });

function guardsOf(asked: Asked) {
  const plan = parsed(asked);
  if (!plan.ok) throw new Error(JSON.stringify(plan.problems));
  return plan.plan.analysis.guards ?? [];
}
const namesOf = (asked: Asked) => guardsOf(asked).map(({ name, then }) => `${name}: ${then}`);

describe('the guards of a plan', () => {
  it('are all that the mesh can answer, without a line in it', () => {
    expect(namesOf({})).toEqual([
      'denials: rollback',
      'ejection: rollback',
      'proxy-resources: warn',
      'proxy-restarts: pause',
      'retries: rollback',
      'unreached: rollback',
    ]);
    const linkerd = ['denials: rollback', 'ejection: rollback', 'proxy-resources: warn', 'proxy-restarts: pause'];
    expect(namesOf({ mesh: 'linkerd-smi' })).toEqual(linkerd);
    expect(namesOf({ mesh: 'gateway-api' })).toEqual(linkerd);
  });

  it('are only those that need no Prometheus, where the cluster has none', () => {
    expect(namesOf({ providers: ['direct'] })).toEqual(['proxy-restarts: pause']);
  });

  it.each([
    ['off', 'off', []],
    [
      'a word for one',
      { ejection: 'pause', denials: 'off', retries: 'warn' },
      ['ejection: pause', 'proxy-resources: warn', 'proxy-restarts: pause', 'retries: warn', 'unreached: rollback'],
    ],
  ])('can be told otherwise: %s', (_, wanted, expected) => {
    expect(namesOf({ analysis: { guards: wanted } })).toEqual(expected);
  });

  it('take limit, window and failures in a row as settings, each in its own unit', () => {
    const wanted = {
      denials: { limit: '2%', window: '2m', failureLimit: 4 },
      retries: { then: 'pause', limit: 3 },
      'proxy-restarts': { limit: 1 },
    };
    const found = guardsOf({ analysis: { window: '30s', failureLimit: 3, guards: wanted } });
    expect(found).toEqual([
      { name: 'denials', then: 'rollback', limit: 0.02, window: 120_000, failureLimit: 4, strict: false },
      { name: 'ejection', then: 'rollback', limit: 0.05, window: 30_000, failureLimit: 3, strict: true },
      { name: 'proxy-resources', then: 'warn', limit: 0.9, window: 300_000, failureLimit: 3, strict: false },
      { name: 'proxy-restarts', then: 'pause', limit: 1, window: 30_000, failureLimit: 1, strict: false },
      { name: 'retries', then: 'pause', limit: 3, window: 30_000, failureLimit: 3, strict: false },
      { name: 'unreached', then: 'rollback', limit: 0.01, window: 30_000, failureLimit: 3, strict: true },
    ]);
  });

  it('are only those that are named, where nothing else is judged', () => {
    const nothing = { evidence: { mode: 'off' }, checks: [] };
    expect(namesOf({ analysis: nothing })).toEqual([]);
    expect(namesOf({ analysis: { ...nothing, guards: { ejection: 'rollback' } } })).toEqual(['ejection: rollback']);
  });

  it.each([
    ['an unknown guard', { ejektion: 'off' }, '/analysis/guards/ejektion', /unknown field "ejektion"/],
    ['an unknown word', { ejection: 'of' }, '/analysis/guards/ejection', /rollback, pause, warn, off; found "of"/],
    ['a word for all but off', 'on', '/analysis/guards', /wanted "off", or guards by name/],
    ['a limit of another kind', { retries: { limit: '5%' } }, '/analysis/guards/retries/limit', /finite number/],
    ['an unknown setting', { ejection: { lim: 3 } }, '/analysis/guards/ejection/lim', /unknown field "lim"/],
  ])('are refused at their field: %s', (_, wanted, pointer, message) => {
    const plan = parsed({ analysis: { guards: wanted } });
    expect(plan.ok).toBe(false);
    expect(plan.ok ? [] : plan.problems).toContainEqual({
      pointer,
      code: expect.any(String),
      message: expect.stringMatching(message),
    });
  });

  it('are refused by name where they cannot be asked', () => {
    const linkerd = parsed({ mesh: 'linkerd-smi', analysis: { guards: { retries: 'rollback' } } });
    expect(linkerd.ok ? [] : linkerd.problems).toMatchObject([
      { pointer: '/analysis/guards/retries', code: 'cannot_be_asked', message: expect.stringMatching(/leave it out/) },
    ]);
    const blind = parsed({ providers: ['direct'], analysis: { guards: { ejection: 'warn' } } });
    expect(blind.ok ? [] : blind.problems).toMatchObject([
      { pointer: '/analysis/guards/ejection', message: expect.stringMatching(/prometheus, which cluster/) },
    ]);
  });
});
