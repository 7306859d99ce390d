import { type CheckResult, defineCheck, type Surroundings } from '../check.ts';
import { enableIn, isAmbient, namespaceObject } from '../injection.ts';
import { DEPLOYMENTS, lists, NAMESPACES, PODS } from '../kinds.ts';
import { proxyIn, proxyName, type Version, versionsOf } from '../workload-pods.ts';

/** Names are shown up to here. */
const SHOWN = 5;

const named = (names: readonly string[]): string =>
  `${names.slice(0, SHOWN).join(', ')}${names.length > SHOWN ? ` and ${names.length - SHOWN} more` : ''}`;

function judged({ role, name, pods }: Version, around: Surroundings, namespace: string): CheckResult {
  const bare = pods.filter(({ spec }) => proxyIn(spec, around) === null).map(({ metadata }) => metadata.name);
  const evidence = { role, deployment: name, pods: pods.length, without: bare };
  if (pods.length === 0)
    return {
      status: 'warn',
      message: `the ${role} version ${name} has no pods: whether they get a proxy is not known`,
      evidence,
      remediation: `kubectl scale deployment ${name} -n ${namespace} --replicas=1`,
    };
  if (bare.length === 0)
    return {
      status: 'pass',
      message: `all ${pods.length} pods of ${name} have the container ${proxyName(around)}`,
      evidence,
    };
  return {
    status: 'fail',
    message: `${bare.length} of ${pods.length} pods of the ${role} version ${name} have no container ${proxyName(around)}: ${named(bare)}. Their requests pass no proxy and are in no metric`,
    evidence,
    remediation: `${enableIn(namespace, around.proxy)} && kubectl rollout restart deployment ${name} -n ${namespace}`,
  };
}

/** Where namespaces may not be read, whether there is ambient mode is not known, and neither is whether pods need a proxy. */
async function needsNone(around: Surroundings, namespace: string): Promise<boolean> {
  if (around.proxy !== 'istio') return false;
  const object = await namespaceObject(around, namespace);
  return object !== null && isAmbient(object);
}

export default defineCheck({
  name: 'injection.pods',
  about: 'Pods of the stable or the canary version have no proxy: their requests are in no metric.',
  meshes: ['istio', 'linkerd-smi', 'gateway-api'],
  scope: 'target',
  rbac: lists(DEPLOYMENTS, PODS, NAMESPACES),
  async run(around) {
    const { target } = around;
    if (target === null) return [];
    const versions = (await versionsOf(around, target)).filter(({ deployment }) => deployment !== null);
    const results = versions.map((version) => judged(version, around, target.namespace));
    // Only where pods have no proxy does it matter what mode they are in.
    if (results.every(({ status }) => status !== 'fail')) return results;
    return (await needsNone(around, target.namespace)) ? [] : results;
  },
});
