import { count } from '../../../domain/format.ts';
import type { Target } from '../../../domain/plan.ts';
import type { KubeObject } from '../../kubernetes/kube.ts';
import { listAt } from '../../routes/json.ts';
import { type CheckResult, defineCheck, type Surroundings, Unread } from '../check.ts';
import { actionOf, naming, policiesFor, type Verdict, verdictOn } from '../istio/authorization.ts';
import { type Caller, callersOf } from '../istio/callers.ts';
import { type Requests, requestsOf } from '../istio/matches.ts';
import {
  AUTHORIZATION_POLICIES,
  listIn,
  listWide,
  nameOf,
  names,
  namespaceOf,
  orUnread,
  VIRTUAL_SERVICES,
} from '../istio/objects.ts';
import { fail, pass, warn } from '../istio/results.ts';
import { routeOf } from '../istio/route.ts';
import { type Version, type Versions, versionsOf } from '../istio/workloads.ts';
import { DEPLOYMENTS, lists } from '../kinds.ts';

const ANYTHING: Requests = { paths: null, methods: null };

/** What the rollout moves to the canary; an HTTPRoute's matches are not looked at. */
async function movedRequests(around: Surroundings): Promise<Requests> {
  const route = await routeOf(around);
  if (route === null || route.protocol !== 'http' || route.moved.length === 0) return ANYTHING;
  return requestsOf(route.moved.map(({ rule }) => route.rules[rule.index]));
}

const who = ({ principal, workload, namespace }: Caller): string =>
  `${principal ?? 'a caller without a principal'} (workload ${namespace}/${workload})`;

const NAMED = 5;
const all = (callers: readonly Caller[]): string =>
  `${callers.slice(0, NAMED).map(who).join(', ')}${callers.length > NAMED ? ` and ${callers.length - NAMED} more` : ''}`;

const letIn = ({ principal, namespace }: Caller, policies: readonly KubeObject[]): string =>
  principal === null
    ? `Give the callers of ${namespace} a proxy (kubectl label namespace ${namespace} istio-injection=enabled): without mTLS they have no principal that a policy could name`
    : `Add to spec.rules of AuthorizationPolicy ${names(policies)}:\n    - from: [{ source: { principals: ["${principal}"] } }]`;

interface Judged {
  readonly callers: readonly Caller[];
  readonly verdict: Verdict;
}

/** Callers of whom the same is to be said are told together; each one that is refused is told by itself. */
function together(judged: readonly { readonly caller: Caller; readonly verdict: Verdict }[]): readonly Judged[] {
  const groups = Map.groupBy(judged, ({ caller, verdict: { how, policies, because } }) =>
    how === 'denied' ? who(caller) : [how, ...policies.map(nameOf), ...because].join('\n'),
  );
  return [...groups.values()].map((group) => ({
    callers: group.map(({ caller }) => caller),
    verdict: group[0]?.verdict ?? { how: 'allowed', policies: [], because: [] },
  }));
}

function said({ callers, verdict: { how, policies, because } }: Judged, canary: Version): CheckResult {
  const requests = callers.reduce((sum, caller) => sum + caller.requests, 0);
  const evidence = {
    principals: callers.map(({ principal }) => principal ?? ''),
    workloads: callers.map(({ namespace, workload }) => `${namespace}/${workload}`),
    requests: Math.round(requests),
    policies: policies.map(nameOf),
    field: 'spec.rules',
    because,
  };
  const called = `${all(callers)} made ${count(requests)} requests to the stable version in the last hour`;
  const which = `AuthorizationPolicy ${names(policies)}`;
  switch (how) {
    case 'denied': {
      const denies = policies.some((policy) => actionOf(policy) === 'DENY');
      const [caller] = callers as readonly [Caller];
      return fail(
        `${called}; the canary ${canary.name} would refuse them with 403: ${which} ${denies ? 'denies them' : 'lets them in by none of its rules'} (spec.rules)`,
        evidence,
        denies ? `Take the caller out of spec.rules of ${which}` : letIn(caller, policies),
      );
    }
    case 'undecided':
      return warn(
        `${called}; whether the canary ${canary.name} lets them in cannot be decided: it depends on ${because.join('; ')} in ${which}`,
        evidence,
        `Try one such request against a pod of ${canary.name} before the rollout, or watch for 403 in its first step`,
      );
    case 'partly':
      return pass(
        `${called}; ${which} decides at the canary ${canary.name} by what is asked for: ${because.join('; ')}`,
        evidence,
      );
    case 'allowed':
      return pass(
        `${called}; the canary ${canary.name} lets them in${policies.length === 0 ? '' : ` by ${which}`}`,
        evidence,
      );
    default:
      return how satisfies never;
  }
}

/** A policy for one of the two versions only makes them differ in whom they let in. */
function onlyOne(
  of: { readonly stable: readonly KubeObject[]; readonly canary: readonly KubeObject[] },
  versions: Versions,
) {
  const apart = (mine: readonly KubeObject[], others: readonly KubeObject[]): readonly KubeObject[] =>
    mine.filter((policy) => actionOf(policy) !== 'AUDIT' && !others.some((other) => nameOf(other) === nameOf(policy)));
  const say = (policy: KubeObject, has: Version, lacks: Version): CheckResult =>
    warn(
      `AuthorizationPolicy ${nameOf(policy)} (${actionOf(policy)}) selects the ${has.role} version ${has.name} by spec.selector and not the ${lacks.role} ${lacks.name}: they do not let the same callers in`,
      { object: nameOf(policy), field: 'spec.selector', action: actionOf(policy), selects: has.role },
      `Select both by a label that both pod templates have: spec.selector.matchLabels of ${nameOf(policy)}`,
    );
  return [
    ...apart(of.canary, of.stable).map((policy) => say(policy, versions.canary, versions.stable)),
    ...apart(of.stable, of.canary).map((policy) => say(policy, versions.stable, versions.canary)),
  ];
}

/** An ALLOW policy without a rule lets nobody in. */
function closed(policies: readonly KubeObject[], canary: Version): readonly CheckResult[] {
  const allowing = policies.filter((policy) => actionOf(policy) === 'ALLOW');
  if (allowing.length === 0 || allowing.some((policy) => listAt(policy.spec, 'rules').length > 0)) return [];
  return [
    fail(
      `AuthorizationPolicy ${names(allowing)} selects the canary ${canary.name} and has no spec.rules: nobody may call it, and every request gets 403`,
      { policies: allowing.map(nameOf), field: 'spec.rules' },
      `Add the callers to spec.rules of ${names(allowing)}, or another ALLOW policy for the canary`,
    ),
  ];
}

/** Whom the canary calls knows it by its own account, not by the stable's. */
function downstream(
  policies: readonly KubeObject[],
  { namespace }: Target,
  { stable, canary }: Versions,
): readonly CheckResult[] {
  const principal = (version: Version): string => `cluster.local/ns/${namespace}/sa/${version.serviceAccount}`;
  const known = naming(policies, principal(canary));
  return naming(policies, principal(stable))
    .filter((policy) => actionOf(policy) !== 'AUDIT' && !known.includes(policy))
    .map((policy) =>
      warn(
        `AuthorizationPolicy ${nameOf(policy)} (${actionOf(policy)}) names the stable version's principal ${principal(stable)} in spec.rules[].from and not the canary's, ${principal(canary)}: ${actionOf(policy) === 'DENY' ? 'what it denies the stable, the canary may do' : 'the canary may be refused there with 403'}`,
        {
          object: nameOf(policy),
          field: 'spec.rules[].from[].source.principals',
          stable: principal(stable),
          canary: principal(canary),
        },
        `Add "${principal(canary)}" beside it, or run ${canary.name} under the ServiceAccount ${stable.serviceAccount}`,
      ),
    );
}

async function callers(
  around: Surroundings,
  target: Target,
  enforced: readonly KubeObject[],
  canary: Version,
): Promise<readonly CheckResult[]> {
  const found = await orUnread(callersOf(around, target));
  const evidence = { policies: enforced.map(nameOf), field: 'spec.rules' };
  if (found instanceof Unread)
    return [
      warn(
        `who calls the stable version is not known (${found.message}): whether AuthorizationPolicy ${names(enforced)} lets all of them in at the canary ${canary.name} by its spec.rules was not checked`,
        evidence,
        `Configure a Prometheus for cluster ${around.cluster}, or compare spec.rules of ${names(enforced)} with the callers by hand`,
      ),
    ];
  if (found.length === 0)
    return [
      warn(
        `nobody was seen to call the stable version in the last hour: whether AuthorizationPolicy ${names(enforced)} lets its callers in at the canary ${canary.name} by its spec.rules was not checked`,
        evidence,
        `Compare spec.rules of ${names(enforced)} with the callers by hand, or look again when there is traffic`,
      ),
    ];
  const requests = await movedRequests(around);
  const judged = found.map((caller) => ({ caller, verdict: verdictOn(enforced, caller, requests) }));
  return together(judged).map((one) => said(one, canary));
}

export default defineCheck({
  name: 'authz.canary',
  about:
    'An AuthorizationPolicy refuses the canary a caller of the stable version, or the canary what the stable may call.',
  meshes: ['istio', 'gateway-api'],
  scope: 'target',
  rbac: lists(AUTHORIZATION_POLICIES, DEPLOYMENTS, VIRTUAL_SERVICES),
  async run(around) {
    const { target, controlPlane: root } = around;
    const versions = target === null || around.proxy !== 'istio' ? null : await versionsOf(around, target);
    if (target === null || versions === null) return [];
    const { namespace } = target;
    const policies = await listIn(around, AUTHORIZATION_POLICIES, [namespace, root]);
    const { stable, canary } = versions;
    const of = {
      stable: policiesFor(policies, namespace, root, stable.labels),
      canary: policiesFor(policies, namespace, root, canary.labels),
    };
    const enforced = of.canary.filter((policy) => actionOf(policy) !== 'AUDIT');
    const others =
      stable.serviceAccount === canary.serviceAccount
        ? []
        : downstream((await listWide(around, AUTHORIZATION_POLICIES, [namespace, root])).objects, target, versions);
    const shut = closed(enforced, canary);
    const called =
      enforced.length === 0
        ? [
            pass(`no AuthorizationPolicy selects the canary ${canary.name}: every caller is let in`, {
              policies: [],
              looked: [...new Set([namespace, root])],
              policiesOfNamespace: policies.filter((policy) => namespaceOf(policy) === namespace).length,
            }),
          ]
        : shut.length > 0
          ? shut
          : await callers(around, target, enforced, canary);
    return [...called, ...onlyOne(of, versions), ...others];
  },
});
