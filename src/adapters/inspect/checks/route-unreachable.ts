import { unreachable } from '../../routes/istio-advice.ts';
import { defineCheck } from '../check.ts';

export default defineCheck({
  name: 'route.unreachable',
  about: 'A rule without a match stands before the moved rule of a VirtualService, which so gets no request.',
  meshes: ['istio'],
  scope: 'target',
  rbac: [],
  async run(around) {
    const now = await around.route();
    return now === null ? [] : unreachable(now.object, now.place.field, now.moved, now.place.naming);
  },
});
