import type { KubeObject } from '../../kubernetes/kube.ts';
import { sameShares, sharesOfProfile, sharesOfSplit, shareWords } from '../../routes/dst-overrides.ts';
import { recordAt } from '../../routes/json.ts';
import { apexOf, nameOf, profileOf, skippedProfile } from '../../routes/linkerd-advice.ts';
import { type CheckResult, defineCheck, type Surroundings, Unread } from '../check.ts';
import { lists, PROFILES } from '../kinds.ts';

/** The adaptor writes the split's shares into the profile, where the proxies read them. */
function carriedOut(split: KubeObject, profile: KubeObject, object: string): CheckResult {
  const namespace = split.metadata.namespace ?? 'default';
  const wanted = sharesOfSplit(split);
  const found = sharesOfProfile(profile);
  const words = (all: typeof wanted): string => shareWords(all, namespace);
  const evidence = { profile: nameOf(profile), wanted: words(wanted), found: words(found) };
  if (sameShares(wanted, found))
    return { status: 'pass', message: `ServiceProfile ${nameOf(profile)} divides as ${object} does`, evidence };
  return {
    status: 'warn',
    message: `wanted the shares of ${object} in ServiceProfile ${nameOf(profile)} (${evidence.wanted}); found ${evidence.found}: the SMI adaptor has not carried it out yet`,
    evidence,
    remediation: 'Check that linkerd-smi runs and what its log says: linkerd smi check',
  };
}

/**
 * Proxies ask for a profile in the namespace of their own pod first: one that stands in a caller's namespace hides the
 * adaptor's from that caller, and nothing divides its requests.
 */
async function elsewhere(around: Surroundings, apex: string, own: string, object: string): Promise<CheckResult[]> {
  const everywhere = (await around.list({ ...PROFILES, namespace: '' })) ?? [];
  return everywhere
    .filter(({ metadata }) => metadata.namespace !== own && metadata.name.startsWith(`${apex}.${own}.svc.`))
    .map((profile) => ({
      status: 'warn',
      message: `ServiceProfile ${nameOf(profile)} is not in namespace ${own}, where the SMI adaptor writes: callers in namespace ${profile.metadata.namespace} go by it, and not by ${object}`,
      evidence: { profile: nameOf(profile) },
      remediation: `Move its routes into namespace ${own} and delete it: kubectl delete serviceprofile ${profile.metadata.name} -n ${profile.metadata.namespace}`,
    }));
}

/** Without it no step would ever count as reached: the profile is read back, not only listed. */
async function rightToRead(around: Surroundings, namespace: string, object: string): Promise<CheckResult[]> {
  const { group, plural } = PROFILES;
  if (await around.canI('get', group, plural, namespace)) return [];
  return [
    {
      status: 'fail',
      message: `Sluice may not get ${plural}.${group} in namespace ${namespace}: what the SMI adaptor makes of ${object} could not be read back, and no step would be reached`,
      evidence: { resource: `${plural}.${group}`, namespace, missing: ['get'] },
      remediation: `Upgrade the chart's rights, or grant it: apiGroups: ["${group}"], resources: ["${plural}"], verbs: ["get", "list", "watch"]`,
    },
  ];
}

export default defineCheck({
  name: 'trafficsplit.adaptor',
  about:
    "The SMI adaptor does not carry the TrafficSplit out: the ServiceProfile is missing, skipped, or divides otherwise; one in a caller's namespace hides it from these callers; or it may not be read back.",
  meshes: ['linkerd-smi'],
  scope: 'target',
  rbac: lists(PROFILES),
  async run(around) {
    const now = await around.route();
    if (now === null || recordAt(around.target, 'trafficSplit')['adaptor'] === false) return [];
    const { place, object } = now;
    const profiles = await around.list({ ...PROFILES, namespace: place.namespace });
    if (profiles === null) throw new Unread(`cluster ${around.cluster} does not serve serviceprofiles.linkerd.io`);
    const apex = apexOf(object);
    const wrong = skippedProfile(object, profiles, place.naming);
    const profile = profileOf(profiles, apex, place.namespace);
    const own = wrong.length > 0 || profile === undefined ? wrong : [carriedOut(object, profile, place.naming.object)];
    const others = await elsewhere(around, apex, place.namespace, place.naming.object).catch((error: unknown) => {
      // Other namespaces may be closed to this account; what is known of the own one is not lost for that.
      if (error instanceof Unread) return [];
      throw error;
    });
    return [...(await rightToRead(around, place.namespace, place.naming.object)), ...own, ...others];
  },
});
