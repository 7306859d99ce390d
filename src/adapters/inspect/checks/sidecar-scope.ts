import type { KubeObject } from '../../kubernetes/kube.ts';
import { coversHost, expandHost } from '../../routes/hosts.ts';
import { hostsOf } from '../../routes/istio-advice.ts';
import { listAt, recordAt } from '../../routes/json.ts';
import { type CheckResult, defineCheck, type Surroundings, Unread } from '../check.ts';
import { callersOf, namespacesOf } from '../istio/callers.ts';
import { rulesFor } from '../istio/destination-rules.ts';
import {
  DESTINATION_RULES,
  isExportedTo,
  listIn,
  nameOf,
  namespaceOf,
  oldestFirst,
  orUnread,
  SIDECARS,
  textsAt,
  VIRTUAL_SERVICES,
} from '../istio/objects.ts';
import { pass, warn } from '../istio/results.ts';
import { type Route, routeOf } from '../istio/route.ts';
import { lists } from '../kinds.ts';

/** An object that callers of a namespace would have to see, and may not. */
function hiddenBy(object: KubeObject, kind: string, namespace: string): readonly CheckResult[] {
  if (isExportedTo(object, namespace)) return [];
  const to = textsAt(object.spec, 'exportTo');
  return [
    warn(
      `${kind} ${nameOf(object)} is exported to ${to.join(', ')} only (spec.exportTo); callers in namespace ${namespace} do not see it, so their requests go past the split`,
      { object: nameOf(object), field: 'spec.exportTo', exportTo: to, namespace },
      `Add ${namespace} to spec.exportTo of ${kind} ${nameOf(object)}`,
    ),
  ];
}

const isForSome = (sidecar: KubeObject): boolean => Object.keys(recordAt(sidecar.spec, 'workloadSelector')).length > 0;

/** Does an entry like "production/*", "./*" or "~/*" of a Sidecar let that host of that namespace in? */
export function imports(entry: string, of: string, host: string, own: string): boolean {
  const [space, name] = entry.includes('/') ? entry.split('/', 2) : ['*', entry];
  const wanted = space === '.' ? own : space;
  if (wanted === '~' || (wanted !== '*' && wanted !== of)) return false;
  return name === '*' || coversHost(expandHost(name ?? '', of), host);
}

/** The namespace's own Sidecar without a selector, else the control plane's; and those for some of its workloads. */
function shutOut(
  sidecars: readonly KubeObject[],
  namespace: string,
  root: string,
  route: Route,
): readonly CheckResult[] {
  const own = sidecars.filter((one) => namespaceOf(one) === namespace);
  const whole = own.filter((one) => !isForSome(one));
  const wide = sidecars.filter((one) => namespaceOf(one) === root && !isForSome(one));
  const inForce = [...oldestFirst(whole.length > 0 ? whole : wide).slice(0, 1), ...own.filter(isForSome)];
  const space = namespaceOf(route.object);
  const hosts = hostsOf(route.object);
  return inForce.flatMap((sidecar) => {
    const egress = listAt(sidecar.spec, 'egress');
    // Without egress a Sidecar lets everything in.
    if (egress.length === 0) return [];
    const entries = egress.flatMap((listener) => textsAt(listener, 'hosts'));
    if (hosts.some((host) => entries.some((entry) => imports(entry, space, host, namespace)))) return [];
    const whom = isForSome(sidecar)
      ? `the workloads of namespace ${namespace} that it selects`
      : `namespace ${namespace}`;
    return [
      warn(
        `Sidecar ${nameOf(sidecar)} hides VirtualService ${nameOf(route.object)} from ${whom}: none of its spec.egress[].hosts (${entries.join(', ') || 'none'}) takes ${space}/${hosts[0] ?? '*'}, and callers there go past the split`,
        { object: nameOf(sidecar), field: 'spec.egress[].hosts', hosts: entries, namespace },
        `Add "${space}/${hosts[0] ?? '*'}" to spec.egress[].hosts of Sidecar ${nameOf(sidecar)}`,
      ),
    ];
  });
}

async function judged(around: Surroundings, route: Route, namespace: string): Promise<readonly CheckResult[]> {
  const { object, target } = route;
  const hosts = [
    ...new Set([target.stable.host, target.canary.host].map((host) => expandHost(host, target.namespace))),
  ];
  const rules = await Promise.all(hosts.map((host) => rulesFor(around, host, target.namespace)));
  const own = await listIn(around, SIDECARS, [namespace]);
  const wide = namespace === around.controlPlane ? [] : await orUnread(listIn(around, SIDECARS, [around.controlPlane]));
  const decided = own.some((one) => !isForSome(one));
  if (wide instanceof Unread && !decided) throw wide;
  return [
    ...hiddenBy(object, 'VirtualService', namespace),
    ...rules.flatMap((found) => found.rules.flatMap((rule) => hiddenBy(rule, 'DestinationRule', namespace))),
    ...shutOut([...own, ...(wide instanceof Unread ? [] : wide)], namespace, around.controlPlane, route),
  ];
}

export default defineCheck({
  name: 'sidecar.scope',
  about:
    'A Sidecar or exportTo hides the VirtualService or DestinationRule from namespaces that really call the service.',
  meshes: ['istio'],
  scope: 'target',
  rbac: lists(VIRTUAL_SERVICES, DESTINATION_RULES, SIDECARS),
  async run(around) {
    const route = await routeOf(around);
    if (route === null) return [];
    const namespaces = namespacesOf(await callersOf(around, route.target));
    if (namespaces.length === 0)
      throw new Unread(
        'nobody was seen to call the stable version in the last hour, so nobody can be asked what they see',
      );
    const found = await Promise.all(namespaces.map((namespace) => orUnread(judged(around, route, namespace))));
    const results = found.flatMap((one) => (one instanceof Unread ? [] : one));
    if (results.length > 0) return results;
    const unread = found.find((one) => one instanceof Unread);
    if (unread instanceof Unread) throw unread;
    return [
      pass(`callers in ${namespaces.join(', ')} see VirtualService ${nameOf(route.object)} and its DestinationRules`, {
        object: nameOf(route.object),
        namespaces,
      }),
    ];
  },
});
