import { owners } from '../../routes/advice.ts';
import { defineCheck } from '../check.ts';

export default defineCheck({
  name: 'gitops.owner',
  about: 'Argo CD, Flux or another tool applies the route object and would put every weight back.',
  meshes: ['istio', 'linkerd-smi', 'gateway-api'],
  scope: 'target',
  rbac: [],
  async run(around) {
    const now = await around.route();
    if (now === null) return [];
    const found = owners(now.object, now.place);
    const passed = {
      status: 'pass' as const,
      message: `no other tool keeps the weights of ${now.place.naming.object}`,
    };
    return found.length === 0 ? [passed] : found;
  },
});
