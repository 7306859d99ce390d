import { expandHost } from '../../routes/hosts.ts';
import { numberAt } from '../../routes/json.ts';
import { type CheckResult, defineCheck, type Surroundings } from '../check.ts';
import { rulesFor, settingOf } from '../istio/destination-rules.ts';
import { DESTINATION_RULES, nameOf, VIRTUAL_SERVICES } from '../istio/objects.ts';
import { pass, warn } from '../istio/results.ts';
import { type Route, routeOf, ruleWords } from '../istio/route.ts';
import { DEFAULT_ATTEMPTS, type Timing, timingsOf } from '../istio/timing.ts';
import { shortHost } from '../istio/yaml.ts';
import { lists } from '../kinds.ts';

/** More retries multiply the load on a version that fails already. */
const MOST_ATTEMPTS = 5;
/** Part of the active requests that may be retries, in percent; Istio's own default is 20. */
const MOST_PERCENT = 50;

function retries(route: Route, { index, attempts, retryOn, isMoved }: Timing): CheckResult {
  const object = nameOf(route.object);
  const where = `${ruleWords(route.rules, index)} of VirtualService ${object}`;
  const field = `spec.http[${index}].retries.attempts`;
  const evidence = { object, field, isMoved, attempts: attempts ?? DEFAULT_ATTEMPTS, written: attempts !== null };
  if (attempts === null)
    return pass(
      `${where} says nothing of retries (${field}): Istio's default is ${DEFAULT_ATTEMPTS} attempts more, on failures to connect and the like. Errors that a retry heals are seen by the canary's own proxy only`,
      evidence,
    );
  if (attempts === 0) return pass(`${where} retries nothing (${field} 0)`, evidence);
  if (attempts > MOST_ATTEMPTS)
    return warn(
      `${where} has ${field} ${attempts}: a failing version gets each request up to ${attempts + 1} times, just when it can least bear it`,
      evidence,
      `Set ${field}: 3, or at most ${MOST_ATTEMPTS}`,
    );
  return pass(
    `${where} retries up to ${attempts} times (${field})${retryOn === null ? '' : ` on ${retryOn}`}`,
    evidence,
  );
}

async function budget(around: Surroundings, { target }: Route, role: 'stable' | 'canary'): Promise<CheckResult> {
  const { host: written, subset = null } = target[role];
  const host = expandHost(written, target.namespace);
  const inForce = await rulesFor(around, host, target.namespace);
  const found = settingOf(inForce, subset, 'retryBudget');
  const [first] = inForce.rules;
  const object = first === undefined ? null : nameOf(first);
  const whole = 'retryBudget: { percent: 20, minRetryConcurrency: 3 }';
  if (found === null)
    return warn(
      `no retryBudget in spec.trafficPolicy of ${object === null ? `a DestinationRule for host ${host}, as there is none` : `DestinationRule ${object}`}: retries of the ${role} version are limited by their number only, and a storm of them can keep it down`,
      { role, host, object, field: 'spec.trafficPolicy.retryBudget', percent: null },
      `Add to spec.trafficPolicy of DestinationRule ${object ?? `${target.namespace}/${shortHost(host)}`}: ${whole} (kubectl explain destinationrule.spec.trafficPolicy.retryBudget tells whether this Istio knows it)`,
    );
  const percent = numberAt(found.value, 'percent') ?? 20;
  const evidence = { role, host, object: nameOf(found.rule), field: `${found.field}.percent`, percent };
  if (percent <= 0 || percent > MOST_PERCENT)
    return warn(
      `DestinationRule ${nameOf(found.rule)} has ${found.field}.percent ${percent}: ${percent <= 0 ? 'nothing but minRetryConcurrency is ever retried' : `retries may be ${percent} % of the active requests, which is no limit worth the name`}`,
      evidence,
      `Set ${found.field}.percent: 20, or at most ${MOST_PERCENT}`,
    );
  return pass(
    `retries of the ${role} version may be ${percent} % of its active requests (DestinationRule ${nameOf(found.rule)}, ${found.field})`,
    evidence,
  );
}

export default defineCheck({
  name: 'retry-budget',
  about: 'Retries are many or without a budget: they multiply the load on a version that is failing.',
  meshes: ['istio'],
  scope: 'target',
  rbac: lists(VIRTUAL_SERVICES, DESTINATION_RULES),
  async run(around) {
    const route = await routeOf(around);
    if (route === null || route.protocol !== 'http') return [];
    const timings = timingsOf(route);
    // Where nothing is retried there is nothing to limit.
    if (timings.length === 0 || timings.every(({ attempts }) => attempts === 0))
      return timings.map((one) => retries(route, one));
    const budgets = await Promise.all((['stable', 'canary'] as const).map((role) => budget(around, route, role)));
    return [...timings.map((timing) => retries(route, timing)), ...budgets];
  },
});
