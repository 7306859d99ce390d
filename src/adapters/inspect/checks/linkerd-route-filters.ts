import { filters } from '../../routes/linkerd-advice.ts';
import { defineCheck } from '../check.ts';

export default defineCheck({
  name: 'linkerd.route-filters',
  about:
    'The HTTPRoute has a filter that Linkerd does not know (RequestMirror, URLRewrite): Linkerd rejects the route.',
  meshes: ['gateway-api'],
  scope: 'target',
  rbac: [],
  async run(around) {
    if (around.proxy !== 'linkerd') return [];
    const now = await around.route();
    return now === null ? [] : filters(now.object, now.place.naming);
  },
});
