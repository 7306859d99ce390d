import { type CheckResult, defineCheck } from '../check.ts';

/** What moving a route takes; `patch` is the worker's part. */
const READS = ['get', 'list', 'watch'] as const;
const WRITES = ['patch'] as const;

export default defineCheck({
  name: 'service.rights',
  about: "Sluice's account may not read or write the route object in the target's namespace.",
  meshes: ['istio', 'linkerd-smi', 'gateway-api'],
  scope: 'target',
  rbac: [],
  async run(around) {
    const { target, policy } = around;
    const now = await around.route();
    // Where not even the object can be read, the route's own finding says which right is missing.
    if (target === null || now === null) return [];
    const { group, plural } = now.place;
    const verbs = policy.writesHere ? [...READS, ...WRITES] : READS;
    const allowed = await Promise.all(verbs.map((verb) => around.canI(verb, group, plural, target.namespace)));
    const missing = verbs.filter((_, at) => allowed[at] !== true);
    const evidence = { resource: `${plural}.${group}`, namespace: target.namespace, missing };
    const note = policy.writesHere ? '' : '; patch is asked of the worker, which has an account of its own';
    const object = now.place.naming.object;
    const passed: CheckResult = {
      status: 'pass',
      message: `Sluice may ${verbs.join(', ')} ${plural}.${group} in namespace ${target.namespace}${note}`,
      evidence,
    };
    if (missing.length === 0) return [passed];
    return [
      {
        status: 'fail',
        message: `Sluice may not ${missing.join(', ')} ${plural}.${group} in namespace ${target.namespace}: ${object} could not be moved or watched`,
        evidence,
        remediation: `Add ${target.namespace} to rbac.namespaces of the chart, or grant it: apiGroups: ["${group}"], resources: ["${plural}"], verbs: [${missing.map((verb) => `"${verb}"`).join(', ')}]`,
      },
    ];
  },
});
