/** Who is moved: an Argo Rollout runs both versions itself, so that Deployments have to be made of it. */

import { BY_HAND } from '../by-hand.ts';
import type { Field, Reading } from '../field.ts';
import { applyRules } from '../field.ts';
import type { Answers, MeshName, PlanDocument, Question } from '../note.ts';
import { MESHES } from '../note.ts';
import { isRecord } from '../pointer.ts';

export interface ArgoTarget {
  /** null: nothing that a mesh of Sluice's moves. */
  readonly target: PlanDocument | null;
  readonly mesh: MeshName | null;
  readonly namespace: string;
  /** Names of the two Services, where the Rollout has them. */
  readonly services: { readonly stable: string | undefined; readonly canary: string | undefined };
  readonly questions: readonly Question[];
}

type Ask = (pointer: string, assumed: string | null, message: string) => void;

/** `others`: objects beside the Rollout; hosts are read from a VirtualService or DestinationRule among them. */
export function argoTarget(root: Field, others: readonly Reading[], answers: Answers): ArgoTarget {
  const questions: Question[] = [];
  const ask: Ask = (pointer, assumed, message) => questions.push({ pointer, assumed, message });
  const name = root.at('metadata', 'name').text() ?? '';
  const namespace = answers.namespace ?? root.at('metadata', 'namespace').text() ?? 'default';
  root.at('metadata', 'name').ignored('the name of the Rollout itself; a rollout is named by its target');
  root.at('metadata', 'namespace').maps(`target.namespace: ${namespace}`);
  const canary = root.at('spec', 'strategy', 'canary');
  const services = servicesOf(canary);
  const routing = canary.at('trafficRouting');
  const common = { name, namespace, services, routing, others, answers, ask };
  const routed = routedBy(common);
  if (name === '') root.blocks('metadata.name is missing');
  const result = { namespace, services, questions };
  if (routed === null || name === '') return { ...result, target: null, mesh: null };
  if (answers.namespace === undefined && root.at('metadata', 'namespace').text() === undefined)
    ask('/target/namespace', 'default', 'the Rollout names no namespace: name the one that it is in (namespace)');
  const deployments = {
    stable: answers.stable ?? `${name}-stable`,
    canary: answers.canary ?? `${name}-canary`,
  };
  const why = 'a Rollout of Argo runs both versions itself; Sluice moves traffic between two Deployments';
  for (const role of ['stable', 'canary'] as const)
    if (answers[role] === undefined)
      ask(
        `/target/${role}/deployment`,
        deployments[role],
        `${why}: make one for the ${role} version and name it (${role})`,
      );
  const { mesh, service, fields, versions } = routed;
  const target = {
    cluster: answers.cluster ?? 'default',
    namespace,
    service,
    mesh,
    ...fields,
    stable: { ...versions.stable, deployment: deployments.stable },
    canary: { ...versions.canary, deployment: deployments.canary },
  };
  return { ...result, target, mesh };
}

function servicesOf(canary: Field): ArgoTarget['services'] {
  const hashed =
    "Argo Rollouts wrote the hash of its pods into the Service's selector: take that out, and give it the labels of the Deployment of its version";
  const [stable, other] = [canary.at('stableService'), canary.at('canaryService')];
  stable.differs(`the stable version. ${hashed}`);
  other.differs(`the canary. ${hashed}`);
  const [ping, pong] = [canary.at('pingPong', 'pingService'), canary.at('pingPong', 'pongService')];
  ping.differs(`the stable version of the first rollout; after it the two change places, as there. ${hashed}`);
  pong.differs(`the canary of the first rollout; after it the two change places, as there. ${hashed}`);
  return { stable: stable.text() ?? ping.text(), canary: other.text() ?? pong.text() };
}

interface Common {
  readonly name: string;
  readonly namespace: string;
  readonly services: ArgoTarget['services'];
  readonly routing: Field;
  readonly others: readonly Reading[];
  readonly answers: Answers;
  readonly ask: Ask;
}

interface Routed {
  readonly mesh: MeshName;
  readonly service: string;
  readonly fields: PlanDocument;
  readonly versions: { readonly stable: PlanDocument; readonly canary: PlanDocument };
}

/** By which Sluice could move it; what is there beside them is lost. */
function routedBy(common: Common): Routed | null {
  const { routing, answers } = common;
  applyRules(routing, [
    {
      fields: ['nginx', 'alb', 'ambassador', 'appMesh', 'traefik', 'apisix'],
      verdict: 'blocks',
      message: "Sluice moves Istio's VirtualServices, Linkerd's TrafficSplits and HTTPRoutes, not this",
    },
    {
      fields: ['managedRoutes'],
      verdict: 'ignored',
      message:
        'the routes that Sluice adds have names of their own, and stand before the rule that they were copied from',
    },
  ]);
  const byMesh = { istio: byIstio, 'linkerd-smi': bySmi, 'gateway-api': byGatewayApi } as const;
  const found = MESHES.map((mesh) => byMesh[mesh](common)).filter((one) => one !== null);
  const wanted = answers.mesh === undefined ? found[0] : found.find(({ mesh }) => mesh === answers.mesh);
  return wanted ?? null;
}

// ── Istio ───────────────────────────────────────────────────────────────────────────────────────────────────────────

function byIstio(common: Common): Routed | null {
  const { routing, services, name } = common;
  const istio = routing.at('istio');
  const single = istio.at('virtualService');
  const many = istio.at('virtualServices');
  const [service, ...more] = [...(single.has() ? [single] : []), ...many.items()];
  if (service === undefined) return null;
  for (const other of more)
    other.blocks('one rollout of Sluice moves one VirtualService: this one would stay as it is');
  const virtualService = virtualServiceOf(service, common);
  const rule = istio.at('destinationRule');
  const [stableSubset, canarySubset] = [rule.at('stableSubsetName').text(), rule.at('canarySubsetName').text()];
  if (stableSubset === undefined || canarySubset === undefined) {
    rule.blocks('it names no two subsets');
    const { stable, canary } = services;
    if (stable === undefined || canary === undefined) return null;
    const versions = { stable: { host: stable }, canary: { host: canary } };
    return { mesh: 'istio', service: stable, fields: { virtualService }, versions };
  }
  rule.at('name').differs(BY_HAND.ensureSubset);
  rule.at('stableSubsetName').maps(`target.stable.subset: ${stableSubset}`);
  rule.at('canarySubsetName').maps(`target.canary.subset: ${canarySubset}`);
  rule.at('additionalSubsetNames').ignored('Sluice leaves other subsets alone, as Argo does');
  const host = hostOf(rule.at('name').text(), stableSubset, common) ?? name;
  const versions = { stable: { host, subset: stableSubset }, canary: { host, subset: canarySubset } };
  return { mesh: 'istio', service: host.split('.')[0] ?? host, fields: { virtualService }, versions };
}

function virtualServiceOf(field: Field, { ask }: Common): PlanDocument {
  const name = field.at('name').text() ?? '';
  field.at('name').maps(`target.virtualService.name: ${name}`);
  const routes = field.at('routes');
  const names = routes.items().flatMap((route) => route.text() ?? []);
  const others = [field.at('tlsRoutes'), field.at('tcpRoutes')] as const;
  if (names.length > 0 || others.every((list) => list.items().length === 0)) {
    routes.maps(names.length === 1 ? `target.virtualService.route: ${names[0]}` : 'target.virtualService.routes');
    for (const list of others) list.blocks('a rollout moves rules of one protocol: those of http');
    const [first, ...more] = names;
    return { name, ...(first === undefined ? {} : more.length === 0 ? { route: first } : { routes: names }) };
  }
  const [tls, tcp] = others;
  const protocol = tls.items().length > 0 ? 'tls' : 'tcp';
  const list = protocol === 'tls' ? tls : tcp;
  list.differs(
    `target.virtualService.protocol: ${protocol}; such rules have no names, and are found by their position`,
  );
  if (protocol === 'tls') tcp.blocks('a rollout moves rules of one protocol: those of tls');
  ask(
    '/target/virtualService/index',
    null,
    `position of the ${protocol} rule to move, where several split the two versions`,
  );
  return { name, protocol };
}

/** From the DestinationRule or a VirtualService, where they were given too. */
function hostOf(rule: string | undefined, subset: string, { others, answers, ask, name }: Common): string | undefined {
  if (answers.host !== undefined) return answers.host;
  const ofRule = others.find((one) => one.kind === 'DestinationRule' && one.name === rule);
  const host = ofRule?.root.at('spec', 'host').text();
  if (host !== undefined) return host;
  const destinations = others
    .filter(({ kind }) => kind === 'VirtualService')
    .flatMap(({ root }) => root.at('spec', 'http').items())
    .flatMap((http) => http.at('route').items())
    .map((route) => route.at('destination'));
  const found = destinations
    .find((destination) => destination.at('subset').text() === subset)
    ?.at('host')
    .text();
  if (found === undefined)
    ask('/target/stable/host', name, 'the host that the VirtualService sends both subsets to: name it (host)');
  return found;
}

// ── SMI and Gateway API ─────────────────────────────────────────────────────────────────────────────────────────────

function bySmi({ routing, services, name }: Common): Routed | null {
  const smi = routing.at('smi');
  const { stable, canary } = services;
  if (!smi.has()) return null;
  const split = smi.at('trafficSplitName').text() ?? name;
  smi.differs(
    `target.mesh: linkerd-smi, TrafficSplit ${split}. Argo Rollouts makes it; Sluice moves one that is there: keep it`,
  );
  if (stable === undefined || canary === undefined) return null;
  return {
    mesh: 'linkerd-smi',
    service: smi.at('rootService').text() ?? stable,
    fields: { trafficSplit: { name: split } },
    versions: { stable: { service: stable }, canary: { service: canary } },
  };
}

const GATEWAY_API = 'argoproj-labs/gatewayAPI';

function byGatewayApi({ routing, services, answers, ask, namespace }: Common): Routed | null {
  const plugins = routing.at('plugins');
  for (const [name, field] of plugins.members())
    if (name !== GATEWAY_API) field.blocks('a plugin of Argo Rollouts, which Sluice cannot run');
  const plugin = plugins.at(GATEWAY_API);
  const { stable, canary } = services;
  if (!plugin.has()) return null;
  const route = gatewayRoute(plugin, namespace);
  if (stable === undefined || canary === undefined || route === undefined) return null;
  const proxy = answers.proxy ?? 'linkerd';
  if (answers.proxy === undefined)
    ask('/target/proxy', proxy, 'who carries the route out, and counts its requests: say it (proxy: linkerd or istio)');
  return {
    mesh: 'gateway-api',
    service: stable,
    fields: { httpRoute: { name: route }, proxy },
    versions: { stable: { service: stable }, canary: { service: canary } },
  };
}

function gatewayRoute(plugin: Field, namespace: string): string | undefined {
  const own = plugin.at('namespace');
  if (own.text() === undefined || own.text() === namespace) own.maps('the namespace of the target');
  else own.blocks(`Sluice moves routes in the namespace of the target, ${namespace}`);
  const [one, ...more] = [
    plugin.at('httpRoute'),
    ...plugin
      .at('httpRoutes')
      .items()
      .map((item) => item.at('name')),
  ].filter((field) => field.has());
  one?.maps(`target.httpRoute.name: ${one.text() ?? ''}`);
  for (const other of more) other.blocks('one rollout of Sluice moves one HTTPRoute: this one would stay as it is');
  for (const [key, field] of plugin.members())
    if (/^(?:grpc|tcp|tls)Routes?$/.test(key)) field.blocks('Sluice moves HTTPRoutes only');
    else if (!['namespace', 'httpRoute', 'httpRoutes'].includes(key)) field.ignored('a setting of the plugin');
  for (const item of plugin.at('httpRoutes').items())
    if (isRecord(item.value))
      for (const [key, field] of item.members()) if (key !== 'name') field.ignored('a setting of the plugin');
  return one?.text();
}
