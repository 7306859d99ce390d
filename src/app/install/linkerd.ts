/** How Linkerd is installed. */
import type { InstallStep } from './step.ts';
import { step } from './step.ts';
import type { ProxyResources, Wishes } from './wishes.ts';

const HAS = {
  minimal: 'the control plane alone',
  default: 'the control plane',
  demo: 'the control plane, with the viz extension for a dashboard and metrics',
  production: 'three replicas of each part, with requests and limits for every proxy',
} as const;

const setsOf = ({ requests, limits }: ProxyResources): string =>
  [
    `proxy.resources.cpu.request=${requests.cpu}`,
    `proxy.resources.memory.request=${requests.memory}`,
    `proxy.resources.cpu.limit=${limits.cpu}`,
    `proxy.resources.memory.limit=${limits.memory}`,
  ]
    .map((set) => ` --set ${set}`)
    .join('');

export function linkerdSteps(wishes: Wishes): readonly InstallStep[] {
  const { namespace, addons, profile, resources } = wishes;
  const viz = profile === 'demo' || addons.includes('viz') || addons.includes('jaeger');
  return [
    step(
      'Install the command line of Linkerd',
      [
        "curl --proto '=https' --tlsv1.2 -sSfL https://run.linkerd.io/install | sh",
        'export PATH=$HOME/.linkerd2/bin:$PATH',
      ],
      ['linkerd version --client'],
    ),
    step(
      'Install the CRDs of the Gateway API, where there are none',
      [
        'kubectl get crd httproutes.gateway.networking.k8s.io || kubectl apply --server-side -f https://github.com/kubernetes-sigs/gateway-api/releases/download/v1.2.1/standard-install.yaml',
      ],
      ['kubectl get crd httproutes.gateway.networking.k8s.io'],
      'Linkerd 2.18 and later want them; 1.2.1 suits 2.18 to 2.20. Earlier releases bring their own.',
    ),
    step('Validate the cluster', ['linkerd check --pre'], [], 'It changes nothing, and names what stands in the way.'),
    step(
      "Install Linkerd's CRDs",
      ['linkerd install --crds | kubectl apply -f -'],
      ['kubectl get crd serviceprofiles.linkerd.io'],
    ),
    step(
      `Install the control plane: ${HAS[profile]}`,
      [
        `linkerd install${profile === 'production' ? ' --ha' : ''}${resources === null ? '' : setsOf(resources)} | kubectl apply -f -`,
      ],
      ['linkerd check'],
      'Linkerd has no profiles: minimal and default are the same, demo adds the viz extension, production is --ha.',
    ),
    step('Check the installation', ['linkerd check']),
    step(
      `Have the proxy injected into the pods of ${namespace}`,
      [
        `kubectl annotate namespace ${namespace} linkerd.io/inject=enabled`,
        `kubectl get deploy -n ${namespace} -o yaml | linkerd inject - | kubectl apply -f -`,
      ],
      [`linkerd check --proxy -n ${namespace}`],
      'The second line gives the proxy to what runs already; with the annotation alone only new pods get one.',
    ),
    ...(addons.includes('smi') ? [SMI] : []),
    ...(viz ? [VIZ] : []),
    ...(addons.includes('jaeger') ? [JAEGER] : []),
    ...(addons.includes('multicluster') ? [multicluster(wishes)] : []),
  ];
}

const SMI = step(
  'Install the SMI extension, for TrafficSplits',
  ['curl -sL https://linkerd.github.io/linkerd-smi/install | sh', 'linkerd smi install | kubectl apply -f -'],
  ['linkerd smi check'],
  'Deprecated, but the only way for TrafficSplits. New services are better moved by an HTTPRoute (mesh: gateway-api): a TrafficSplit makes a ServiceProfile, which switches circuit breaking and HTTPRoutes of the Service off.',
);

const VIZ = step(
  'Install the viz extension: dashboard and Prometheus',
  ['linkerd viz install | kubectl apply -f -'],
  ['linkerd viz check', 'linkerd viz dashboard'],
  'Its metrics are what Sluice judges by: PROMETHEUS_URL is http://prometheus.linkerd-viz:9090. Kiali is for Istio; the dashboard of viz takes its place.',
);

const JAEGER = step(
  'Have the proxies send traces',
  ['linkerd jaeger install | kubectl apply -f -'],
  ['linkerd jaeger check'],
  'The extension was taken out of the newest releases: there, set the collector in the values of the control plane. Tell Sluice where Jaeger is: SLUICE_JAEGER_URL=http://jaeger.linkerd-jaeger:16686.',
);

function multicluster({ clusters }: Wishes): InstallStep {
  const pairs = clusters.flatMap((from) => clusters.filter((to) => to !== from).map((to) => ({ from, to })));
  return step(
    'Link the clusters',
    [
      ...clusters.map(
        (cluster) => `linkerd --context=${cluster} multicluster install | kubectl --context=${cluster} apply -f -`,
      ),
      ...pairs.map(
        ({ from, to }) =>
          `linkerd --context=${from} multicluster link --cluster-name ${from} | kubectl --context=${to} apply -f -`,
      ),
    ],
    clusters.map((cluster) => `linkerd --context=${cluster} multicluster check`),
    'Linkerd itself has to be in each cluster, with one trust anchor. Each stays a mesh of its own: an exported Service is mirrored as <service>-<cluster>. Newer releases link with `multicluster link-gen` and a controller per link in the values of the extension.',
  );
}
