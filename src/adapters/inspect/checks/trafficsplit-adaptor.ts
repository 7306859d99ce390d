import type { KubeObject } from '../../kubernetes/kube.ts';
import { listAt, textAt } from '../../routes/json.ts';
import { apexOf, nameOf, profileOf, skippedProfile } from '../../routes/linkerd-advice.ts';
import { milliOf } from '../../routes/quantity.ts';
import { type CheckResult, defineCheck, Unread } from '../check.ts';
import { lists, PROFILES } from '../kinds.ts';

/** Share of each Service in percent, by its short name; empty: nothing is divided. */
function shares(entries: readonly unknown[], name: 'service' | 'authority'): ReadonlyMap<string, number> {
  const weights = entries.map((entry): [string, number] => [
    (textAt(entry, name) ?? '').split('.')[0] ?? '',
    milliOf((entry as Readonly<Record<string, unknown>> | null)?.['weight']) ?? 0,
  ]);
  const total = weights.reduce((sum, [, weight]) => sum + weight, 0);
  return new Map(total === 0 ? [] : weights.map(([service, weight]) => [service, (100 * weight) / total]));
}

const words = (all: ReadonlyMap<string, number>): string =>
  [...all].map(([service, share]) => `${service} ${Math.round(share * 10) / 10} %`).join(', ') || 'nothing';

/** The adaptor writes the split's shares into the profile, where the proxies read them. */
function carriedOut(split: KubeObject, profile: KubeObject, object: string): CheckResult {
  const wanted = shares(listAt(split.spec, 'backends'), 'service');
  const found = shares(listAt(profile.spec, 'dstOverrides'), 'authority');
  const evidence = { profile: nameOf(profile), wanted: words(wanted), found: words(found) };
  const same = [...wanted].every(([service, share]) => Math.abs((found.get(service) ?? 0) - share) < 0.1);
  if (same) return { status: 'pass', message: `ServiceProfile ${nameOf(profile)} divides as ${object} does`, evidence };
  return {
    status: 'warn',
    message: `wanted the shares of ${object} in ServiceProfile ${nameOf(profile)} (${evidence.wanted}); found ${evidence.found}: the SMI adaptor has not carried it out yet`,
    evidence,
    remediation: 'Check that linkerd-smi runs and what its log says: linkerd smi check',
  };
}

export default defineCheck({
  name: 'trafficsplit.adaptor',
  about:
    'The SMI adaptor does not carry the TrafficSplit out: the ServiceProfile is missing, skipped, or divides otherwise.',
  meshes: ['linkerd-smi'],
  scope: 'target',
  rbac: lists(PROFILES),
  async run(around) {
    const now = await around.route();
    if (now === null) return [];
    const { place, object } = now;
    const profiles = await around.list({ ...PROFILES, namespace: place.namespace });
    if (profiles === null) throw new Unread(`cluster ${around.cluster} does not serve serviceprofiles.linkerd.io`);
    const wrong = skippedProfile(object, profiles, place.naming);
    const profile = profileOf(profiles, apexOf(object), place.namespace);
    return wrong.length > 0 || profile === undefined ? wrong : [carriedOut(object, profile, place.naming.object)];
  },
});
