import type { Target } from '../../../domain/plan.ts';
import { servedBy, serviceWords } from '../../prepare/served.ts';
import { type CheckResult, defineCheck, type Surroundings } from '../check.ts';
import { DEPLOYMENTS, lists, SERVICES } from '../kinds.ts';
import { type Version, versionsOf } from '../workload-pods.ts';

export default defineCheck({
  name: 'workloads.service',
  about: 'A Deployment of the plan is not the one whose pods the Service of that version selects.',
  meshes: ['istio', 'linkerd-smi', 'gateway-api'],
  scope: 'target',
  // A plan could have somebody else's pods watched in place of its own.
  never: 'milder',
  rbac: lists(DEPLOYMENTS, SERVICES),
  async run(around) {
    const { target } = around;
    if (target === null) return [];
    const versions = await versionsOf(around, target);
    return (await Promise.all(versions.map((version) => judged(around, target, version)))).flat();
  },
});

/** Empty: there is no such Deployment, which the preflight says. */
async function judged(
  around: Surroundings,
  { namespace }: Target,
  { role, name, deployment }: Version,
): Promise<readonly CheckResult[]> {
  if (deployment === null) return [];
  const ref = around.serviceOf(role);
  const services = ref?.namespace === namespace ? ((await around.list({ ...SERVICES, namespace })) ?? []) : [];
  const service = services.find(({ metadata }) => metadata.name === ref?.name) ?? null;
  const served = servedBy(ref, service, deployment);
  const evidence = {
    role,
    deployment: name,
    object: ref === null ? null : serviceWords(ref),
    field: 'spec.selector',
  };
  switch (served.kind) {
    case 'selected':
      return [
        {
          status: 'pass',
          message: `the Service of the ${role} version selects the pods of Deployment ${name} (${served.selector})`,
          evidence: { ...evidence, selector: served.selector },
        },
      ];
    case 'foreign':
      return [
        {
          status: 'fail',
          message: `${served.message}: the ${role} version's requests go to other pods than those that are watched`,
          evidence: { ...evidence, selector: served.selector, labels: served.labels },
          remediation: `Name in target.${role}.deployment the Deployment whose pods that Service selects, or correct its spec.selector: kubectl get deployments -n ${namespace} -o custom-columns=NAME:.metadata.name,LABELS:.spec.template.metadata.labels`,
        },
      ];
    case 'untold':
      return [
        {
          status: 'warn',
          message: `that the pods of Deployment ${name} are those of the ${role} version cannot be told: ${served.message}`,
          evidence,
          remediation: `Check by hand that the ${role} version's requests go to the pods of Deployment ${name}; a scale step is refused meanwhile`,
        },
      ];
    default:
      return served satisfies never;
  }
}
