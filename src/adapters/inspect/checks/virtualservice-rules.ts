import { roleOf } from '../../meshes/istio.ts';
import { listAt, numberAt, recordAt, textAt } from '../../routes/json.ts';
import { ours } from '../../routes/temporary-rules.ts';
import { type CheckResult, defineCheck } from '../check.ts';
import { delegateOf, delegation } from '../istio/delegates.ts';
import { isCatchAll, matchWords } from '../istio/matches.ts';
import { listWide, nameOf, VIRTUAL_SERVICES } from '../istio/objects.ts';
import { fail, pass, warn } from '../istio/results.ts';
import { destinationsOf, type Route, routeOf, ruleWords } from '../istio/route.ts';
import { lists } from '../kinds.ts';

/**
 * The first rule that matches wins, so one that takes everything hides those after it. A rollout's own does so on purpose:
 * it divides as the one that is moved does, and goes with the rollout.
 */
function hidden({ object, rules, moved, protocol }: Route): readonly CheckResult[] {
  const catchAll = rules.findIndex((rule) => isCatchAll(rule) && ours(textAt(rule, 'name')) === null);
  if (catchAll < 0) return [];
  return rules.flatMap((_rule, index): readonly CheckResult[] => {
    if (index <= catchAll) return [];
    const what = `${ruleWords(rules, index)} of VirtualService ${nameOf(object)} gets no request: ${ruleWords(rules, catchAll)} before it takes every one`;
    const evidence = { object: nameOf(object), field: `spec.${protocol}[${index}]`, hiddenBy: catchAll };
    const remedy = `Move spec.${protocol}[${index}] before spec.${protocol}[${catchAll}], or give spec.${protocol}[${catchAll}] a match`;
    const isMoved = moved.some(({ rule }) => rule.index === index);
    return [
      isMoved ? fail(`${what}, so the rollout would move nothing`, evidence, remedy) : warn(what, evidence, remedy),
    ];
  });
}

/** A canary that is mirrored to and weighted has its share twice. */
function mirroredTwice({ object, rules, moved, target }: Route): readonly CheckResult[] {
  return moved.flatMap(({ rule: { index } }) => {
    const rule = rules[index];
    const mirrors = [
      recordAt(rule, 'mirror'),
      ...listAt(rule, 'mirrors').map((entry) => recordAt(entry, 'destination')),
    ];
    if (!mirrors.some((mirror) => roleOf(mirror, target) === 'canary')) return [];
    const field = `spec.http[${index}].${listAt(rule, 'mirrors').length > 0 ? 'mirrors' : 'mirror'}`;
    return [
      warn(
        `${ruleWords(rules, index)} of VirtualService ${nameOf(object)} mirrors requests to the canary (${field}) and is to be weighted too: the canary has its share of the load twice, and its own proxy counts both`,
        { object: nameOf(object), field },
        `Remove ${field} before the first weight, with mirrorPercentage where it stands`,
      ),
    ];
  });
}

/** A destination that stands alone has everything, whatever its weight says. */
function loneWeights({ object, rules, protocol }: Route): readonly CheckResult[] {
  return rules.flatMap((rule, index) => {
    const route = listAt(rule, 'route');
    const weight = numberAt(route[0], 'weight');
    if (route.length !== 1 || weight === null || weight <= 0 || weight >= 100) return [];
    const field = `spec.${protocol}[${index}].route[0].weight`;
    return [
      warn(
        `${ruleWords(rules, index)} of VirtualService ${nameOf(object)} has one destination with weight ${weight} (${field}): Istio ignores the number and sends it everything`,
        { object: nameOf(object), field, weight },
        `Add the other version to spec.${protocol}[${index}].route, or remove ${field}`,
      ),
    ];
  });
}

/** "25 %" is a part of the requests of the moved rules, and the others stay. */
function whatMoves({ object, rules, moved, target, protocol }: Route): readonly CheckResult[] {
  if (moved.length === 0) return [];
  const movedAt = moved.map(({ rule }) => rule.index);
  const say = (index: number): string => `${ruleWords(rules, index)} (${matchWords(rules[index])})`;
  const stays = rules.map((_rule, index) => index).filter((index) => !movedAt.includes(index));
  const toStable = stays.filter((index) =>
    destinationsOf(rules[index]).some((destination) => roleOf(destination, target) === 'stable'),
  );
  const evidence = {
    object: nameOf(object),
    field: `spec.${protocol}`,
    moved: movedAt,
    stays,
    staysOnStable: toStable,
  };
  const moving = `the weights of VirtualService ${nameOf(object)} move ${movedAt.map(say).join(' and ')}`;
  if (toStable.length === 0)
    return [
      pass(
        `${moving}${stays.length === 0 ? ', which is all of it' : `; ${stays.map(say).join(' and ')} ${stays.length === 1 ? 'stays as it is' : 'stay as they are'}`}`,
        evidence,
      ),
    ];
  return [
    warn(
      `${moving}; ${toStable.map(say).join(' and ')} in spec.${protocol} ${toStable.length === 1 ? 'stays' : 'stay'} with the stable version. A step's weight is a share of the requests of ${movedAt.map((index) => ruleWords(rules, index)).join(' and ')}, not of all, and the stable version is still called after the promotion`,
      evidence,
      `If these requests are to move too, add the canary to spec.${protocol}[${toStable.join('], [')}] as { destination: { host: ${target.canary.host}${target.canary.subset === undefined ? '' : `, subset: ${target.canary.subset}`} }, weight: 0 } and name all rules in target.virtualService.routes`,
    ),
  ];
}

async function delegates(around: Parameters<typeof routeOf>[0], route: Route): Promise<readonly CheckResult[]> {
  const hands = route.rules.map((rule) => delegateOf(rule, route.object)).filter((to) => to !== null);
  const isRoot = listAt(route.object.spec, 'hosts').length > 0;
  if (hands.length === 0 && isRoot) return [];
  const spaces = [route.target.namespace, ...hands.map((to) => to.split('/')[0] ?? '')];
  return delegation(route.object, (await listWide(around, VIRTUAL_SERVICES, spaces)).objects);
}

export default defineCheck({
  name: 'virtualservice.rules',
  about: 'The moved rule is hidden by one before it, mirrors to the canary too, or is not all of the traffic.',
  meshes: ['istio'],
  scope: 'target',
  rbac: lists(VIRTUAL_SERVICES),
  async run(around) {
    const route = await routeOf(around);
    if (route === null) return [];
    return [
      ...hidden(route),
      ...mirroredTwice(route),
      ...loneWeights(route),
      ...(route.protocol === 'http' ? await delegates(around, route) : []),
      ...whatMoves(route),
    ];
  },
});
