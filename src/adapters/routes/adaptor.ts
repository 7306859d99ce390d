/**
 * Reads back what the SMI adaptor makes of a TrafficSplit. The object that Sluice writes moves nothing by itself: an adaptor
 * that is down, told to skip the Service, or never installed leaves the proxies with what they had.
 */
import type { Lag } from '../../domain/observation.ts';
import type { Kube, KubeClient, KubeObject } from '../kubernetes/kube.ts';
import { percent, type Shares, sameShares, sharesOfProfile, sharesOfSplit, shareWords } from './dst-overrides.ts';
import { apexOf, nameOf, PROFILES, profileOf, SKIP } from './linkerd-advice.ts';
import { lastWriter } from './writers.ts';

export interface Adapted {
  /** For people: "TrafficSplit production/myapp-canary". */
  readonly object: string;
  readonly namespace: string;
  /** Service of the canary, as the split names it. */
  readonly canary: string;
}

/** How far the profile lags behind a split as it stands; null: it divides as the split does. */
export type ReadLag = (split: KubeObject, kube: KubeClient, fresh: boolean) => Promise<Lag | null>;

/** The domain that clusters have unless they were made otherwise. */
const USUAL_DOMAIN = 'cluster.local';
/** Of clusters that have another one: a router lives for one look, and a list at every look is too many. */
const domains = new WeakMap<KubeClient, string>();
const CHECK = 'see what keeps the SMI adaptor: linkerd smi check';

/** null: there is none. */
async function findProfile(
  apex: string,
  namespace: string,
  kube: KubeClient,
  fresh: boolean,
): Promise<Kube<KubeObject | null>> {
  const host = `${apex}.${namespace}.svc.`;
  const ref = { ...PROFILES, namespace, name: `${host}${domains.get(kube) ?? USUAL_DOMAIN}` };
  const found = await (fresh ? kube.get(ref) : kube.read(ref));
  if (found.ok || found.code !== 'not_found') return found;
  const listed = await kube.list({ ...PROFILES, namespace });
  if (!listed.ok) return listed;
  const other = profileOf(listed.value, apex, namespace) ?? null;
  if (other !== null) domains.set(kube, other.metadata.name.slice(host.length));
  return { ok: true, value: other };
}

export function openReadBack(adapted: Adapted): ReadLag {
  const { object, namespace } = adapted;
  return async (split, kube, fresh) => {
    const apex = apexOf(split);
    const found = await findProfile(apex, namespace, kube, fresh);
    if (found.ok)
      return found.value === null
        ? { seen: true, message: noProfile(adapted, sharesOfSplit(split), apex) }
        : behind(adapted, split, found.value);
    if (found.code === 'kind_not_served') return { seen: true, message: noKind(object, kube.cluster) };
    const message = `what the SMI adaptor made of ${object} could not be read: ${found.message}`;
    return { seen: false, message };
  };
}

const noProfile = ({ object, namespace, canary }: Adapted, wanted: Shares, apex: string): string =>
  `${object} says ${shareOf(wanted, canary, namespace)}; there is no ServiceProfile of ${apex} in ${namespace}, so nothing divides its requests. The SMI adaptor makes it (in the namespace of the TrafficSplit); ${CHECK}`;

const noKind = (object: string, cluster: string): string =>
  `cluster ${cluster} does not serve serviceprofiles.linkerd.io, into which the SMI adaptor copies ${object}: nothing of Linkerd's carries it out. Where something else does, say so in the plan: target.trafficSplit.adaptor: false`;

const shareOf = (all: Shares, service: string, namespace: string): string =>
  all.size === 0 ? 'nothing' : percent(all.get(`${service}.${namespace}`) ?? 0);

function behind({ object, namespace, canary }: Adapted, split: KubeObject, profile: KubeObject): Lag | null {
  const wanted = sharesOfSplit(split);
  const found = sharesOfProfile(profile);
  if (sameShares(wanted, found)) return null;
  const [short, still] = [shareOf(wanted, canary, namespace), shareOf(found, canary, namespace)];
  // Another backend's share may differ where the canary's does not.
  const [says, has] = short === still ? [shareWords(wanted, namespace), shareWords(found, namespace)] : [short, still];
  const by = lastWriter(profile, 'dstOverrides');
  const wrote = by === null ? '' : ` (last written by ${by})`;
  const ask =
    profile.metadata.annotations?.[SKIP] === undefined
      ? `The SMI adaptor copies the one into the other; ${CHECK}`
      : `It has the annotation ${SKIP}, so the SMI adaptor leaves it as it is: take the annotation away`;
  const message = `${object} says ${says}; ServiceProfile ${nameOf(profile)}, by which the proxies go, still says ${has}${wrote}. ${ask}`;
  return { seen: true, message };
}
