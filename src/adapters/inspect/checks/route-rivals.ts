import { rivalSplits } from '../../routes/linkerd-advice.ts';
import { rivalRoutes } from '../../routes/route-advice.ts';
import { type CheckResult, defineCheck } from '../check.ts';

export default defineCheck({
  name: 'route.rivals',
  about:
    'A second object is for the Service of the route: one of the two is overwritten, or takes part of the requests.',
  meshes: ['linkerd-smi', 'gateway-api'],
  scope: 'target',
  rbac: [],
  async run(around) {
    const now = await around.route();
    if (now === null) return [];
    const { place, object } = now;
    const { group, plural, namespace, naming } = place;
    const all = (await around.list({ group, plural, namespace })) ?? [];
    const judge = { TrafficSplit: rivalSplits, HTTPRoute: rivalRoutes }[place.kind];
    const found = judge?.(object, all, naming) ?? [];
    const passed: CheckResult = { status: 'pass', message: `no other ${place.kind} stands beside ${naming.object}` };
    return found.length === 0 ? [passed] : found;
  },
});
