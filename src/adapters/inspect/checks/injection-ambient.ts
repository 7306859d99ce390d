import { recordAt, textAt } from '../../routes/json.ts';
import { type CheckResult, defineCheck, type Surroundings } from '../check.ts';
import { isAmbient, namespaceObject } from '../injection.ts';
import { lists, NAMESPACES, SERVICES } from '../kinds.ts';

const GATEWAYS = { group: 'gateway.networking.k8s.io', plural: 'gateways' } as const;
const LABEL = 'istio.io/use-waypoint';
const ELSEWHERE = 'istio.io/use-waypoint-namespace';

interface Waypoint {
  readonly name: string;
  readonly namespace: string;
}

/** The one that the service names, else the one of its namespace; null: none, or "none". */
async function waypointOf(around: Surroundings, namespace: string): Promise<Waypoint | null> {
  const services = around.target === null ? [] : ((await around.list({ ...SERVICES, namespace })) ?? []);
  const service = services.find(({ metadata }) => metadata.name === around.target?.service);
  const whole = await namespaceObject(around, namespace);
  const labels = [service, whole].map((object) => recordAt(object?.metadata, 'labels'));
  const own = labels.find((found) => textAt(found, LABEL) !== null);
  const name = textAt(own, LABEL);
  return name === null || name === 'none' ? null : { name, namespace: textAt(own, ELSEWHERE) ?? namespace };
}

async function judged(around: Surroundings, namespace: string): Promise<CheckResult> {
  const waypoint = await waypointOf(around, namespace);
  const apply = `istioctl waypoint apply -n ${namespace} --enroll-namespace`;
  if (waypoint === null)
    return {
      status: 'fail',
      message: `namespace ${namespace} is in ambient mode and has no waypoint (label ${LABEL}): nothing divides requests there, and nothing counts them`,
      evidence: { namespace, waypoint: null },
      remediation: apply,
    };
  const evidence = { namespace, waypoint: `${waypoint.namespace}/${waypoint.name}` };
  const gateways = await around.list({ ...GATEWAYS, namespace: waypoint.namespace });
  if (gateways !== null && !gateways.some(({ metadata }) => metadata.name === waypoint.name))
    return {
      status: 'fail',
      message: `the label ${LABEL} names the waypoint ${evidence.waypoint}, and there is no such Gateway: nothing divides requests`,
      evidence,
      remediation: apply,
    };
  if (around.mesh === 'istio')
    return {
      status: 'warn',
      message: `namespace ${namespace} is in ambient mode, where Istio supports VirtualServices only as an experiment and not beside HTTPRoutes`,
      evidence,
      remediation: 'Split by an HTTPRoute between two Services, and plan with mesh: gateway-api and proxy: istio',
    };
  return {
    status: 'pass',
    message: `requests in namespace ${namespace} pass the waypoint ${evidence.waypoint}`,
    evidence,
  };
}

export default defineCheck({
  name: 'injection.ambient',
  about: "The namespace is in Istio's ambient mode without a waypoint, or is to be split by a VirtualService.",
  meshes: ['istio', 'gateway-api'],
  scope: 'namespace',
  rbac: [
    ...lists(NAMESPACES, SERVICES),
    { apiGroups: [GATEWAYS.group], resources: [GATEWAYS.plural], verbs: ['list'] },
  ],
  async run(around) {
    const { namespace, proxy } = around;
    if (namespace === null || proxy !== 'istio') return [];
    const object = await namespaceObject(around, namespace);
    return object !== null && isAmbient(object) ? [await judged(around, namespace)] : [];
  },
});
