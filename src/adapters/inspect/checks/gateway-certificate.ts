import { type CheckResult, defineCheck, Unread } from '../check.ts';
import { gatewayPods } from '../istio/gateway-pods.ts';
import { gatewaysOf, serversOf } from '../istio/gateways.ts';
import { GATEWAYS, listIn, nameOf, namespaceOf } from '../istio/objects.ts';
import { fail, pass } from '../istio/results.ts';
import { routeOf } from '../istio/route.ts';
import { lists, PODS } from '../kinds.ts';

export default defineCheck({
  name: 'gateway.certificate',
  about:
    'The Secret of a TLS server does not exist. Only where this service was given the right to list Secrets; by itself it asks for none.',
  meshes: ['istio'],
  scope: 'target',
  rbac: lists(GATEWAYS, PODS),
  async run(around) {
    const route = await routeOf(around);
    if (route === null) return [];
    const names = gatewaysOf(route.object, route.rules);
    const spaces = names.map((name) => name.split('/')[0] ?? '');
    const gateways = (await listIn(around, GATEWAYS, spaces)).filter((gateway) => names.includes(nameOf(gateway)));
    const servers = gateways.flatMap((gateway) =>
      serversOf(gateway).flatMap(({ index, port, credentialName }) =>
        credentialName === null ? [] : [{ gateway, index, port, credentialName }],
      ),
    );
    const results = servers.map(async ({ gateway, index, port, credentialName }): Promise<readonly CheckResult[]> => {
      const field = `spec.servers[${index}].tls.credentialName`;
      const pods = await gatewayPods(around, gateway);
      // The Secret is read by the gateway's pods, in their own namespace.
      const [space = around.controlPlane] = pods.map((pod) => namespaceOf(pod));
      const look = `kubectl get secret ${credentialName} -n ${space}`;
      if (!(await around.canI('list', '', 'secrets', space)))
        throw new Unread(
          `Gateway ${nameOf(gateway)} shows the certificate of Secret ${space}/${credentialName} (${field}), and this service has no right to look at Secrets; ${look} tells whether it exists`,
        );
      const secrets = await around.list({ group: '', plural: 'secrets', namespace: space });
      const evidence = { gateway: nameOf(gateway), field, secret: `${space}/${credentialName}` };
      return secrets?.some(({ metadata }) => metadata.name === credentialName) === true
        ? [pass(`Secret ${space}/${credentialName} of Gateway ${nameOf(gateway)} exists`, evidence)]
        : [
            fail(
              `Gateway ${nameOf(gateway)} wants the certificate of Secret ${space}/${credentialName} at port ${port} (${field}), which does not exist: HTTPS is refused there`,
              evidence,
              `kubectl create secret tls ${credentialName} -n ${space} --cert=tls.crt --key=tls.key`,
            ),
          ];
    });
    return (await Promise.all(results)).flat();
  },
});
