/** Practice 2: the document's two DestinationRules as written are refused; joined as the remedy says, they eject a bad canary, which goes back. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import { openApi } from '../../src/sandbox/data-plane/api.ts';
import type { Service } from '../../src/sandbox/demo/service.ts';
import { TERMINAL } from '../../src/sandbox/demo/service.ts';
import { NAMESPACE } from '../../src/sandbox/seeds.ts';
import type { Loop } from '../e2e/closed-loop.ts';
import { startLoop } from '../e2e/closed-loop.ts';
import { dryRun } from '../support/dry-run.ts';
import type { Loose } from '../support/mesh-objects.ts';
import { seed } from '../support/surroundings.ts';

const [rule, breaker] = (await seed('destination-rule', 'destination-rule-circuit-breaker')) as [
  KubeObject,
  KubeObject,
];
const RULES = { apiVersion: rule.apiVersion, plural: 'destinationrules' };
const policyOf = ({ spec }: KubeObject): Loose => (spec as { trafficPolicy: Loose }).trafficPolicy;

let loop: Loop;
let service: Service;
beforeAll(async () => {
  loop = await startLoop('istio');
  service = await loop.service('postgres');
}, 90_000);
afterAll(() => loop?.stop());

it('is a story of both: refused, joined, warned of, and back at the first weight', { timeout: 90_000 }, async () => {
  const { sandbox } = loop;
  const api = openApi(sandbox.kubeApiUrl, NAMESPACE, 'kubectl');
  const plan = {
    target: sandbox.target,
    steps: [
      { weight: 30, hold: '30s' },
      { weight: 60, hold: '30s' },
    ],
    // A query that a canary without requests passes: nothing but the guards looks at the traffic.
    analysis: {
      interval: '1s',
      window: '5s',
      evidence: { mode: 'off' },
      checks: [{ name: 'always', kind: 'prometheus', query: 'vector(0)', max: 1 }],
    },
  };
  await api.merge(RULES, 'myapp', { spec: rule.spec });
  await api.create(RULES, breaker);
  await sandbox.release('myapp:ejected', { errorRate: 1 });
  const written = sandbox.weights.length;

  await expect(service.start(plan)).rejects.toThrow(/422.*preflight_failed/);
  const refused = (await dryRun(service, plan)).findings.filter(({ level }) => level === 'fail');
  expect(refused.map(({ check }) => check)).toEqual(['circuit-breaker', 'destination-rule.host']);
  for (const { message, remediation } of refused) {
    expect(message).toContain('production/myapp-circuit-breaker');
    expect(message).toContain('spec.trafficPolicy');
    expect(remediation).toContain('kubectl delete destinationrule myapp-circuit-breaker -n production');
  }
  expect(sandbox.weights.slice(written)).toEqual([]);

  await api.merge(RULES, 'myapp', { spec: { trafficPolicy: { ...policyOf(rule), ...policyOf(breaker) } } });
  await api.remove(RULES, 'myapp-circuit-breaker');
  const { accepted, findings } = await dryRun(service, plan);
  expect(accepted).toBe(true);
  const [warned] = findings.filter(
    ({ check, evidence }) => check === 'circuit-breaker' && evidence?.['role'] === 'canary',
  );
  expect(warned).toMatchObject({
    level: 'warn',
    message: expect.stringMatching(/maxEjectionPercent 100.*minHealthPercent 0/),
    remediation: expect.stringMatching(/maxEjectionPercent: 50/),
  });

  let rollout = await service.start(plan);
  while (!TERMINAL.has(rollout.status)) rollout = await service.next(rollout.id, rollout.version, 20);
  expect(rollout, rollout.outcome?.message).toMatchObject({
    status: 'rolled_back',
    outcome: { check: 'guard:ejection', code: 'guard_failed' },
  });
  expect(rollout.outcome?.message).toMatch(
    /\d+ requests to myapp reached no pod while the canary answered \d+: ejected pods/,
  );
  expect(sandbox.weights.slice(written).map(({ weight }) => weight)).toEqual([30, 0]);
});
