/** How Istio is installed. Commands of current releases; the notes say which well-known ones are gone. */
import type { InstallStep } from './step.ts';
import { step } from './step.ts';
import type { ProxyResources, Wishes } from './wishes.ts';

/** Profiles as istioctl knows them: production is the default one with resources of its own. */
const PROFILE = { minimal: 'minimal', default: 'default', demo: 'demo', production: 'default' } as const;

const HAS = {
  minimal: 'istiod only, no gateway',
  default: 'istiod and an ingress gateway',
  demo: 'istiod, an ingress and an egress gateway, and traces of every request; not for production',
  production: 'istiod and an ingress gateway, with requests and limits for every sidecar',
} as const;

const setsOf = ({ requests, limits }: ProxyResources): readonly string[] => [
  `values.global.proxy.resources.requests.cpu=${requests.cpu}`,
  `values.global.proxy.resources.requests.memory=${requests.memory}`,
  `values.global.proxy.resources.limits.cpu=${limits.cpu}`,
  `values.global.proxy.resources.limits.memory=${limits.memory}`,
];

const install = (where: string, sets: readonly string[]): string =>
  [`istioctl install${where}`, ...sets.map((set) => `--set ${set}`), '-y'].join(' ');

const wait = (where = ''): string => `kubectl${where} rollout status deployment/istiod -n istio-system --timeout=5m`;

export function istioSteps(wishes: Wishes): readonly InstallStep[] {
  const { namespace, addons, clusters } = wishes;
  // Where there are several clusters, each is told by its context.
  const contexts = addons.includes('multicluster') ? clusters.map((cluster) => ` --context=${cluster}`) : [''];
  return [
    step(
      'Install the command line of Istio',
      ['curl -L https://istio.io/downloadIstio | sh -', 'export PATH=$PWD/$(ls -d istio-* | tail -1)/bin:$PATH'],
      ['istioctl version --remote=false'],
    ),
    step(
      'Look at the cluster first',
      ['istioctl x precheck'],
      [],
      'It changes nothing, and names what stands in the way.',
    ),
    ...(addons.includes('multicluster') ? multicluster(wishes) : [controlPlane(wishes)]),
    step(
      `Have the proxy injected into the pods of ${namespace}`,
      contexts.flatMap((where) => [
        `kubectl${where} label namespace ${namespace} istio-injection=enabled`,
        `kubectl${where} rollout restart deployment -n ${namespace}`,
      ]),
      contexts.flatMap((where) => [
        `kubectl${where} get namespace ${namespace} -L istio-injection`,
        `kubectl${where} get pods -n ${namespace}`,
      ]),
      'Only pods that are made afterwards get a proxy, hence the restart. With revisions the label is istio.io/rev in place of istio-injection.',
    ),
    step(
      'Verify the installation',
      contexts.flatMap((where) => [
        wait(where),
        `kubectl${where} get pods -n istio-system`,
        `istioctl proxy-status${where}`,
        `istioctl analyze${where} -n ${namespace}`,
      ]),
      [],
      'In place of `istioctl verify-install`: it compared the cluster with the IstioOperator object installed-state, which current releases no longer write, so it proves nothing there. The in-cluster operator is gone too: an IstioOperator is now only a file for `istioctl install -f`.',
    ),
    ...(addons.includes('prometheus')
      ? [
          addon(
            'prometheus',
            wishes,
            'Its metrics are what Sluice judges by: PROMETHEUS_URL is http://prometheus.istio-system:9090. For trials; it keeps nothing.',
          ),
        ]
      : []),
    ...(addons.includes('kiali') ? [addon('kiali', wishes, KIALI)] : []),
    ...(addons.includes('jaeger') ? [...tracing(wishes)] : []),
  ];
}

const controlPlane = ({ profile, resources }: Wishes): InstallStep =>
  step(
    `Install the control plane: ${HAS[profile]}`,
    [install('', [`profile=${PROFILE[profile]}`, ...(resources === null ? [] : setsOf(resources))])],
    [wait()],
  );

const KIALI =
  'It needs Prometheus. Tell Sluice where it is: SLUICE_KIALI_URL=http://kiali.istio-system:20001/kiali, and SLUICE_KIALI_OBJECT_PATH=legacy for Kiali 1.x (the addon of Istio 1.20), else gvk.';

const addon = (name: 'prometheus' | 'kiali' | 'jaeger', { release }: Wishes, note: string): InstallStep =>
  step(
    `Install ${name[0]?.toUpperCase()}${name.slice(1)}`,
    [
      `kubectl apply -f https://raw.githubusercontent.com/istio/istio/release-${release}/samples/addons/${name}.yaml`,
      `kubectl rollout status deployment/${name} -n istio-system --timeout=5m`,
    ],
    [`istioctl dashboard ${name}`],
    note,
  );

const tracing = (wishes: Wishes): readonly InstallStep[] => [
  addon(
    'jaeger',
    wishes,
    'Tell Sluice where it is: SLUICE_JAEGER_URL=http://tracing.istio-system/jaeger. Spans are only sent where the mesh has a tracing provider and a Telemetry object samples; the usual rate is 1 %, so a failed request mostly has no trace.',
  ),
];

/** Each cluster is a primary, on one network; each sees the endpoints of the others. */
function multicluster({ clusters, meshId, network, profile, resources }: Wishes): readonly InstallStep[] {
  const sets = (cluster: string): readonly string[] => [
    `profile=${PROFILE[profile]}`,
    ...(resources === null ? [] : setsOf(resources)),
    `values.global.meshID=${meshId}`,
    `values.global.multiCluster.clusterName=${cluster}`,
    `values.global.network=${network}`,
  ];
  const pairs = clusters.flatMap((from) => clusters.filter((to) => to !== from).map((to) => ({ from, to })));
  return [
    ...clusters.map((cluster) =>
      step(
        `Install the control plane of ${cluster}: ${HAS[profile]}`,
        [install(` --context=${cluster}`, sets(cluster))],
        [wait(` --context=${cluster}`)],
        'All clusters need certificates of one root: make the secret cacerts in istio-system of each before this. The values are what an IstioOperator file would hold under spec.values.global.',
      ),
    ),
    step(
      'Let each control plane see the endpoints of the other clusters',
      pairs.map(
        ({ from, to }) =>
          `istioctl create-remote-secret --context=${from} --name=${from} | kubectl apply -f - --context=${to}`,
      ),
      clusters.flatMap((cluster) => [
        `kubectl get secrets -n istio-system -l istio/multiCluster=true --context=${cluster}`,
        `istioctl remote-clusters --context=${cluster}`,
      ]),
      'It was `istioctl x create-remote-secret` once. Routes are not shared: the VirtualService has to be in each primary, and a rollout moves the one of its own cluster.',
    ),
  ];
}
