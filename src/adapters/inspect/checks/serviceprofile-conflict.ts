import { nameOf, overridingProfile } from '../../routes/linkerd-advice.ts';
import { type CheckResult, defineCheck, type Surroundings, Unread } from '../check.ts';
import { lists, PROFILES } from '../kinds.ts';

/** Profiles of callers' namespaces hold for these callers only. Unread where other namespaces may not be looked at. */
async function ofCallers(around: Surroundings, service: string, own: string, route: string): Promise<CheckResult[]> {
  const everywhere = (await around.list({ ...PROFILES, namespace: '' })) ?? [];
  return everywhere
    .filter(({ metadata }) => metadata.namespace !== own && metadata.name.startsWith(`${service}.${own}.svc.`))
    .map((profile) => ({
      status: 'warn',
      message: `ServiceProfile ${nameOf(profile)} makes Linkerd ignore ${route} for callers in namespace ${profile.metadata.namespace}`,
      evidence: { profile: nameOf(profile) },
      remediation: `Delete the profile: kubectl delete serviceprofile ${profile.metadata.name} -n ${profile.metadata.namespace}`,
    }));
}

export default defineCheck({
  name: 'serviceprofile.conflict',
  about: 'A ServiceProfile of the Service makes Linkerd ignore the HTTPRoute for as long as it exists.',
  meshes: ['gateway-api'],
  scope: 'target',
  rbac: lists(PROFILES),
  async run(around) {
    const { target } = around;
    if (around.proxy !== 'linkerd' || target === null) return [];
    const now = await around.route();
    if (now === null) return [];
    const { service, namespace } = target;
    const { naming } = now.place;
    const profiles = await around.list({ ...PROFILES, namespace });
    // No such kind in the cluster: no profile can override the route.
    if (profiles === null) return [{ status: 'pass', message: 'the cluster serves no ServiceProfiles' }];
    const own = overridingProfile(profiles, service, namespace, naming).map((result) => ({
      ...result,
      evidence: { service, namespace },
    }));
    const others = await ofCallers(around, service, namespace, naming.object).catch((error: unknown) => {
      // What is known to be wrong is not lost because the rest may not be seen.
      if (error instanceof Unread && own.length > 0) return [];
      throw error;
    });
    const found = [...own, ...others];
    return found.length > 0 ? found : [{ status: 'pass', message: `no ServiceProfile overrides ${naming.object}` }];
  },
});
