/** What a plan would do, step by step, as the dry run tells it: written in YAML, read by the real parser. */
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadMeshes } from '../../src/adapters/registry.ts';
import { planParser } from '../../src/app/plan-schema.ts';
import { timeline } from '../../src/app/timeline.ts';
import { gatesBefore } from '../../src/domain/gates.ts';
import type { Plan } from '../../src/domain/plan.ts';
import { aRollout, atStep } from '../support/builders.ts';

const parser = planParser([...(await loadMeshes()).values()], ['prometheus'], () => null);

const TARGET = `
target:
  cluster: default
  namespace: production
  service: myapp
  mesh: istio
  virtualService: { name: myapp, route: api }
  stable: { host: myapp, subset: v1, deployment: myapp-v1 }
  canary: { host: myapp, subset: v2, deployment: myapp-v2 }
`;

function planOf(text: string): Plan {
  const parsed = parser.parse(parse(`${TARGET}${text}`));
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.plan;
}

const WHOLE = planOf(`
steps:
  - { scale: { percent: 50% }, hold: 0s }
  - { ensureSubset: { settle: 20s }, hold: 0s }
  - { headerRoute: { header: X-Canary, exact: always }, hold: 10m }
  - { mirror: { percent: 30% }, hold: 5m }
  - { faultRehearsal: { delay: { percent: 50%, time: 2s }, abort: { percent: 10% }, probe: { url: http://myapp.production/, requests: 12 } }, hold: 30s }
  - { weight: 25, hold: 2m }
  - { weight: 50, hold: 4m, approval: { required: 2, approvers: [sre] } }
analysis: { checks: [], evidence: { mode: robust, bake: 15m } }
webhooks:
  - { name: window, url: https://gates.example.com/a, gate: beforeStart }
  - { name: each, url: https://gates.example.com/b, gate: beforeStep }
  - { name: load, url: https://gates.example.com/c, gate: beforePromotion }
  - { name: tickets, url: https://gates.example.com/d, gate: after }
`);

const MINUTE = 60_000;

describe('the timeline of a plan', () => {
  it('has every step with what it does, and the promotion', () => {
    expect(timeline(WHOLE).entries.map(({ step, kind, words }) => [step, kind, words])).toEqual([
      [0, 'scale', "the canary has at least 50 % of the stable version's pods"],
      [1, 'ensureSubset', 'the subsets that the target names are defined; proxies get 20 s to learn of new ones'],
      [2, 'headerRoute', 'requests with the header x-canary: always go to the canary, until the promotion'],
      [3, 'mirror', 'a copy of 30 % of the requests goes to the canary'],
      [
        4,
        'faultRehearsal',
        '12 marked requests to http://myapp.production/, of which 50 % are delayed by 2 s and 10 % are answered with 503 at the canary; no user meets them',
      ],
      [5, 'weight', 'the canary has 25 % of the traffic'],
      [6, 'weight', 'the canary has 50 % of the traffic'],
      [7, 'promotion', 'the canary has all of the traffic'],
    ]);
  });

  it('counts every hold, those of mirrors and rehearsals too, and the bake at the last step', () => {
    const { entries, minimum } = timeline(WHOLE);
    expect(entries.map(({ earliest }) => earliest / MINUTE)).toEqual([0, 0, 0, 10, 15, 15.5, 17.5, 36.5]);
    expect(minimum).toBe(36.5 * MINUTE);
  });

  it('says whose word is wanted, and which gates are asked before which step', () => {
    const { entries } = timeline(WHOLE);
    expect(entries.map(({ approval, approvedBy }) => (approval ? approvedBy : null)).at(6)).toBe('2 people of sre');
    expect(entries.filter(({ approval }) => approval)).toHaveLength(1);
    expect(entries.map(({ gates }) => gates.map(({ name }) => name).join())).toEqual([
      'window,each',
      ...['each', 'each', 'each', 'each', 'each', 'each'],
      'load',
    ]);
  });

  it.each([
    ['a step of 100 %', '[{ weight: 50 }, { weight: 100 }]'],
    ['the usual steps', '[{ weight: 5 }, { weight: 50 }]'],
    ['all at once', '[{ headerRoute: { header: x-canary, exact: a } }, { weight: 100 }]'],
  ])('names the gates that the rollout itself asks: %s', (_, steps) => {
    const plan = planOf(`
steps: ${steps}
analysis: { checks: [{ name: errors, kind: error-rate, max: 1% }], evidence: { mode: 'off' } }
webhooks:
  - { name: window, url: https://gates.example.com/a, gate: beforeStart }
  - { name: each, url: https://gates.example.com/b, gate: beforeStep }
  - { name: load, url: https://gates.example.com/c, gate: beforePromotion }
`);
    for (const { step, gates } of timeline(plan).entries) {
      const before = step === 0 ? aRollout({ plan }) : atStep(step - 1, 0, { plan });
      expect(gates.map(({ name }) => name)).toEqual(gatesBefore(before, step).map(({ webhook }) => webhook.name));
    }
  });

  it.each([
    ['{ scale: { replicas: 1 } }', 'the canary has at least 1 pod'],
    [
      '{ scale: { match: nextWeight } }',
      "the canary has at least as large a part of the stable version's pods as it has of the traffic at the next weight",
    ],
    [
      '{ headerRoute: { cookie: tester, exact: "1" } }',
      'requests with the cookie tester=1 go to the canary, until the promotion',
    ],
    [
      '{ headerRoute: { header: x-user, prefix: a } }',
      'requests with a header x-user that begins with a go to the canary, until the promotion',
    ],
    [
      '{ headerRoute: { header: x-user, regex: "a.*" } }',
      'requests with a header x-user like a.* go to the canary, until the promotion',
    ],
  ])('puts %s in words', (step, words) => {
    const plan = planOf(`steps: [${step}, { weight: 50 }]\nanalysis: { checks: [], evidence: { mode: 'off' } }`);
    expect(timeline(plan).entries[0]?.words).toBe(words);
  });
});
