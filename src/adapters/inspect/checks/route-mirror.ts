import { mirroredTwice } from '../../routes/istio-advice.ts';
import { defineCheck } from '../check.ts';

export default defineCheck({
  name: 'route.mirror',
  about: 'The moved rule also mirrors requests: the canary gets its share of the load twice.',
  meshes: ['istio'],
  scope: 'target',
  rbac: [],
  async run(around) {
    const now = await around.route();
    return now === null ? [] : mirroredTwice(now.object, now.place.field, now.moved, now.place.naming);
  },
});
