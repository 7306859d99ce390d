import { describe, expect, it } from 'vitest';
import { Unread } from '../../src/adapters/inspect/check.ts';
import check from '../../src/adapters/inspect/checks/authz-canary.ts';
import { matches, verdictOn } from '../../src/adapters/inspect/istio/authorization.ts';
import { type Caller, callersQuery } from '../../src/adapters/inspect/istio/callers.ts';
import type { Requests } from '../../src/adapters/inspect/istio/matches.ts';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import type { Target } from '../../src/domain/plan.ts';
import { istioTarget, type Loose } from '../support/mesh-objects.ts';
import {
  type Around,
  bothVersions,
  caller,
  expectOne,
  run,
  security,
  seed,
  statuses,
  surroundings,
} from '../support/surroundings.ts';

const [documented, route] = (await seed('authorization-policy', 'virtual-service')) as [KubeObject, KubeObject];
const policy = (spec: Loose, name = 'authz', namespace = 'production', more: Loose = {}): KubeObject =>
  security('AuthorizationPolicy', name, spec, namespace, more);
const calledBy = (...accounts: (string | null)[]): Around => ({
  answers: { istio_requests_total: accounts.map((account) => caller(account)) },
});
const look = (policies: readonly KubeObject[], around: Around = calledBy('frontend'), canary = {}) =>
  run(check, surroundings([route, ...policies, ...bothVersions(canary)], around));

describe("the document's AuthorizationPolicy", () => {
  it('lets the observed callers frontend and api-gateway in', async () => {
    const results = await look([documented], calledBy('frontend', 'api-gateway'));
    expect(statuses(results)).toEqual(['pass']);
    expect(results[0]?.evidence).toMatchObject({
      principals: ['cluster.local/ns/production/sa/frontend', 'cluster.local/ns/production/sa/api-gateway'],
      requests: 240,
      policies: ['production/myapp-authz'],
    });
  });

  it('refuses the observed caller batch: principal and policy are named', async () => {
    const results = await look([documented], calledBy('frontend', 'batch'));
    expect(statuses(results)).toEqual(['pass', 'fail']);
    expectOne(results, 'fail', {
      object: 'AuthorizationPolicy production/myapp-authz',
      field: 'spec.rules',
      says: /cluster\.local\/ns\/production\/sa\/batch.*120 requests.*canary myapp-v2 would refuse them with 403/,
      remedy: 'principals: ["cluster.local/ns/production/sa/batch"]',
    });
  });

  it('refuses each of several by itself, and tells the others together', async () => {
    const many = Array.from({ length: 8 }, (_, i) => `job-${i}`);
    const open = policy({ rules: [{ from: [{ source: { principals: ['cluster.local/ns/production/sa/job-*'] } }] }] });
    const results = await look([open], calledBy('batch', 'cron', ...many));
    expect(statuses(results)).toEqual(['fail', 'fail', 'pass']);
    expect(results[2]?.message).toMatch(/job-4 \(workload production\/job-4\) and 3 more made 960 requests/);
  });

  it('refuses a caller without mTLS, which has no principal', async () => {
    expectOne(await look([documented], calledBy(null)), 'fail', {
      object: 'production/myapp-authz',
      field: 'spec.rules',
      says: /a caller without a principal \(workload production\/cron\)/,
      remedy: 'kubectl label namespace production istio-injection=enabled',
    });
  });

  it('says that batch may ask for its health paths, where the rollout moves every path', async () => {
    const whole = istioTarget({ index: 2 }, { canary: { host: 'myapp', subset: 'v2', deployment: 'myapp-v2' } });
    const results = await look([documented], { ...calledBy('batch'), target: whole });
    expect(results[0]?.message).toMatch(
      /by what is asked for: .*spec\.rules\[1\]\.to\.operation\.paths: \/health, \/ready/,
    );
  });
});

describe('callers', () => {
  it('are asked of the stable version’s own reports of the last hour, without those that were turned away', async () => {
    const around = surroundings([route, documented, ...bothVersions()], calledBy('frontend'));
    await run(check, around);
    expect(around.queries).toEqual([callersQuery(around.target as Target)]);
    expect(around.queries[0]).toBe(
      'sum by (source_principal, source_workload, source_workload_namespace) (increase(istio_requests_total{reporter="destination",destination_workload="myapp-v1",destination_workload_namespace="production",response_code!="403"}[1h])) > 0',
    );
  });

  it.each([
    ['without a Prometheus', { answers: null }, /not known \(cluster default has no Prometheus/],
    ['without traffic', { answers: {} }, /nobody was seen to call/],
  ])('that are not known %s are no pass', async (_, around, says) => {
    expectOne(await look([documented], around), 'warn', {
      object: 'AuthorizationPolicy production/myapp-authz',
      field: 'spec.rules',
      says,
      remedy: /compare spec\.rules of production\/myapp-authz/i,
    });
  });

  it('matter to nobody where no policy selects the canary', async () => {
    const around = surroundings([route, ...bothVersions()], { answers: null });
    expect(statuses(await run(check, around))).toEqual(['pass']);
    expect(around.queries).toEqual([]);
  });

  it('without any are refused by a policy without rules, which is seen without a Prometheus', async () => {
    expectOne(await look([policy({})], { answers: null }), 'fail', {
      object: 'AuthorizationPolicy production/authz',
      field: 'spec.rules',
      says: /nobody may call it/,
      remedy: 'Add the callers',
    });
  });

  it('cannot be judged where policies cannot be read', async () => {
    for (const place of ['production', 'istio-system'])
      await expect(look([], { unread: [`authorizationpolicies ${place}`] })).rejects.toThrow(Unread);
  });
});

describe('a verdict', () => {
  const frontend: Caller = {
    principal: 'cluster.local/ns/production/sa/frontend',
    workload: 'frontend',
    namespace: 'production',
    requests: 1,
  };
  const nobody: Caller = { ...frontend, principal: null };
  const api: Requests = { paths: [{ kind: 'prefix', text: '/api' }], methods: null };
  const item: Requests = { paths: [{ kind: 'exact', text: '/api/x' }], methods: [{ kind: 'exact', text: 'GET' }] };
  const from = (source: Loose): Loose => ({ from: [{ source }] });
  const op = (operation: Loose): Loose => ({ to: [{ operation }] });
  const allow = (...rules: Loose[]): KubeObject => policy({ action: 'ALLOW', rules });
  const deny = (...rules: Loose[]): KubeObject => policy({ action: 'DENY', rules }, 'deny');

  it.each([
    ['no policy', [], frontend, 'allowed'],
    ['ALLOW with an empty rule', [allow({})], frontend, 'allowed'],
    ['ALLOW by its namespace', [allow(from({ namespaces: ['prod*'] }))], frontend, 'allowed'],
    ['ALLOW by another namespace', [allow(from({ namespaces: ['shop'] }))], frontend, 'denied'],
    ['ALLOW by its account', [allow(from({ serviceAccounts: ['frontend'] }))], frontend, 'allowed'],
    [
      'ALLOW by an account of another namespace',
      [allow(from({ serviceAccounts: ['shop/frontend'] }))],
      frontend,
      'denied',
    ],
    ['ALLOW of all but it', [allow(from({ notPrincipals: ['*/sa/frontend'] }))], frontend, 'denied'],
    ['ALLOW of all but its namespace', [allow(from({ notNamespaces: ['production'] }))], frontend, 'denied'],
    ['ALLOW of any principal', [allow(from({ principals: ['*'] }))], frontend, 'allowed'],
    ['ALLOW of any principal, for a caller without one', [allow(from({ principals: ['*'] }))], nobody, 'denied'],
    [
      'ALLOW of all but others, for a caller without a principal',
      [allow(from({ notPrincipals: ['x'] }))],
      nobody,
      'allowed',
    ],
    ['one of two ALLOW policies', [allow(from({ principals: ['x'] })), allow({})], frontend, 'allowed'],
    ['DENY before ALLOW', [allow({}), deny(from({ namespaces: ['production'] }))], frontend, 'denied'],
    ['DENY of another', [allow({}), deny(from({ principals: ['x'] }))], frontend, 'allowed'],
    ['DENY without a rule', [deny()], frontend, 'allowed'],
    ['AUDIT', [policy({ action: 'AUDIT', rules: [{}] })], frontend, 'allowed'],
    ['ALLOW by a token', [allow(from({ requestPrincipals: ['*'] }))], frontend, 'undecided'],
    ['ALLOW by an address', [allow(from({ ipBlocks: ['10.0.0.0/8'] }))], frontend, 'undecided'],
    ['ALLOW by a condition', [allow({ when: [{ key: 'request.headers[x]', values: ['1'] }] })], frontend, 'undecided'],
    [
      'a condition beside a source that is not its',
      [allow({ ...from({ principals: ['x'] }), when: [{ key: 'k' }] })],
      frontend,
      'denied',
    ],
    ['ALLOW by a condition or without one', [allow({ when: [{ key: 'k' }] }, {})], frontend, 'allowed'],
    ['DENY by a condition', [deny({ when: [{ key: 'k' }] })], frontend, 'undecided'],
    ['CUSTOM', [policy({ action: 'CUSTOM', provider: { name: 'opa' }, rules: [{}] })], frontend, 'undecided'],
    ['CUSTOM of another', [policy({ action: 'CUSTOM', rules: [from({ principals: ['x'] })] })], frontend, 'allowed'],
  ] as const)('by %s', (_, policies, who, how) => {
    expect(verdictOn(policies, who, api).how).toBe(how);
  });

  it.each([
    ['the paths /api*', { paths: ['/api*'] }, api, 'allowed'],
    ['the paths /api/*', { paths: ['/api/*'] }, api, 'partly'],
    ['the paths /health', { paths: ['/health'] }, api, 'denied'],
    ['paths by their end', { paths: ['*.png'] }, api, 'partly'],
    ['a path template', { paths: ['/{*}/x'] }, api, 'partly'],
    ['every path', { paths: ['*'] }, api, 'allowed'],
    ['all but its paths', { notPaths: ['/api*'] }, api, 'denied'],
    ['all but other paths', { notPaths: ['/health'] }, api, 'allowed'],
    ['some methods, where any may come', { methods: ['GET'] }, api, 'partly'],
    ['a port', { ports: ['8080'] }, api, 'partly'],
    ['any host', { hosts: ['*'] }, api, 'allowed'],
    ['the very path and method', { paths: ['/api/x'], methods: ['GET'] }, item, 'allowed'],
    ['another method', { methods: ['POST'] }, item, 'denied'],
    ['all but its method', { notMethods: ['GET'] }, item, 'denied'],
  ] as const)('on %s', (_, operation, requests, how) => {
    expect(verdictOn([allow(op(operation))], frontend, requests).how).toBe(how);
  });

  it.each([
    ['every one of its requests', { paths: ['/api*'] }, 'denied'],
    ['some of them', { methods: ['DELETE'] }, 'partly'],
    ['none of them', { paths: ['/admin*'] }, 'allowed'],
  ] as const)('of a DENY for %s', (_, operation, how) => {
    expect(verdictOn([deny(op(operation))], frontend, api).how).toBe(how);
  });

  it.each([
    ['frontend', 'frontend', true],
    ['front*', 'frontend', true],
    ['*end', 'frontend', true],
    ['*', 'frontend', true],
    ['*', '', false],
    ['front', 'frontend', false],
    ['*on*', 'frontend', false],
  ])('%s matches %s: %s', (entry, value, is) => {
    expect(matches(entry, value)).toBe(is);
  });

  it('takes cluster.local for the trust domain, whatever its name', () => {
    const named = { ...frontend, principal: 'mesh.example/ns/production/sa/frontend' };
    expect(verdictOn([allow(from({ principals: ['cluster.local/ns/production/sa/frontend'] }))], named, api).how).toBe(
      'allowed',
    );
    expect(verdictOn([allow(from({ principals: ['other/ns/production/sa/frontend'] }))], named, api).how).toBe(
      'denied',
    );
  });
});

describe('policies around the canary', () => {
  const open = { rules: [{}] };
  const select = (labels: Loose): Loose => ({ selector: { matchLabels: labels } });

  it('that deny a caller are told apart from those that lack it', async () => {
    const denies = policy(
      { action: 'DENY', rules: [{ from: [{ source: { namespaces: ['production'] } }] }] },
      'closed',
    );
    expectOne(await look([denies]), 'fail', {
      object: 'AuthorizationPolicy production/closed',
      field: 'spec.rules',
      says: /denies them/,
      remedy: 'Take the caller out of spec.rules of AuthorizationPolicy production/closed',
    });
  });

  it('that cannot be decided say on what it depends', async () => {
    const conditional = policy({ rules: [{ when: [{ key: 'request.auth.claims[iss]', values: ['x'] }] }] });
    expectOne(await look([conditional]), 'warn', {
      object: 'AuthorizationPolicy production/authz',
      field: 'spec.rules[0].when: request.auth.claims[iss]',
      says: /cannot be decided/,
      remedy: /Try one such request/,
    });
  });

  it.each([
    ['the control plane’s namespace, for all', policy({ ...open }, 'wide', 'istio-system'), 'pass'],
    ['a selector of another app', policy(select({ app: 'shop' })), 'pass'],
    ['a dry run', policy({}, 'dry', 'production', { annotations: { 'istio.io/dry-run': 'true' } }), 'pass'],
    ['a waypoint', policy({ targetRefs: [{ kind: 'Gateway', name: 'waypoint' }] }), 'pass'],
    ['the control plane’s namespace, letting nobody in', policy({}, 'wide', 'istio-system'), 'fail'],
  ])('of %s', async (_, one, status) => {
    expect(statuses(await look([one]))).toEqual([status]);
  });

  it.each([
    ['canary', { version: 'v2' }, 'selects the canary version myapp-v2'],
    ['stable', { version: 'v1' }, 'selects the stable version myapp-v1'],
  ])('that select the %s alone let others in than its twin', async (_, labels, says) => {
    expectOne(await look([policy({ ...select(labels), ...open })]), 'warn', {
      object: 'AuthorizationPolicy production/authz',
      field: 'spec.selector',
      says: new RegExp(says),
      remedy: 'spec.selector.matchLabels of production/authz',
    });
  });

  describe('of those that the versions call', () => {
    const names = (...accounts: string[]): KubeObject =>
      policy(
        {
          ...select({ app: 'db' }),
          rules: [
            { from: [{ source: { principals: accounts.map((name) => `cluster.local/ns/production/sa/${name}`) } }] },
          ],
        },
        'db',
        'data',
      );

    it('name the stable’s account and not the canary’s: warned with the policy’s name', async () => {
      expectOne(await look([names('default')], undefined, { serviceAccount: 'myapp-v2' }), 'warn', {
        object: 'AuthorizationPolicy data/db',
        field: 'spec.rules[].from',
        says: /sa\/default.*sa\/myapp-v2: the canary may be refused/,
        remedy:
          'Add "cluster.local/ns/production/sa/myapp-v2" beside it, or run myapp-v2 under the ServiceAccount default',
      });
    });

    it('deny the stable and not the canary: warned too', async () => {
      const denies = { ...names('default'), spec: { ...(names('default').spec as Loose), action: 'DENY' } };
      const results = await look([denies], undefined, { serviceAccount: 'myapp-v2' });
      expect(results.find(({ status }) => status === 'warn')?.message).toMatch(
        /what it denies the stable, the canary may do/,
      );
    });

    it.each([
      ['name both', names('default', 'myapp-v2'), { serviceAccount: 'myapp-v2' }],
      ['name neither', names('shop'), { serviceAccount: 'myapp-v2' }],
      ['name the one account that both have', names('default'), {}],
    ])('%s: nothing to say', async (_, one, canary) => {
      expect(statuses(await look([one], undefined, canary))).toEqual(['pass']);
    });
  });
});
