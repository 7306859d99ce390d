import { recordAt } from '../../routes/json.ts';
import { milliOf } from '../../routes/quantity.ts';
import { type CheckResult, defineCheck, type Surroundings } from '../check.ts';
import { DEPLOYMENTS, lists, PODS } from '../kinds.ts';
import { RESOURCE_NAMES, type ResourceName, SIDECAR_RESOURCES, type SidecarResources } from '../policy.ts';
import { proxyIn, proxyName, type Version, versionsOf } from '../workload-pods.ts';

/** Annotations by which a pod template sets its proxy's resources. */
const ANNOTATIONS: Readonly<Record<'istio' | 'linkerd', Readonly<Record<ResourceName, string>>>> = {
  istio: {
    'requests.cpu': 'sidecar.istio.io/proxyCPU',
    'requests.memory': 'sidecar.istio.io/proxyMemory',
    'limits.cpu': 'sidecar.istio.io/proxyCPULimit',
    'limits.memory': 'sidecar.istio.io/proxyMemoryLimit',
  },
  linkerd: {
    'requests.cpu': 'config.linkerd.io/proxy-cpu-request',
    'requests.memory': 'config.linkerd.io/proxy-memory-request',
    'limits.cpu': 'config.linkerd.io/proxy-cpu-limit',
    'limits.memory': 'config.linkerd.io/proxy-memory-limit',
  },
};

interface Shortage {
  readonly resource: ResourceName;
  readonly wanted: string;
  /** null: not set. */
  readonly found: string | null;
}

/** What a proxy has less of than is wanted, or does not have at all. */
function shortages(container: unknown, wanted: SidecarResources): readonly Shortage[] {
  return RESOURCE_NAMES.flatMap((resource): readonly Shortage[] => {
    const least = wanted[resource];
    if (least === undefined) return [];
    const [kind = '', name = ''] = resource.split('.');
    const written = recordAt(recordAt(container, 'resources'), kind)[name];
    const found = written === undefined ? null : String(written);
    return (milliOf(found) ?? -1) >= (milliOf(least) ?? 0) ? [] : [{ resource, wanted: least, found }];
  });
}

function judged({ role, name, pods }: Version, around: Surroundings, wanted: SidecarResources): readonly CheckResult[] {
  const proxies = pods.map(({ spec }) => proxyIn(spec, around)).filter((proxy) => proxy !== null);
  if (proxies.length === 0) return [];
  const short = proxies.map((proxy) => shortages(proxy, wanted)).filter((lacking) => lacking.length > 0);
  const worst = short.toSorted((a, b) => b.length - a.length)[0] ?? [];
  const evidence = {
    role,
    deployment: name,
    pods: proxies.length,
    short: short.length,
    ...Object.fromEntries(worst.map(({ resource, found }) => [resource, found])),
  };
  if (worst.length === 0) return [{ status: 'pass', message: `the proxies of ${name} have what they need`, evidence }];
  const words = worst.map(({ resource, wanted: least, found }) => `${resource} ${found ?? 'not set'}, wanted ${least}`);
  const set = worst.map(({ resource, wanted: least }) => `${ANNOTATIONS[around.proxy][resource]}: ${least}`);
  return [
    {
      status: 'warn',
      message: `${short.length} of ${proxies.length} pods of the ${role} version ${name} give ${proxyName(around)} less than is wanted: ${words.join('; ')}. A proxy that is throttled or killed looks like a slow or failing canary`,
      evidence,
      remediation: `Annotate the pod template of ${name}: ${set.join(', ')}`,
    },
  ];
}

export default defineCheck({
  name: 'sidecar.resources',
  about: "The proxies' CPU or memory, requested or allowed, is not set or is below the installation's policy.",
  meshes: ['istio', 'linkerd-smi', 'gateway-api'],
  scope: 'target',
  rbac: lists(DEPLOYMENTS, PODS),
  async run(around) {
    if (around.target === null) return [];
    const wanted = around.policy.sidecarResources ?? SIDECAR_RESOURCES[around.proxy];
    return (await versionsOf(around, around.target)).flatMap((version) => judged(version, around, wanted));
  },
});
