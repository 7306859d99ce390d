import type { KubeObject } from '../../kubernetes/kube.ts';
import { hostsOf, isOnMesh } from '../../routes/istio-advice.ts';
import { type CheckResult, defineCheck } from '../check.ts';
import { gatewaysOf } from '../istio/gateways.ts';
import { isExportedTo, isOlder, listWide, nameOf, namespaceOf, textsAt, VIRTUAL_SERVICES } from '../istio/objects.ts';
import { fail, pass, warn } from '../istio/results.ts';
import { routeOf } from '../istio/route.ts';
import { lists } from '../kinds.ts';

const shared = (ours: readonly string[], theirs: readonly string[]): readonly string[] =>
  ours.filter((entry) => theirs.includes(entry));

const join = (ours: KubeObject, other: KubeObject): string =>
  `Join the two into one object: move the rules of ${nameOf(other)} into spec.http of ${nameOf(ours)}, before its default rule, then kubectl delete virtualservice ${other.metadata.name} -n ${namespaceOf(other)}`;

/**
 * Sidecars do not join VirtualServices of one host: the oldest is in force, the others are dropped without a word. Ours being
 * the older one is no safety: whoever deletes and applies it anew, as tools do, hands all its traffic to the other.
 */
function onMesh(ours: KubeObject, other: KubeObject): CheckResult | null {
  const [host] = shared(hostsOf(ours), hostsOf(other));
  if (host === undefined || !isOnMesh(ours) || !isOnMesh(other)) return null;
  const [us, them, space] = [nameOf(ours), nameOf(other), namespaceOf(ours)];
  const evidence = {
    object: us,
    rival: them,
    field: 'spec.hosts',
    host,
    gateway: 'mesh',
    created: ours.metadata.creationTimestamp ?? null,
    rivalCreated: other.metadata.creationTimestamp ?? null,
  };
  const claims = `claims the host ${host} in spec.hosts for callers in the mesh, as VirtualService ${us} does`;
  if (!isExportedTo(other, space))
    return warn(
      `VirtualService ${them} ${claims}; it is exported to ${textsAt(other.spec, 'exportTo').join(', ')} only, where the older of the two is in force and the split may not be`,
      evidence,
      join(ours, other),
    );
  const inForce = isOlder(other, ours)
    ? 'and is older: Istio uses it and ignores ours'
    : 'and is younger: Istio uses ours and ignores its rules, until ours is made anew; then it takes over';
  return fail(`VirtualService ${them} ${claims}, ${inForce}`, evidence, join(ours, other));
}

/** For a gateway they are joined, but nobody says whose rules come first. */
function atGateway(ours: KubeObject, other: KubeObject): CheckResult | null {
  const [host] = shared(hostsOf(ours), hostsOf(other));
  const [gateway] = shared(gatewaysOf(ours), gatewaysOf(other));
  if (host === undefined || gateway === undefined) return null;
  return warn(
    `VirtualService ${nameOf(other)} claims the host ${host} in spec.hosts at the gateway ${gateway}, as VirtualService ${nameOf(ours)} does: Istio joins their rules there in an order that it does not promise`,
    { object: nameOf(ours), rival: nameOf(other), field: 'spec.hosts', host, gateway },
    join(ours, other),
  );
}

export default defineCheck({
  name: 'virtualservice.conflict',
  about:
    'A second VirtualService claims a host of ours: Istio uses the older one for callers in the mesh, and only it; ours being the older one lasts until somebody makes it anew.',
  meshes: ['istio'],
  scope: 'target',
  rbac: lists(VIRTUAL_SERVICES),
  async run(around) {
    const route = await routeOf(around);
    if (route === null) return [];
    const ours = route.object;
    const { objects, everywhere } = await listWide(around, VIRTUAL_SERVICES, [route.target.namespace]);
    const found = objects
      .filter((other) => nameOf(other) !== nameOf(ours))
      .flatMap((other) => [onMesh(ours, other) ?? [], atGateway(ours, other) ?? []].flat());
    if (found.length > 0) return found;
    return [
      pass(
        `no other VirtualService ${everywhere ? 'of the cluster' : `in namespace ${route.target.namespace}, the only one that could be looked at,`} claims ${hostsOf(ours).join(' or ') || 'a host, as this one claims none'}`,
        { object: nameOf(ours), hosts: hostsOf(ours), everywhere },
      ),
    ];
  },
});
