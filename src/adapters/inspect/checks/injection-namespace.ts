import { type CheckResult, defineCheck, type Surroundings } from '../check.ts';
import { enableIn, isAmbient, namespaceObject, wishOfNamespace, wishOfTemplate } from '../injection.ts';
import { DEPLOYMENTS, lists, NAMESPACES, PODS } from '../kinds.ts';
import { versionsOf } from '../workload-pods.ts';

const WANTED = {
  istio: 'the label istio-injection=enabled or istio.io/rev',
  linkerd: 'the annotation linkerd.io/inject=enabled',
} as const;

/** Deployments whose own templates leave it to the namespace. null: no target is looked at. */
async function relying(around: Surroundings): Promise<readonly string[] | null> {
  if (around.target === null) return null;
  const versions = await versionsOf(around, around.target);
  return versions
    .filter(({ deployment }) => deployment === null || wishOfTemplate(deployment, around) === null)
    .map(({ name }) => name);
}

async function judged(around: Surroundings, name: string): Promise<CheckResult> {
  const { proxy, cluster } = around;
  const object = await namespaceObject(around, name);
  if (object === null)
    return {
      status: 'fail',
      message: `cluster ${cluster} has no namespace ${name}`,
      remediation: 'Correct target.namespace or target.cluster',
    };
  const evidence = { namespace: name };
  if (proxy === 'istio' && isAmbient(object))
    return { status: 'pass', message: `namespace ${name} is in ambient mode: its pods need no proxy`, evidence };
  const wish = wishOfNamespace(object, proxy);
  if (wish === true)
    return {
      status: 'pass',
      message: `namespace ${name} asks for proxies`,
      evidence: { ...evidence, injection: true },
    };
  const own = await relying(around);
  if (own !== null && own.length === 0)
    return {
      status: 'pass',
      message: `namespace ${name} does not ask for proxies, and both Deployments say themselves what they want`,
      evidence: { ...evidence, injection: false },
    };
  const whose = own === null ? 'pods that start in it' : `the next pods of ${own.join(' and ')}`;
  return {
    status: 'fail',
    message: `wanted ${WANTED[proxy]} on namespace ${name}; found ${wish === false ? 'that it is switched off' : 'neither there nor on the pod templates'}: ${whose} get no proxy, and no route holds for them`,
    evidence: { ...evidence, injection: false },
    remediation: enableIn(name, proxy),
  };
}

export default defineCheck({
  name: 'injection.namespace',
  about: 'The namespace does not ask for proxies: the next pod that starts is outside of the mesh.',
  meshes: ['istio', 'linkerd-smi', 'gateway-api'],
  scope: 'namespace',
  rbac: lists(NAMESPACES, DEPLOYMENTS, PODS),
  run: async (around) => (around.namespace === null ? [] : [await judged(around, around.namespace)]),
});
