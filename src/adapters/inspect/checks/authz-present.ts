import { defineCheck, Unread } from '../check.ts';
import { isDryRun } from '../istio/authorization.ts';
import { AUTHORIZATION_POLICIES, listIn, nameOf, names, orUnread } from '../istio/objects.ts';
import { pass, warn } from '../istio/results.ts';
import { lists } from '../kinds.ts';

export default defineCheck({
  name: 'authz.present',
  about: 'The namespace has no AuthorizationPolicy: every workload may call every other.',
  meshes: ['istio', 'gateway-api'],
  scope: 'namespace',
  rbac: lists(AUTHORIZATION_POLICIES),
  async run(around) {
    const { namespace, controlPlane } = around;
    if (namespace === null || around.proxy !== 'istio') return [];
    const own = (await listIn(around, AUTHORIZATION_POLICIES, [namespace])).filter((policy) => !isDryRun(policy));
    if (own.length > 0)
      return [
        pass(`namespace ${namespace} has ${own.length} AuthorizationPolicies: ${names(own)}`, {
          namespace,
          policies: own.map(nameOf),
        }),
      ];
    const wide = await orUnread(listIn(around, AUTHORIZATION_POLICIES, [controlPlane]));
    if (wide instanceof Unread) throw wide;
    const enforced = wide.filter((policy) => !isDryRun(policy));
    if (enforced.length > 0 && namespace !== controlPlane)
      return [
        pass(
          `namespace ${namespace} has no AuthorizationPolicy of its own; those of the whole mesh hold: ${names(enforced)}`,
          {
            namespace,
            policies: enforced.map(nameOf),
          },
        ),
      ];
    return [
      warn(
        `no AuthorizationPolicy is for namespace ${namespace}, neither its own nor one in ${controlPlane}: every workload of the mesh may call every workload in it (no zero trust)`,
        { namespace, policies: [], field: 'spec.rules' },
        [
          'Allow the known callers of each workload first, then refuse everybody else:',
          'apiVersion: security.istio.io/v1beta1',
          'kind: AuthorizationPolicy',
          `metadata: { name: allow-nothing, namespace: ${namespace} }`,
          'spec: {}',
        ].join('\n'),
      ),
    ];
  },
});
