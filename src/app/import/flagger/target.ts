/** Who is moved: the workload, its two versions, and the mesh object that Flagger made for them. */
import type { Field } from '../field.ts';
import type { Answers, MeshName, PlanDocument, ProxyName, Question } from '../note.ts';

export interface FlaggerTarget {
  /** null: no mesh of Sluice's moves it. */
  readonly target: PlanDocument | null;
  readonly mesh: MeshName | null;
  readonly namespace: string;
  /** Name of the service that callers use. */
  readonly apex: string;
  /** The Deployment that people change: the canary of Flagger. */
  readonly workload: string;
  readonly questions: readonly Question[];
}

export function flaggerTarget(root: Field, answers: Answers): FlaggerTarget {
  const spec = root.at('spec');
  const questions: Question[] = [];
  const ask = (pointer: string, assumed: string | null, message: string): void => {
    questions.push({ pointer, assumed, message });
  };
  const workload = spec.at('targetRef', 'name').text() ?? '';
  const apex = spec.at('service', 'name').text() ?? workload;
  const namespace = answers.namespace ?? root.at('metadata', 'namespace').text() ?? 'default';
  if (answers.namespace === undefined && root.at('metadata', 'namespace').text() === undefined)
    ask('/target/namespace', 'default', 'the Canary names no namespace: name the one of its Deployment (namespace)');
  root.at('metadata', 'name').ignored('the name of the Canary itself; the rollout is named by its target');
  root.at('metadata', 'namespace').maps(`target.namespace: ${namespace}`);
  const isDeployment = workloadNotes(spec, workload, apex);
  const mesh = meshOf(spec, answers, ask);
  if (workload === '') root.blocks('spec.targetRef.name is missing: a Canary names its Deployment');
  if (mesh === null || !isDeployment || workload === '')
    return { target: null, mesh, namespace, apex, workload, questions };
  const deployments = { stable: answers.stable ?? `${workload}-primary`, canary: answers.canary ?? workload };
  const common = { cluster: answers.cluster ?? 'default', namespace, service: apex, mesh };
  const target = { ...common, ...routed(spec, mesh, apex, deployments, answers, ask) };
  ask(
    '/labels/image',
    null,
    'a Canary does not name what is released: say it for people by labels (--label image=...)',
  );
  return { target, mesh, namespace, apex, workload, questions };
}

type Ask = (pointer: string, assumed: string | null, message: string) => void;

/** false: not a Deployment. */
function workloadNotes(spec: Field, workload: string, apex: string): boolean {
  const ref = spec.at('targetRef');
  const kind = ref.at('kind').text() ?? 'Deployment';
  ref.at('apiVersion').ignored('Sluice asks the cluster for the Deployment of that name');
  ref
    .at('name')
    .differs(
      `canary: Deployment ${workload}; stable: Deployment ${workload}-primary. Flagger copies the canary into the primary at the end and gives that all traffic; Sluice leaves 100 % with the canary and copies nothing: for the next rollout swap stable and canary in the plan`,
    );
  spec.at('service', 'name').maps(`target.service: ${apex}`);
  const scaler = spec.at('autoscalerRef');
  scaler.differs(
    'Sluice touches no autoscaler: give each of the two Deployments its own, and both the pods that they need, before a rollout. Flagger made one for the primary, and scaled the canary to 0 between its runs',
  );
  if (kind === 'Deployment') {
    ref.at('kind').maps('a Deployment');
    return true;
  }
  ref.at('kind').blocks(`Sluice releases Deployments; found ${kind}`);
  return false;
}

const FOREIGN: Readonly<Record<string, string>> = {
  ingressRef: 'an Ingress of NGINX or Skipper',
  routeRef: 'a route of APISIX',
  upstreamRef: 'an upstream of Gloo',
};

function meshOf(spec: Field, answers: Answers, ask: Ask): MeshName | null {
  for (const [name, what] of Object.entries(FOREIGN))
    spec.at(name).blocks(`Sluice moves VirtualServices, TrafficSplits and HTTPRoutes, not ${what}`);
  const provider = spec.at('provider');
  const named = provider.text();
  if (answers.mesh !== undefined) {
    provider.differs(`target.mesh: ${answers.mesh}, as you said`);
    return answers.mesh;
  }
  if (named !== undefined) return ofProvider(provider, named);
  if (Object.keys(FOREIGN).some((name) => spec.at(name).has())) return null;
  const service = spec.at('service');
  if (service.at('gatewayRefs').has()) return 'gateway-api';
  const istio = ['gateways', 'trafficPolicy', 'delegation'].some((name) => service.at(name).has());
  if (!istio)
    ask(
      '/target/mesh',
      'istio',
      "the Canary names no provider (it is a setting of Flagger's): say the mesh (mesh: istio, linkerd-smi or gateway-api)",
    );
  return 'istio';
}

function ofProvider(provider: Field, named: string): MeshName | null {
  const [family = ''] = named.split(':');
  switch (family) {
    case 'istio':
      provider.maps('target.mesh: istio');
      return 'istio';
    case 'linkerd':
      provider.maps('target.mesh: linkerd-smi');
      return 'linkerd-smi';
    case 'smi':
      provider.differs("target.mesh: linkerd-smi; its requests are counted by Linkerd's proxies");
      return 'linkerd-smi';
    case 'gatewayapi':
      provider.maps('target.mesh: gateway-api');
      return 'gateway-api';
    default:
      provider.blocks(
        `Sluice moves Istio's VirtualServices, Linkerd's TrafficSplits and HTTPRoutes; it has nothing for the provider ${named}`,
      );
      return null;
  }
}

interface Deployments {
  readonly stable: string;
  readonly canary: string;
}

function routed(
  spec: Field,
  mesh: MeshName,
  apex: string,
  deployments: Deployments,
  answers: Answers,
  ask: Ask,
): PlanDocument {
  const [primary, canary] = [`${apex}-primary`, `${apex}-canary`];
  const service = {
    stable: { service: primary, deployment: deployments.stable },
    canary: { service: canary, deployment: deployments.canary },
  };
  switch (mesh) {
    case 'istio':
      return {
        virtualService: { name: apex },
        stable: { host: primary, deployment: deployments.stable },
        canary: { host: canary, deployment: deployments.canary },
      };
    case 'linkerd-smi':
      return { trafficSplit: { name: apex }, ...service };
    case 'gateway-api': {
      const proxy = answers.proxy ?? proxyOf(spec);
      if (answers.proxy === undefined)
        ask(
          '/target/proxy',
          proxy,
          'who carries the route out, and counts its requests: say it (proxy: linkerd or istio)',
        );
      return { httpRoute: { name: apex }, proxy, ...service };
    }
    default:
      return mesh satisfies never;
  }
}

/** A route whose parent is a Service is one of the mesh; one of a Gateway may be Istio's. */
const proxyOf = (spec: Field): ProxyName =>
  spec
    .at('service', 'gatewayRefs')
    .items()
    .some((parent) => parent.at('kind').text() === 'Service')
    ? 'linkerd'
    : 'istio';

/** The mesh object by its kind, as messages name it. */
export const objectOf = (mesh: MeshName | null, apex: string): string => {
  switch (mesh) {
    case 'linkerd-smi':
      return `TrafficSplit ${apex}`;
    case 'gateway-api':
      return `HTTPRoute ${apex}`;
    default:
      return `VirtualService ${apex}`;
  }
};
