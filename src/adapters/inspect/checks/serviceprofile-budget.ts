import type { KubeObject } from '../../kubernetes/kube.ts';
import { isRecord, listAt, numberAt, recordAt, textAt } from '../../routes/json.ts';
import { nameOf, profileOf } from '../../routes/linkerd-advice.ts';
import { type CheckResult, defineCheck, Unread } from '../check.ts';
import { lists, PROFILES } from '../kinds.ts';

/** Of the requests, as retries beside them: above it, retries multiply an outage. */
const HIGHEST_RATIO = 0.5;
/** A repeat of these changes nothing more (RFC 9110, 9.2.2). */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

/** Methods that a condition lets pass; null: any. */
function methodsOf(condition: unknown): readonly string[] | null {
  const own = textAt(condition, 'method');
  if (own !== null) return [own.toUpperCase()];
  const all = listAt(condition, 'all')
    .map(methodsOf)
    .filter((methods) => methods !== null);
  if (all.length > 0) return all.flat();
  const any = listAt(condition, 'any').map(methodsOf);
  return any.length === 0 || any.includes(null) ? null : any.flatMap((methods) => methods ?? []);
}

const nameOfRoute = (route: unknown): string => textAt(route, 'name') ?? 'without a name';

function unsafeRetries(profile: KubeObject, retryable: readonly unknown[]): readonly CheckResult[] {
  return retryable.flatMap((route): readonly CheckResult[] => {
    const methods = methodsOf(recordAt(route, 'condition'));
    const unsafe = methods?.filter((method) => !IDEMPOTENT.has(method)) ?? null;
    if (unsafe?.length === 0) return [];
    const found = unsafe === null ? 'any method' : unsafe.join(', ');
    return [
      {
        status: 'warn',
        message: `route "${nameOfRoute(route)}" of ServiceProfile ${nameOf(profile)} is retryable for ${found}: a request that is not idempotent may be carried out twice, and most of all by a canary that fails half way`,
        evidence: { profile: nameOf(profile), route: nameOfRoute(route), methods: unsafe ?? [] },
        remediation: `Take isRetryable from route "${nameOfRoute(route)}", or limit its condition to idempotent methods`,
      },
    ];
  });
}

function budget(profile: KubeObject, retryable: readonly unknown[]): readonly CheckResult[] {
  if (retryable.length === 0) return [];
  const written = isRecord(profile.spec) ? profile.spec['retryBudget'] : undefined;
  const set = 'Set spec.retryBudget: { retryRatio: 0.2, minRetriesPerSecond: 10, ttl: 10s }';
  if (!isRecord(written))
    return [
      {
        status: 'warn',
        message: `ServiceProfile ${nameOf(profile)} has retryable routes and no retryBudget: Linkerd's own default holds (retryRatio 0.2), which nobody chose`,
        evidence: { profile: nameOf(profile), retryRatio: null },
        remediation: set,
      },
    ];
  const ratio = numberAt(written, 'retryRatio');
  if (ratio !== null && ratio <= HIGHEST_RATIO) return [];
  return [
    {
      status: 'warn',
      message: `retryBudget.retryRatio of ServiceProfile ${nameOf(profile)}: wanted at most ${HIGHEST_RATIO}; found ${ratio ?? 'none'}: retries would multiply an outage`,
      evidence: { profile: nameOf(profile), retryRatio: ratio },
      remediation: set,
    },
  ];
}

function timeouts(profile: KubeObject, routes: readonly unknown[]): readonly CheckResult[] {
  const without = routes.filter((route) => textAt(route, 'timeout') === null).map(nameOfRoute);
  if (without.length === 0) return [];
  return [
    {
      status: 'warn',
      message: `${without.length} of ${routes.length} routes of ServiceProfile ${nameOf(profile)} have no timeout (${without.slice(0, 5).join(', ')}): a canary that hangs holds its callers`,
      evidence: { profile: nameOf(profile), without },
      remediation: 'Set timeout on each of them, above the 99th percentile of the stable version',
    },
  ];
}

export default defineCheck({
  name: 'serviceprofile.budget',
  about: "The Service's ServiceProfile retries what must not be repeated, without a sane budget, or has no timeouts.",
  meshes: ['linkerd-smi'],
  scope: 'target',
  rbac: lists(PROFILES),
  async run(around) {
    const { target } = around;
    if (target === null) return [];
    const profiles = await around.list({ ...PROFILES, namespace: target.namespace });
    if (profiles === null) throw new Unread(`cluster ${around.cluster} does not serve serviceprofiles.linkerd.io`);
    const profile = profileOf(profiles, target.service, target.namespace);
    const routes = listAt(profile?.spec, 'routes');
    // The adaptor makes a profile of its own, without routes: it retries nothing.
    if (profile === undefined || routes.length === 0) return [];
    const retryable = routes.filter((route) => isRecord(route) && route['isRetryable'] === true);
    const wrong = [...budget(profile, retryable), ...unsafeRetries(profile, retryable), ...timeouts(profile, routes)];
    const passed = `ServiceProfile ${nameOf(profile)} retries within a budget, idempotent requests only, with timeouts`;
    return wrong.length > 0 ? wrong : [{ status: 'pass', message: passed }];
  },
});
