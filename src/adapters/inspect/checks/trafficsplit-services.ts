import { leafServices } from '../../routes/linkerd-advice.ts';
import { defineCheck } from '../check.ts';
import { lists, SERVICES } from '../kinds.ts';

export default defineCheck({
  name: 'trafficsplit.services',
  about: 'A Service of one of the versions does not exist or is headless: Linkerd does not split those.',
  meshes: ['linkerd-smi'],
  scope: 'target',
  rbac: lists(SERVICES),
  async run(around) {
    const { target } = around;
    const now = await around.route();
    if (now === null || target === null) return [];
    const services = (await around.list({ ...SERVICES, namespace: target.namespace })) ?? [];
    const wanted = [target.stable, target.canary].map(({ service }) => String(service));
    return leafServices(services, wanted, now.place.naming);
  },
});
