import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { installPlan } from '../../src/app/install/install-plan.ts';
import type { Wishes } from '../../src/app/install/wishes.ts';
import { MESHES, PROFILES } from '../../src/app/install/wishes.ts';
import { harness } from '../http/harness.ts';

interface Step {
  readonly title: string;
  readonly commands: readonly string[];
  readonly verifies: readonly string[];
  readonly note: string | null;
}

async function plan(query = '') {
  const h = await harness();
  const response = await h.call('get', `/install-plans${query}`, { as: null });
  expect(response.status, response.text).toBe(200);
  const steps = response.body.steps as readonly Step[];
  return { ...response.body, steps, commands: steps.flatMap(({ commands }) => commands) } as {
    steps: readonly Step[];
    commands: readonly string[];
    text: string;
    resources: unknown;
  };
}

const wishes = (over: Partial<Wishes>): Wishes => ({
  mesh: 'istio',
  profile: 'default',
  namespace: 'production',
  addons: [],
  resources: null,
  release: '1.30',
  clusters: ['cluster1', 'cluster2'],
  meshId: 'mesh1',
  network: 'network1',
  ...over,
});

describe('Istio', () => {
  it.each([
    ['minimal', 'istioctl install --set profile=minimal -y'],
    ['default', 'istioctl install --set profile=default -y'],
    ['demo', 'istioctl install --set profile=demo -y'],
    [
      'production',
      'istioctl install --set profile=default --set values.global.proxy.resources.requests.cpu=100m --set values.global.proxy.resources.requests.memory=128Mi --set values.global.proxy.resources.limits.cpu=500m --set values.global.proxy.resources.limits.memory=256Mi -y',
    ],
  ])('profile %s is one command', async (profile, command) => {
    const { commands } = await plan(`?mesh=istio&profile=${profile}`);
    expect(commands.filter((line) => line.startsWith('istioctl install'))).toEqual([command]);
  });

  it('goes from the command line to the verified proxies of the namespace, in this order', async () => {
    const { steps, commands } = await plan('?namespace=shop');
    expect(steps.map(({ title }) => title)).toEqual([
      'Install the command line of Istio',
      'Look at the cluster first',
      'Install the control plane: istiod and an ingress gateway',
      'Have the proxy injected into the pods of shop',
      'Verify the installation',
    ]);
    expect(commands).toContain('kubectl label namespace shop istio-injection=enabled');
    expect(commands).toContain('kubectl get pods -n istio-system');
  });

  it('never runs what is gone from current Istio, and says what takes its place', async () => {
    const { commands, text, steps } = await plan('?addons=prometheus,kiali,jaeger,multicluster');
    for (const gone of [
      'verify-install',
      'istioctl x create-remote-secret',
      'istioctl operator',
      'kind: IstioOperator',
    ])
      expect(commands.filter((line) => line.includes(gone))).toEqual([]);
    expect(steps.find(({ title }) => title === 'Verify the installation')?.note).toContain(
      'In place of `istioctl verify-install`',
    );
    expect(text).toContain('It was `istioctl x create-remote-secret` once');
  });

  it('production takes other requests and limits', async () => {
    const { resources, text } = await plan(
      '?profile=production&cpuRequest=0.2&memoryRequest=64Mi&cpuLimit=1&memoryLimit=1Gi',
    );
    expect(resources).toEqual({ requests: { cpu: '0.2', memory: '64Mi' }, limits: { cpu: '1', memory: '1Gi' } });
    expect(text).toContain('--set values.global.proxy.resources.limits.memory=1Gi');
  });

  it('several clusters: each a primary under its name, and a secret from each to each of the others', async () => {
    const { commands } = await plan('?addons=multicluster&clusters=east,west,north&meshId=shop&network=inside');
    expect(commands.filter((line) => line.startsWith('istioctl install'))).toEqual(
      ['east', 'west', 'north'].map(
        (cluster) =>
          `istioctl install --context=${cluster} --set profile=default --set values.global.meshID=shop --set values.global.multiCluster.clusterName=${cluster} --set values.global.network=inside -y`,
      ),
    );
    for (const cluster of ['east', 'west', 'north'])
      expect(commands).toContain(`kubectl --context=${cluster} label namespace production istio-injection=enabled`);
    const secrets = commands.filter((line) => line.startsWith('istioctl create-remote-secret'));
    expect(secrets).toHaveLength(6);
    expect(secrets[0]).toBe(
      'istioctl create-remote-secret --context=east --name=east | kubectl apply -f - --context=west',
    );
  });

  it('Kiali and Jaeger come from the addons of the release that is named', async () => {
    const { commands } = await plan('?addons=kiali,jaeger&release=1.20');
    for (const name of ['kiali', 'jaeger'])
      expect(commands).toContain(
        `kubectl apply -f https://raw.githubusercontent.com/istio/istio/release-1.20/samples/addons/${name}.yaml`,
      );
  });
});

describe('Linkerd', () => {
  it('checks the cluster, then CRDs, control plane, check, injection, and the SMI extension when wanted', async () => {
    const { commands } = await plan('?mesh=linkerd&namespace=shop&addons=smi');
    const order = [
      'linkerd check --pre',
      'linkerd install --crds | kubectl apply -f -',
      'linkerd install | kubectl apply -f -',
      'linkerd check',
      'kubectl annotate namespace shop linkerd.io/inject=enabled',
      'kubectl get deploy -n shop -o yaml | linkerd inject - | kubectl apply -f -',
      'linkerd smi install | kubectl apply -f -',
    ];
    expect(commands.filter((line) => order.includes(line))).toEqual(order);
    expect((await plan('?mesh=linkerd')).text).not.toContain('smi');
  });

  it('production is highly available with limits for each proxy', async () => {
    const { commands } = await plan('?mesh=linkerd&profile=production&cpuLimit=2');
    expect(commands).toContain(
      'linkerd install --ha --set proxy.resources.cpu.request=100m --set proxy.resources.memory.request=128Mi --set proxy.resources.cpu.limit=2 --set proxy.resources.memory.limit=256Mi | kubectl apply -f -',
    );
  });
});

describe('what is asked for', () => {
  it.each([
    ['mesh=consul', 'mesh', 'wanted one of istio, linkerd; found "consul"'],
    ['profile=huge', 'profile', 'wanted one of minimal, default, demo, production'],
    ['namespace=a;rm%20-rf%20x', 'namespace', 'found "a;rm -rf x"'],
    ['namespace=Production', 'namespace', 'small letters'],
    ['namespace=-a', 'namespace', 'small letters'],
    [`namespace=${'a'.repeat(64)}`, 'namespace', 'small letters'],
    ['namespace=a%0Ab', 'namespace', 'small letters'],
    ['profile=production&cpuLimit=$(id)', 'cpuLimit', 'wanted CPU like 100m'],
    ['profile=production&memoryLimit=256', 'memoryLimit', 'wanted memory like 128Mi'],
    ['profile=production&cpuRequest=600m', 'cpuRequest', 'wanted at most the limit, 500m; found 600m'],
    ['profile=production&memoryRequest=1Gi', 'memoryRequest', 'wanted at most the limit, 256Mi; found 1Gi'],
    ['cpuLimit=1', 'cpuLimit', 'is for profile=production'],
    ['addons=kiali&mesh=linkerd', 'addons', 'linkerd has no kiali'],
    ['addons=smi', 'addons', 'istio has no smi'],
    ['addons=multicluster&clusters=only', 'clusters', 'wanted at least two clusters'],
    ['addons=multicluster&clusters=a,b%7Csh', 'clusters', 'found "b|sh"'],
    ['release=1.20/../x', 'release', 'a minor release'],
    ['mesh=istio&mesh=linkerd', 'mesh', ''],
  ])('%s is refused by the name of its parameter', async (query, parameter, detail) => {
    const h = await harness();
    const { status, body } = await h.call('get', `/install-plans?${query}`, { as: null });
    expect(status).toBe(400);
    expect(body.errors[0]).toMatchObject({ parameter, detail: expect.stringContaining(detail) });
  });
});

it('every plan is text that a shell can read', () => {
  for (const mesh of MESHES)
    for (const profile of PROFILES)
      for (const addons of [
        [],
        mesh === 'istio'
          ? (['prometheus', 'kiali', 'jaeger', 'multicluster'] as const)
          : (['smi', 'viz', 'jaeger', 'multicluster'] as const),
      ])
        execFileSync('sh', ['-n'], { input: installPlan(wishes({ mesh, profile, addons })).text });
});
