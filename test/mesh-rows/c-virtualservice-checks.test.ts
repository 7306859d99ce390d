import { describe, expect, it } from 'vitest';
import conflict from '../../src/adapters/inspect/checks/virtualservice-conflict.ts';
import rules from '../../src/adapters/inspect/checks/virtualservice-rules.ts';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import { istioTarget, type Loose, to, virtualService } from '../support/mesh-objects.ts';
import { created, expectOne, networking, run, seed, statuses, surroundings } from '../support/surroundings.ts';

const seeded = await seed('virtual-service', 'virtual-service-mirror', 'virtual-service-fault');
const [ours, mirror, fault] = seeded as [KubeObject, KubeObject, KubeObject];

describe("the document's three VirtualServices for the host myapp", () => {
  it('are found, and each refuses: ours is the oldest and in force only for as long as nobody makes it anew', async () => {
    const results = await run(conflict, surroundings(seeded));
    expect(statuses(results)).toEqual(['fail', 'fail']);
    for (const [index, name] of ['myapp-mirror', 'myapp-fault'].entries())
      expectOne(results.slice(index, index + 1), 'fail', {
        object: `production/${name}`,
        field: 'spec.hosts',
        says: /younger.*uses ours.*until ours is made anew; then it takes over/,
        remedy: `kubectl delete virtualservice ${name} -n production`,
      });
  });

  it('are told apart where one of the others is older: the rollout would move nothing', async () => {
    const dated = [
      created(ours, '2026-01-02T00:00:00Z'),
      created(mirror, '2026-01-01T00:00:00Z'),
      created(fault, '2026-01-03T00:00:00Z'),
    ];
    const results = await run(conflict, surroundings(dated));
    expect(statuses(results)).toEqual(['fail', 'fail']);
    const failed = expectOne(results.slice(0, 1), 'fail', {
      object: 'VirtualService production/myapp-mirror',
      field: 'spec.hosts',
      says: /myapp\.production\.svc\.cluster\.local.*older.*ignores ours/,
      remedy: /Join the two into one object.*spec\.http of production\/myapp/,
    });
    expect(failed.evidence).toMatchObject({ rivalCreated: '2026-01-01T00:00:00Z', gateway: 'mesh' });
  });
});

describe('another VirtualService', () => {
  const other = (spec: Loose, namespace = 'production') =>
    networking('VirtualService', 'other', { http: [], ...spec }, namespace);

  it.each([
    ['for another host', other({ hosts: ['shop'] })],
    ['bound to a gateway that ours is not', other({ hosts: ['myapp'], gateways: ['shop-gateway'] })],
    ['of another namespace by the same short name', other({ hosts: ['myapp'] }, 'staging')],
    ['for a wildcard, which the exact host beats', other({ hosts: ['*.production.svc.cluster.local'] })],
  ])('%s is no conflict', async (_, rival) => {
    expect(statuses(await run(conflict, surroundings([ours, rival])))).toEqual(['pass']);
  });

  it('at the same gateway is joined in no promised order', async () => {
    const results = await run(
      conflict,
      surroundings([ours, other({ hosts: ['myapp.example.com'], gateways: ['production/myapp-gateway'] })]),
    );
    expectOne(results, 'warn', {
      object: 'production/other',
      field: 'spec.hosts',
      says: /at the gateway production\/myapp-gateway.*order that it does not promise/,
      remedy: 'kubectl delete virtualservice other -n production',
    });
  });

  it.each([
    ['older', '2026-01-01T00:00:00Z', /is older: Istio uses it and ignores ours/],
    ['younger', '2026-01-03T00:00:00Z', /is younger: Istio uses ours/],
  ])('of another namespace by its full name is one, though it is %s', async (_, date, says) => {
    const rival = other({ hosts: ['myapp.production.svc.cluster.local'] }, 'staging');
    const results = await run(conflict, surroundings([created(ours, '2026-01-02T00:00:00Z'), created(rival, date)]));
    expectOne(results, 'fail', { object: 'staging/other', field: 'spec.hosts', says, remedy: 'Join the two' });
  });

  it('that is exported to its own namespace only is in force there only', async () => {
    const results = await run(
      conflict,
      surroundings([ours, other({ hosts: ['myapp.production.svc.cluster.local'], exportTo: ['.'] }, 'a')]),
    );
    expectOne(results, 'warn', {
      object: 'a/other',
      field: 'spec.hosts',
      says: /exported to \. only/,
      remedy: 'Join the two',
    });
  });

  it('in namespaces that may not be read: the pass says how far was looked', async () => {
    const [one] = await run(conflict, surroundings([ours], { unread: ['virtualservices '] }));
    expect(one).toMatchObject({ status: 'pass', evidence: { everywhere: false } });
    expect(one?.message).toMatch(/in namespace production, the only one that could be looked at/);
  });
});

describe('what is moved and what stays', () => {
  const look = (spec: Loose, target: Loose = {}) =>
    run(rules, surroundings([virtualService(spec)], { target: istioTarget(target) }));
  const api = { name: 'api', match: [{ uri: { prefix: '/api' } }], route: [to('v1', 90), to('v2', 10)] };
  const rest = { route: [to('v1')] };

  it('of the document: a part of /api, not of all requests', async () => {
    const results = await run(rules, surroundings([ours]));
    const said = expectOne(results, 'warn', {
      object: 'VirtualService production/myapp',
      field: 'spec.http',
      says: /move rule 1 \(uri prefix \/api\); rule 2 \(every request\).*A step's weight is a share of the requests of rule 1, not of all/,
      remedy: /add the canary to spec\.http\[2\].*subset: v2.*target\.virtualService\.routes/,
    });
    expect(said.evidence).toMatchObject({ moved: [1], stays: [0, 2], staysOnStable: [2] });
  });

  it('is all of it where one rule is there', async () => {
    const [one, ...others] = await look({ http: [{ route: [to('v1', 90), to('v2', 10)] }] });
    expect(one).toMatchObject({
      status: 'pass',
      message: expect.stringMatching(/move rule 0 \(every request\), which is all of it/),
    });
    expect(others).toEqual([]);
  });

  it.each([
    ['without a match', {}],
    ['with an empty match', { match: [{}] }],
    ['of the path prefix /', { match: [{ uri: { prefix: '/' } }] }],
  ])('nothing, where a rule %s stands before it', async (_, match) => {
    const results = await look({ http: [{ ...rest, ...match }, api] });
    expectOne(results, 'fail', {
      object: 'VirtualService production/myapp',
      field: 'rule 1 "api"',
      says: /gets no request: rule 0 before it takes every one.*move nothing/,
      remedy: 'Move spec.http[1] before spec.http[0]',
    });
  });

  it.each([
    ['a header', { match: [{ headers: { 'x-version': { exact: 'v2' } } }] }],
    ['the users whom a running rollout keeps', { name: 'sluice-ro_x-affinity-0-2' }],
    ['the path / of a gateway only', { match: [{ uri: { prefix: '/' }, gateways: ['gw'] }] }],
  ])('is not hidden by a rule for %s', async (_, match) => {
    expect(statuses(await look({ http: [{ ...rest, ...match }, api] }))).not.toContain('fail');
  });

  it('a hidden rule that is not moved is only said', async () => {
    const results = await look({
      http: [api, { route: [to('v2')] }, { name: 'lost', match: [{ port: 80 }], route: [to('v2')] }],
    });
    expectOne(results, 'warn', {
      object: 'production/myapp',
      field: 'rule 2 "lost"',
      remedy: 'Move spec.http[2] before spec.http[1]',
    });
  });

  it.each([
    ['mirror', { mirror: { host: 'myapp', subset: 'v2' } }],
    ['mirrors', { mirrors: [{ destination: { host: 'myapp.production.svc.cluster.local', subset: 'v2' } }] }],
  ])('a canary that is mirrored to by %s and weighted has its share twice', async (field, more) => {
    expectOne(await look({ http: [{ ...api, ...more }] }), 'warn', {
      object: 'VirtualService production/myapp',
      field: `spec.http[0].${field}`,
      says: /twice/,
      remedy: `Remove spec.http[0].${field} before the first weight`,
    });
  });

  it('a mirror to something else is left alone', async () => {
    expect(statuses(await look({ http: [{ ...api, mirror: { host: 'audit' } }] }))).toEqual(['pass']);
  });

  it('a lone destination has everything, whatever its weight', async () => {
    const results = await look({ http: [api, { match: [{ port: 80 }], route: [to('v2', 25)] }] });
    expectOne(results, 'warn', {
      object: 'production/myapp',
      field: 'spec.http[1].route[0].weight',
      says: /everything/,
      remedy: 'Add the other version',
    });
  });

  it.each(['tcp', 'tls'] as const)('of %s rules is told as well', async (protocol) => {
    const match = protocol === 'tls' ? { match: [{ sniHosts: ['myapp'] }] } : {};
    const results = await look(
      { [protocol]: [{ ...match, route: [to('v1', 100), to('v2', 0)] }] },
      { protocol, index: 0 },
    );
    expect(statuses(results)).toEqual(['pass']);
  });
});

describe('delegates', () => {
  const root = (rule: Loose = {}) =>
    virtualService({ http: [{ match: [{ uri: { prefix: '/api' } }], delegate: { name: 'api' }, ...rule }] });
  const api = (spec: Loose = {}): KubeObject => ({
    ...networking('VirtualService', 'api', { http: [{ route: [to('v1', 90), to('v2', 10)] }], ...spec }),
  });
  const ofRoot = (...objects: KubeObject[]) => run(rules, surroundings(objects, { target: istioTarget() }));
  const ofApi = (...objects: KubeObject[]) =>
    run(rules, surroundings(objects, { target: istioTarget({ name: 'api' }) }));

  it('that are whole give nothing to say', async () => {
    expect(statuses(await ofRoot(root(), api()))).toEqual([]);
    expect(statuses(await ofApi(root(), api()))).toEqual(['pass']);
  });

  it.each([
    [
      'the root has a route too',
      [root({ route: [to('v1')] }), api()],
      'both delegate and route',
      'Remove spec.http[0].route',
    ],
    [
      'it does not exist',
      [root()],
      'hands over to VirtualService production/api',
      'Create VirtualService production/api',
    ],
    [
      'it is not exported to the root',
      [
        root({ delegate: { name: 'api', namespace: 'shop' } }),
        { ...api(), metadata: { name: 'api', namespace: 'shop' }, spec: { exportTo: ['.'] } },
      ],
      'spec.exportTo',
      'Add production to spec.exportTo',
    ],
  ])('fail where %s', async (_, objects, field, remedy) => {
    expectOne(await ofRoot(...(objects as KubeObject[])), 'fail', { object: 'production/myapp', field, remedy });
  });

  it.each([
    ['gateways', { gateways: ['gw'] }, [root()], 'spec.gateways', 'Remove spec.gateways'],
    [
      'a delegate of its own',
      { http: [{ route: [to('v1', 90), to('v2', 10)] }, { delegate: { name: 'more' } }] },
      [root(), { ...api(), metadata: { name: 'more', namespace: 'production' } }],
      'spec.http[1].delegate',
      'Move the rules of production/more',
    ],
    ['no root', {}, [], 'spec.hosts', 'Give it spec.hosts'],
    [
      'a match outside of the root’s',
      { http: [{ match: [{ uri: { prefix: '/shop' } }], route: [to('v1', 90), to('v2', 10)] }] },
      [root()],
      'rule 0',
      'Begin spec.http[0].match[].uri',
    ],
  ])('that are the target fail with %s', async (_, spec, others, field, remedy) => {
    expectOne(await ofApi(api(spec), ...(others as KubeObject[])), 'fail', { object: 'production/api', field, remedy });
  });
});
