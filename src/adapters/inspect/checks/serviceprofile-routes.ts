import type { KubeObject } from '../../kubernetes/kube.ts';
import { isRecord, listAt, recordAt, textAt } from '../../routes/json.ts';
import { nameOf, profileOf } from '../../routes/linkerd-advice.ts';
import { type CheckResult, defineCheck, Unread } from '../check.ts';
import { lists, PROFILES } from '../kinds.ts';

/** Which requests a condition lets pass, in words: "POST, path /api/orders". */
function conditionWords(condition: unknown): string {
  const parts = [
    textAt(condition, 'method')?.toUpperCase() ?? null,
    textAt(condition, 'pathRegex') === null ? null : `path ${textAt(condition, 'pathRegex')}`,
    joined(condition, 'all', ' and '),
    joined(condition, 'any', ' or '),
    isRecord(condition) && condition['not'] !== undefined
      ? `not (${[condition['not']].flat().map(conditionWords).join(' or ')})`
      : null,
  ].filter((part) => part !== null);
  return parts.join(', ') || 'every request';
}

const joined = (condition: unknown, field: string, word: string): string | null => {
  const all = listAt(condition, field).map(conditionWords);
  return all.length === 0 ? null : `(${all.join(word)})`;
};

function routeWords(route: unknown): string {
  const timeout = textAt(route, 'timeout');
  const retries = isRecord(route) && route['isRetryable'] === true ? ', retried' : '';
  return `"${textAt(route, 'name') ?? ''}" (${conditionWords(recordAt(route, 'condition'))}${timeout === null ? '' : `; at most ${timeout}`}${retries})`;
}

/** The profile counts by the first route that matches; what is after it counts nothing of these requests. */
function found(profile: KubeObject, wanted: readonly string[]): readonly CheckResult[] {
  const routes = listAt(profile.spec, 'routes');
  const words = routes.map(routeWords).join(', ') || 'none';
  const missing = wanted.filter((name) => !routes.some((route) => textAt(route, 'name') === name));
  const evidence = { profile: nameOf(profile), routes: routes.map((route) => textAt(route, 'name') ?? '') };
  if (missing.length === 0)
    return [{ status: 'pass', message: `routes of ServiceProfile ${nameOf(profile)}: ${words}`, evidence }];
  return [
    {
      status: 'fail',
      message: `wanted ${namesOf(missing)} in ServiceProfile ${nameOf(profile)}, of which checks of the plan are; found ${words}: no request would ever be counted`,
      evidence,
      remediation: "Correct route in the plan's checks, or add the route to the profile",
    },
  ];
}

const namesOf = (names: readonly string[]): string =>
  `${names.length === 1 ? 'route' : 'routes'} ${names.map((name) => `"${name}"`).join(', ')}`;

export default defineCheck({
  name: 'serviceprofile.routes',
  about:
    "A check of the plan is of a route that the Service's ServiceProfile has not: nothing would be counted for it.",
  meshes: ['linkerd-smi'],
  scope: 'target',
  rbac: lists(PROFILES),
  async run(around) {
    const { target, routes } = around;
    if (target === null) return [];
    const { service, namespace } = target;
    const profiles = await around.list({ ...PROFILES, namespace });
    if (profiles === null) throw new Unread(`cluster ${around.cluster} does not serve serviceprofiles.linkerd.io`);
    const profile = profileOf(profiles, service, namespace);
    if (profile !== undefined)
      return routes.length === 0 && listAt(profile.spec, 'routes').length === 0 ? [] : found(profile, routes);
    if (routes.length === 0) return [];
    return [
      {
        status: 'fail',
        message: `wanted ${namesOf(routes)} in a ServiceProfile of ${service} in ${namespace}, of which checks of the plan are; found no profile: no request would ever be counted`,
        remediation: `Write the profile first: linkerd profile --template ${service} -n ${namespace}`,
      },
    ];
  },
});
