import { connectionsOnly } from '../../routes/istio-advice.ts';
import { defineCheck } from '../check.ts';

export default defineCheck({
  name: 'route.connections',
  about: 'A tls or tcp rule divides connections, not requests: there are no request counts to judge.',
  meshes: ['istio'],
  scope: 'target',
  rbac: [],
  async run(around) {
    const now = await around.route();
    return now === null || now.place.field === 'http' ? [] : connectionsOnly(now.place.field, now.place.naming);
  },
});
