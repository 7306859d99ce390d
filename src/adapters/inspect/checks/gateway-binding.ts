import type { KubeObject } from '../../kubernetes/kube.ts';
import { expandHost, namespaceOfHost } from '../../routes/hosts.ts';
import { hostsOf, isOnMesh } from '../../routes/istio-advice.ts';
import { listAt, textAt } from '../../routes/json.ts';
import { type CheckResult, defineCheck, type Surroundings } from '../check.ts';
import { gatewayPods, selectorWords } from '../istio/gateway-pods.ts';
import { fullName, gatewaysOf, serversOf, serves } from '../istio/gateways.ts';
import { matchWords } from '../istio/matches.ts';
import { GATEWAYS, listIn, nameOf, namespaceOf, textsAt, VIRTUAL_SERVICES } from '../istio/objects.ts';
import { fail, pass, warn } from '../istio/results.ts';
import { destinationsOf, type Route, routeOf, ruleWords } from '../istio/route.ts';
import { isReady } from '../istio/workloads.ts';
import { lists, PODS } from '../kinds.ts';

/** Callers inside the mesh do not meet a VirtualService that is bound to gateways only. */
function withoutMesh({ object, naming }: Route): readonly CheckResult[] {
  if (isOnMesh(object)) return [];
  const gateways = textsAt(object.spec, 'gateways');
  return [
    warn(
      `${naming.object} is bound to ${gateways.join(', ')} in spec.gateways and not to "mesh": callers inside the mesh go past the split`,
      { object: nameOf(object), field: 'spec.gateways', gateways },
      `Add mesh to spec.gateways if they should not: gateways: [mesh, ${gateways.join(', ')}]`,
    ),
  ];
}

/** Requests from a gateway follow the VirtualService that is bound to it, whatever one for the mesh says. */
function separateIngress({ object, target }: Route, all: readonly KubeObject[]): readonly CheckResult[] {
  const hosts = [target.service, target.stable.host, target.canary.host].map((host) =>
    expandHost(host, target.namespace),
  );
  const ours = gatewaysOf(object);
  return all
    .filter((other) => nameOf(other) !== nameOf(object))
    .flatMap((other) => {
      const gateways = gatewaysOf(other).filter((gateway) => !ours.includes(gateway));
      const leads = listAt(other.spec, 'http').some((rule) =>
        destinationsOf(rule).some((to) => hosts.includes(expandHost(textAt(to, 'host') ?? '', namespaceOf(other)))),
      );
      if (gateways.length === 0 || !leads) return [];
      return [
        warn(
          `requests that come in by the gateway ${gateways.join(', ')} follow VirtualService ${nameOf(other)} (spec.gateways), which leads to ${target.service} too: they go past the split of VirtualService ${nameOf(object)}`,
          { object: nameOf(object), rival: nameOf(other), field: 'spec.gateways', gateways },
          `Bind VirtualService ${nameOf(object)} to ${gateways.join(', ')} with the hosts ${hostsOf(other).join(', ')}, and take these rules out of ${nameOf(other)}`,
        ),
      ];
    });
}

/** A rule may be for some of the gateways only. */
const partial = ({ object, rules, moved, protocol }: Route): readonly CheckResult[] =>
  moved.flatMap(({ rule: { index } }) => {
    const space = namespaceOf(object);
    const of = textsAt(object.spec, 'gateways').map((name) => (name === 'mesh' ? name : fullName(name, space)));
    const bound = of.length === 0 ? ['mesh'] : of;
    const matches = listAt(rules[index], 'match').map((match) => textsAt(match, 'gateways'));
    if (matches.length === 0 || matches.some((gateways) => gateways.length === 0)) return [];
    const here = matches.flat().map((name) => (name === 'mesh' ? name : fullName(name, space)));
    const past = bound.filter((gateway) => !here.includes(gateway));
    if (past.length === 0) return [];
    return [
      warn(
        `${ruleWords(rules, index)} of VirtualService ${nameOf(object)} (${matchWords(rules[index])}) is for ${here.join(', ')} only: requests by ${past.join(', ')} go past the split`,
        { object: nameOf(object), field: `spec.${protocol}[${index}].match[].gateways`, past },
        `Add ${past.join(', ')} to spec.${protocol}[${index}].match[].gateways, or remove that field`,
      ),
    ];
  });

/** One gateway that the object is bound to. */
async function bound(around: Surroundings, { object }: Route, gateway: string): Promise<readonly CheckResult[]> {
  const [space = '', name = ''] = gateway.split('/');
  const found = (await listIn(around, GATEWAYS, [space])).find(({ metadata }) => metadata.name === name);
  const bindings = { object: nameOf(object), field: 'spec.gateways', gateway };
  if (found === undefined)
    return [
      fail(
        `VirtualService ${nameOf(object)} is bound to Gateway ${gateway} in spec.gateways, which does not exist: it is in force at no gateway of that name`,
        bindings,
        `Create it (kubectl get gateways.networking.istio.io -A shows those there are), or correct spec.gateways`,
      ),
    ];
  const servers = serversOf(found);
  const hosts = hostsOf(object);
  const served = hosts.filter((host) => servers.some((server) => serves(found, server, host, namespaceOf(object))));
  const outside = hosts.filter((host) => !served.includes(host) && namespaceOfHost(host) === null);
  const offered = servers.flatMap((server) => server.hosts);
  const unserved = (lost: readonly string[]) => `Add ${lost.join(', ')} to spec.servers[].hosts of Gateway ${gateway}`;
  const hostFindings: readonly CheckResult[] =
    served.length === 0
      ? [
          fail(
            `Gateway ${gateway} serves none of the hosts of VirtualService ${nameOf(object)} (spec.hosts: ${hosts.join(', ')}); its spec.servers[].hosts are ${offered.join(', ') || 'none'}. Its requests get 404 there`,
            { ...bindings, hosts, offered },
            unserved(outside.length > 0 ? outside : hosts),
          ),
        ]
      : outside.length > 0
        ? [
            warn(
              `Gateway ${gateway} does not serve ${outside.join(', ')}, which VirtualService ${nameOf(object)} has in spec.hosts; its spec.servers[].hosts are ${offered.join(', ')}`,
              { ...bindings, hosts: outside, offered },
              unserved(outside),
            ),
          ]
        : [];
  const results = [...hostFindings, ...(await pods(around, found)), ...withoutCertificate(found, around)];
  if (results.length > 0) return results;
  const redirects = servers.filter(({ redirects: does }) => does).map(({ port }) => port ?? 0);
  return [
    pass(
      `Gateway ${gateway} serves ${served.join(', ')} and has running pods${redirects.length === 0 ? '' : `; its port ${redirects.join(', ')} answers with a redirect to HTTPS (tls.httpsRedirect), so only HTTPS meets the split`}`,
      { ...bindings, served, redirects },
    ),
  ];
}

async function pods(around: Surroundings, gateway: KubeObject): Promise<readonly CheckResult[]> {
  const found = await gatewayPods(around, gateway);
  if (found.some(isReady)) return [];
  const selector = selectorWords(gateway);
  return [
    fail(
      `Gateway ${nameOf(gateway)} selects ${found.length === 0 ? 'no pod' : `${found.length} pods, none of them ready,`} with spec.selector ${selector.join(', ')}: nothing listens for it`,
      { gateway: nameOf(gateway), field: 'spec.selector', selector, pods: found.length },
      `kubectl get pods -A -l ${selector.join(',')}; start the ingress gateway (istioctl install --set profile=default -y has one), or correct spec.selector`,
    ),
  ];
}

const NEEDS_CERTIFICATE: ReadonlySet<string> = new Set(['SIMPLE', 'MUTUAL', 'OPTIONAL_MUTUAL']);

function withoutCertificate(gateway: KubeObject, around: Surroundings): readonly CheckResult[] {
  return serversOf(gateway)
    .filter(({ tlsMode, credentialName, certificate }) => {
      return NEEDS_CERTIFICATE.has(tlsMode ?? '') && credentialName === null && certificate === null;
    })
    .map(({ index, port, tlsMode }) =>
      fail(
        `Gateway ${nameOf(gateway)} ends TLS (mode ${tlsMode}) at port ${port} and has no spec.servers[${index}].tls.credentialName: it has no certificate to show`,
        { gateway: nameOf(gateway), field: `spec.servers[${index}].tls.credentialName` },
        `kubectl create secret tls ${gateway.metadata.name}-tls -n ${around.controlPlane} --cert=tls.crt --key=tls.key, in the namespace of the gateway's pods, and name it there`,
      ),
    );
}

export default defineCheck({
  name: 'gateway.binding',
  about:
    'A gateway of the VirtualService does not exist, has no pods or serves other hosts; or callers go past the split.',
  meshes: ['istio'],
  scope: 'target',
  rbac: lists(VIRTUAL_SERVICES, GATEWAYS, PODS),
  async run(around) {
    const route = await routeOf(around);
    if (route === null) return [];
    const gateways = gatewaysOf(route.object, route.rules);
    const all = await listIn(around, VIRTUAL_SERVICES, [route.target.namespace]);
    const found = (await Promise.all(gateways.map((gateway) => bound(around, route, gateway)))).flat();
    return [...withoutMesh(route), ...partial(route), ...separateIngress(route, all), ...found];
  },
});
