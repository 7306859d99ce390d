import { otherParents } from '../../routes/route-advice.ts';
import { defineCheck } from '../check.ts';

export default defineCheck({
  name: 'route.parents',
  about: "The HTTPRoute is not attached to the plan's Service: calls inside the mesh go past the split.",
  meshes: ['gateway-api'],
  scope: 'target',
  rbac: [],
  async run(around) {
    const now = await around.route();
    return now === null || around.target === null
      ? []
      : otherParents(now.object, around.target.service, now.place.naming);
  },
});
