import { portless } from '../../routes/route-advice.ts';
import { defineCheck } from '../check.ts';

export default defineCheck({
  name: 'route.backend-port',
  about: 'A backend of the moved rule has no port: its share is answered with errors.',
  meshes: ['gateway-api'],
  scope: 'target',
  rbac: [],
  async run(around) {
    const now = await around.route();
    return now === null ? [] : portless(now.object, now.moved, now.place.naming);
  },
});
