/** Row D: the DestinationRule of the host, its subsets, and what a rollout does where one is missing. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Unread } from '../../src/adapters/inspect/check.ts';
import host from '../../src/adapters/inspect/checks/destination-rule-host.ts';
import subsets from '../../src/adapters/inspect/checks/subsets.ts';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import { istioTarget, type Loose, to } from '../support/mesh-objects.ts';
import { clusterOf } from '../support/seed-cluster.ts';
import {
  type Around,
  bothVersions,
  caller,
  created,
  expectOne,
  networking,
  run,
  security,
  seed,
  service,
  statuses,
  surroundings,
  workload,
} from '../support/surroundings.ts';
import { planOf, type Whole, wholeService } from '../support/whole-service.ts';

const [rule, breaker] = (await seed('destination-rule', 'destination-rule-circuit-breaker')) as [
  KubeObject,
  KubeObject,
];
const documentedRoute = (await seed('virtual-service', 'gateway')) as [KubeObject, KubeObject];
const both = [
  { name: 'v1', labels: { version: 'v1' } },
  { name: 'v2', labels: { version: 'v2' } },
];
const destinationRule = (spec: Loose, name = 'myapp', namespace = 'production', more: Loose = {}): KubeObject =>
  networking('DestinationRule', name, { host: 'myapp', subsets: both, ...spec }, namespace, more);

describe('the DestinationRule of the host', () => {
  const look = (objects: readonly KubeObject[], around: Around = {}) =>
    run(host, surroundings([...objects, ...bothVersions()], around));

  it("of the document is found; its second one's policy is not in force", async () => {
    const results = await look([rule, breaker]);
    const failed = expectOne(results, 'fail', {
      object: 'production/myapp-circuit-breaker',
      field: 'spec.trafficPolicy',
      says: /2 DestinationRules.*uses that of the oldest, production\/myapp,/,
      remedy: 'kubectl delete destinationrule myapp-circuit-breaker -n production',
    });
    expect(failed.evidence).toMatchObject({ inForce: 'production/myapp' });
    const other = await look([created(rule, '2026-01-02T00:00:00Z'), created(breaker, '2026-01-01T00:00:00Z')]);
    expectOne(other, 'fail', {
      object: 'oldest, production/myapp-circuit-breaker',
      field: 'spec.trafficPolicy',
      remedy: 'remove spec.trafficPolicy of production/myapp',
    });
  });

  it.each([
    [
      'the control plane’s namespace',
      destinationRule({ host: 'myapp.production.svc.cluster.local' }, 'x', 'istio-system'),
    ],
    ['a wildcard', destinationRule({ host: '*.production.svc.cluster.local' })],
  ])('is found in %s', async (_, one) => {
    expect(statuses(await look([one]))).toEqual(['pass']);
  });

  it('of the exact host beats a wildcard, whose policy then says nothing', async () => {
    const wild = destinationRule(
      { host: '*.production.svc.cluster.local', trafficPolicy: { tls: { mode: 'DISABLE' } } },
      'wild',
    );
    expect(statuses(await look([rule, wild]))).toEqual(['pass']);
  });

  it.each([
    [
      'is in a namespace where Istio does not look',
      destinationRule({ host: 'myapp.production.svc.cluster.local' }, 'x', 'shop'),
      /shop\/x has it/,
    ],
    ['is exported to others only', destinationRule({ exportTo: ['shop'] }), /production\/myapp has it/],
    [
      'is of a short name in another namespace',
      destinationRule({}, 'myapp', 'staging'),
      /in spec\.host in production, istio-system/,
    ],
  ])('that %s is none', async (_, one, says) => {
    expectOne(await look([one]), 'fail', {
      object: 'myapp.production.svc',
      field: 'spec.host',
      says,
      remedy: /kind: DestinationRule/,
    });
  });

  it('is absent: the routes lead to subsets that nobody defines', async () => {
    expectOne(await look([]), 'fail', {
      object: 'host myapp.production.svc.cluster.local',
      field: 'spec.host',
      says: /in production, istio-system.*subset v1 and v2.*503/,
      remedy: /kind: DestinationRule[\s\S]*host: myapp\n[\s\S]*\{ name: v2, labels: \{ version: v2 \} \}/,
    });
  });

  it('is not needed where each version has a host of its own', async () => {
    const target = istioTarget(
      { index: 0 },
      {
        stable: { host: 'myapp-v1', deployment: 'myapp-v1' },
        canary: { host: 'myapp-v2', deployment: 'myapp-v2' },
      },
    );
    expect(statuses(await look([], { target }))).toEqual(['pass', 'pass']);
  });

  it.each([
    ['DISABLE', 'STRICT', /every call fails/],
    ['SIMPLE', 'STRICT', /every call fails/],
    ['ISTIO_MUTUAL', 'DISABLE', /every call fails/],
  ])('with tls.mode %s breaks calls to a workload of mTLS mode %s', async (tls, mode, says) => {
    const peer = security('PeerAuthentication', 'default', { mtls: { mode } });
    const results = await look([
      destinationRule({ subsets: [both[0], { ...both[1], trafficPolicy: { tls: { mode: tls } } }] }),
      peer,
    ]);
    expectOne(results, 'fail', {
      object: 'DestinationRule production/myapp',
      field: 'spec.subsets[1].trafficPolicy.tls.mode',
      says,
      remedy: 'Remove spec.subsets[1].trafficPolicy.tls',
    });
  });

  it.each([
    ['ISTIO_MUTUAL', 'STRICT'],
    ['DISABLE', 'PERMISSIVE'],
  ])('with tls.mode %s suits a workload of mTLS mode %s', async (tls, mode) => {
    const peer = security('PeerAuthentication', 'default', { mtls: { mode } });
    expect(statuses(await look([destinationRule({ trafficPolicy: { tls: { mode: tls } } }), peer]))).toEqual([
      'pass',
      'pass',
    ]);
  });

  it('of a caller’s own namespace is the only one that it sees', async () => {
    const theirs = destinationRule({ host: 'myapp.production.svc.cluster.local', subsets: [both[0]] }, 'mine', 'shop');
    const answers = { istio_requests_total: [caller('cart', 10, 'shop')] };
    expectOne(await look([rule, theirs], { answers }), 'fail', {
      object: 'DestinationRule shop/mine',
      field: 'spec.subsets lack v2',
      remedy: 'kubectl delete destinationrule mine -n shop',
    });
    expect(statuses(await look([rule, theirs], { answers: { istio_requests_total: [] } }))).toEqual(['pass']);
  });

  it('that cannot be read is unknown, never absent', async () => {
    await expect(look([], { unread: ['destinationrules production'] })).rejects.toThrow(Unread);
    await expect(look([], { unserved: ['destinationrules'] })).rejects.toThrow(
      /does not serve destinationrules.*istioctl install/,
    );
  });

  it('of the namespace decides without the control plane’s, which may be closed', async () => {
    expect(statuses(await look([rule], { unread: ['destinationrules istio-system'] }))).toEqual(['pass']);
    await expect(look([], { unread: ['destinationrules istio-system'] })).rejects.toThrow(Unread);
  });
});

describe('the subsets', () => {
  const look = (objects: readonly KubeObject[], around: Around = {}) => run(subsets, surroundings(objects, around));

  it('of the document, with pods of both versions, are fine', async () => {
    const results = await look([rule, ...bothVersions()]);
    expect(statuses(results)).toEqual(['pass', 'pass']);
    expect(results[1]).toMatchObject({ evidence: { role: 'canary', pods: 2, ready: 2, labels: ['version=v2'] } });
  });

  it('lack the canary’s: refused with the line to add', async () => {
    const results = await look([destinationRule({ subsets: [both[0]] }), ...bothVersions()]);
    expectOne(results, 'fail', {
      object: 'DestinationRule production/myapp',
      field: 'spec.subsets',
      says: /subset v2.*found v1.*503/,
      remedy: '- { name: v2, labels: { version: v2 } }',
    });
  });

  it('are defined nowhere: refused with the object to apply', async () => {
    const results = await look(bothVersions());
    expect(statuses(results)).toEqual(['fail', 'fail']);
    expect(results[1]?.remediation).toMatch(/kind: DestinationRule/);
  });

  it('are defined twice: the first counts', async () => {
    const more = destinationRule({ subsets: [{ name: 'v2', labels: { version: 'v3' } }] }, 'younger');
    expectOne(await look([rule, more, ...bothVersions()]), 'warn', {
      object: 'production/myapp',
      field: 'production/younger spec.subsets[0]',
      says: /defined 2 times/,
      remedy: 'Keep one definition',
    });
  });

  it.each([
    ['no labels', {}, /both select/],
    ['labels of both versions', { app: 'myapp' }, /both select/],
  ])('with %s are not disjoint', async (_, labels, says) => {
    const results = await look([destinationRule({ subsets: [both[0], { name: 'v2', labels }] }), ...bothVersions()]);
    expect(results[0]).toMatchObject({ status: 'fail', message: expect.stringMatching(says) });
    expect(results[0]?.message).toMatch(/DestinationRule production\/myapp, spec\.subsets\[1\]\.labels/);
    expect(results[0]?.remediation).toMatch(/a label with different values/);
  });

  it('that select other pods than the Deployment’s send traffic to pods that nobody judges', async () => {
    const stray = workload('stray', { labels: { app: 'myapp', version: 'v2', track: 'old' }, replicas: 1 });
    expectOne(await look([rule, ...bothVersions(), ...stray]), 'fail', {
      object: 'DestinationRule production/myapp',
      field: 'spec.subsets[1].labels',
      says: /also selects stray-h-0, which Deployment myapp-v2 does not run/,
      remedy: /kubectl get pods -n production --show-labels; set spec\.subsets\[1\]\.labels/,
    });
  });

  it('that do not select the Deployment’s pods: refused', async () => {
    const results = await look([rule, ...bothVersions({ labels: { app: 'myapp', version: '2' } })]);
    expectOne(results, 'fail', {
      object: 'DestinationRule production/myapp',
      field: 'spec.subsets[1].labels',
      says: /does not select myapp-v2-h-0, myapp-v2-h-1 of Deployment myapp-v2/,
      remedy: 'that every pod of Deployment myapp-v2 has and no other pod',
    });
  });

  it('that a rollout which has not ended defined for its own pods say whose they are', async () => {
    const mark = JSON.stringify({ rollout: 'r-older', added: ['v2'] });
    const theirs: KubeObject = {
      ...rule,
      metadata: { ...rule.metadata, annotations: { 'sluice.dev/subsets': mark } },
    };
    const results = await look([theirs, ...bothVersions({ labels: { app: 'myapp', version: 'v3' } })]);
    expect(results.find(({ status }) => status === 'fail')?.evidence).toMatchObject({ madeBy: 'r-older' });
    const own = await look([theirs, ...bothVersions()]);
    expect(own.map(({ evidence }) => evidence?.['madeBy'])).toEqual([undefined, 'r-older']);
  });

  it('of which the canary’s has no ready pod yet: the rollout waits for them', async () => {
    for (const canary of [{ ready: 0 }, { replicas: 0 }])
      expectOne(await look([rule, ...bothVersions(canary)]), 'warn', {
        object: 'DestinationRule production/myapp',
        field: 'spec.subsets[1].labels',
        says: /selects no ready pod yet/,
        remedy: 'kubectl rollout status deployment myapp-v2 -n production',
      });
  });

  it.each([
    [
      'of the stable version has no ready pod',
      [
        rule,
        ...workload('myapp-v1', { labels: { app: 'myapp', version: 'v1' }, ready: 0 }),
        ...workload('myapp-v2', { labels: { app: 'myapp', version: 'v2' } }),
        service('myapp'),
      ],
      'spec.subsets[0].labels',
      'kubectl rollout status deployment myapp-v1',
    ],
    [
      'can never select a pod of the Deployment',
      [rule, ...bothVersions({ labels: { app: 'myapp', version: '2' }, replicas: 0 })],
      'spec.subsets[1].labels',
      'set spec.subsets[1].labels',
    ],
  ])('that %s: requests get 503', async (_, objects, field, remedy) => {
    expectOne(await look(objects), 'fail', { object: 'DestinationRule production/myapp', field, says: /503/, remedy });
  });

  it('of a host that is no Service of the cluster cannot be told apart', async () => {
    const results = await look([rule, ...bothVersions().filter(({ kind }) => kind !== 'Service')]);
    expect(statuses(results)).toEqual(['warn', 'warn']);
    expect(results[0]?.message).toMatch(
      /DestinationRule production\/myapp, spec\.subsets\[0\]\.labels.*cannot be told/,
    );
  });

  it('are not asked for where each version has a Service: the Service’s selector is judged', async () => {
    const target = istioTarget(
      { index: 0 },
      {
        stable: { host: 'myapp-v1', deployment: 'myapp-v1' },
        canary: { host: 'myapp-v2', deployment: 'myapp-v2' },
      },
    );
    const services = ['v1', 'v2'].map((version) => service(`myapp-${version}`, { app: 'myapp', version }));
    expect(statuses(await look([...bothVersions(), ...services], { target }))).toEqual(['pass', 'pass']);
    const wrong = [services[0] as KubeObject, service('myapp-v2', { app: 'myapp' })];
    const results = await look([...bothVersions(), ...wrong], { target });
    expect(results[0]?.message).toMatch(/Service production\/myapp-v2, spec\.selector.*both select/);
  });

  it('are unknown where pods cannot be read', async () => {
    await expect(look([rule, ...bothVersions()], { unread: ['pods production'] })).rejects.toThrow(Unread);
  });
});

describe('a rollout whose canary has no subset', () => {
  const [route, gateway] = documentedRoute;
  const lacking: KubeObject = { ...rule, spec: { ...(rule.spec as Loose), subsets: [both[0]] } };
  /** Only the rule that is moved leads to the canary, and with nothing so far. */
  const idle = (): KubeObject => {
    const { http, ...spec } = route.spec as { http: readonly Loose[] };
    return { ...route, spec: { ...spec, http: [{ ...http[1], route: [to('v1', 100), to('v2', 0)] }, http[2]] } };
  };
  let whole: Whole;
  beforeAll(async () => {
    whole = await wholeService({ objects: [...clusterOf('istio'), gateway] });
  });
  afterAll(() => whole?.close());

  const at = (plural: string): KubeObject => whole.stored('networking.istio.io', plural, 'myapp');
  const versions = () => ['virtualservices', 'destinationrules'].map((plural) => at(plural).metadata.resourceVersion);
  const subsetsNow = (object: KubeObject): readonly string[] =>
    (object.spec as { subsets: readonly { name: string }[] }).subsets.map(({ name }) => name);
  const weights = (object: KubeObject): readonly unknown[] =>
    (object.spec as { http: readonly { route: readonly Loose[] }[] }).http[0]?.route.map(({ weight }) => weight) ?? [];

  it('is refused by object, field and remedy, and neither object was written', async () => {
    for (const object of [route, lacking]) whole.api.put(object);
    const before = versions();
    const { status, body } = await whole.call('post', '/rollouts', planOf(istioTarget(), [{ weight: 25, hold: '1m' }]));
    expect([status, body.code]).toEqual([422, 'preflight_failed']);
    const failed = body.findings.filter(({ level }: Loose) => level === 'fail');
    expect(failed.map(({ check }: Loose) => check)).toContain('subsets');
    expect(failed.find(({ check }: Loose) => check === 'subsets')).toMatchObject({
      message: expect.stringMatching(
        /subset v2.*is missing in spec\.subsets of DestinationRule production\/myapp; found v1.*503/,
      ),
      remediation: expect.stringContaining('- { name: v2, labels: { version: v2 } }'),
    });
    expect(versions()).toEqual(before);
    expect(whole.writes()).toEqual([]);
  });

  it('gets it by ensureSubset: the DestinationRule, a wait, the VirtualService; and back in the other order', {
    timeout: 60_000,
  }, async () => {
    for (const object of [idle(), lacking]) whole.api.put(object);
    const settle = 1_500;
    const steps = [
      { ensureSubset: { settle: `${settle}ms` }, hold: '0s' },
      { weight: 25, hold: '10m' },
    ];
    const id = await whole.started(planOf(istioTarget(), steps));
    await whole.until(id, ({ observedWeight }) => observedWeight === 25);
    await whole.call('post', `/rollouts/${id}/abort`, {});
    expect((await whole.ended(id)).phase).toMatchObject({ status: 'aborted' });
    const written = whole.writes().map(({ at: when, after }) => ({ when, after: after as KubeObject }));
    const told = written.map(({ after }) =>
      after.kind === 'DestinationRule' ? `subsets ${subsetsNow(after)}` : `weights ${weights(after)}`,
    );
    // The first is the fence: it leads nothing to the canary.
    expect(told).toEqual(['weights 100,0', 'subsets v1,v2', 'weights 75,25', 'weights 100,0', 'subsets v1']);
    expect((written[2]?.when ?? 0) - (written[1]?.when ?? 0)).toBeGreaterThanOrEqual(settle);
    expect(at('destinationrules').spec).toEqual(lacking.spec);
    expect(at('virtualservices').spec).toEqual(idle().spec);
  });
});
