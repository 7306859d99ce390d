import { refusedByController } from '../../routes/route-advice.ts';
import { defineCheck } from '../check.ts';

export default defineCheck({
  name: 'route.status',
  about: 'A controller refuses the HTTPRoute (Accepted or ResolvedRefs is False): it is not in force.',
  meshes: ['gateway-api'],
  scope: 'target',
  rbac: [],
  async run(around) {
    const now = await around.route();
    return now === null ? [] : refusedByController(now.object, now.place.naming);
  },
});
