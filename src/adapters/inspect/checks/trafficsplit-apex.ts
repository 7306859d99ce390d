import { otherApex } from '../../routes/linkerd-advice.ts';
import { defineCheck } from '../check.ts';

export default defineCheck({
  name: 'trafficsplit.apex',
  about: "The TrafficSplit divides another Service than the plan's.",
  meshes: ['linkerd-smi'],
  scope: 'target',
  rbac: [],
  async run(around) {
    const now = await around.route();
    return now === null || around.target === null ? [] : otherApex(now.object, around.target.service, now.place.naming);
  },
});
