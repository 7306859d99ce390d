/** The DestinationRule of a host, the subsets that a target needs in it, and the routes that lead to them. */
import type { PreparationTask } from '../../domain/preparation.ts';
import { hostOf } from '../inspect/istio/destination-rules.ts';
import { oldestFirst } from '../inspect/istio/objects.ts';
import type { Kube, KubeClient, KubeObject, KubeTrouble } from '../kubernetes/kube.ts';
import { coversHost, expandHost, namespaceOfHost } from '../routes/hosts.ts';
import { isRecord, listAt, numberAt, recordAt, textAt } from '../routes/json.ts';
import { deploymentRef } from './replicas.ts';

export const NETWORKING = 'networking.istio.io';
export const DESTINATION_RULES = 'destinationrules';

export type Labels = Readonly<Record<string, string>>;

/** What a target says of its subsets. */
export interface Wanted {
  /** Full name. */
  readonly host: string;
  /** Where its DestinationRule belongs. */
  readonly namespace: string;
  /** The canary's, and the stable's where it is one of the same host. */
  readonly names: readonly string[];
}

/** null: the target's canary is a host of its own. */
export function wantedOf({ target }: PreparationTask): Wanted | null {
  const [host, subset] = [textAt(target.canary, 'host'), textAt(target.canary, 'subset')];
  if (host === null || subset === null) return null;
  const full = expandHost(host, target.namespace);
  const stable = textAt(target.stable, 'subset');
  const same = expandHost(textAt(target.stable, 'host') ?? '', target.namespace) === full;
  return {
    host: full,
    namespace: namespaceOfHost(full) ?? target.namespace,
    names: stable !== null && same ? [subset, stable] : [subset],
  };
}

export interface RulesNow {
  readonly version: string;
  /** For exactly this host, oldest first: Istio joins them. */
  readonly own: readonly KubeObject[];
  /** For more hosts than this one: a rule of the host's own would take their policies from it. */
  readonly wider: readonly KubeObject[];
  /** Names that are taken in its namespace. */
  readonly taken: readonly string[];
}

export async function rulesNow(kube: KubeClient, { host, namespace }: Wanted): Promise<Kube<RulesNow>> {
  const served = await kube.versions(NETWORKING);
  if (!served.ok) return served;
  for (const version of served.value) {
    const all = await kube.list({ group: NETWORKING, version, plural: DESTINATION_RULES, namespace });
    if (!all.ok && all.code === 'kind_not_served') continue;
    if (!all.ok) return all;
    const covering = all.value.filter((rule) => coversHost(hostOf(rule), host) && !isForSomeCallers(rule));
    const own = oldestFirst(covering.filter((rule) => hostOf(rule) === host));
    const wider = covering.filter((rule) => hostOf(rule) !== host);
    return { ok: true, value: { version, own, wider, taken: all.value.map(({ metadata }) => metadata.name) } };
  }
  return notServed(kube);
}

const notServed = ({ cluster }: KubeClient): KubeTrouble => ({
  ok: false,
  code: 'kind_not_served',
  status: null,
  message: `cluster ${cluster} does not serve ${DESTINATION_RULES}.${NETWORKING}; is Istio installed?`,
});

const isForSomeCallers = (rule: KubeObject): boolean => Object.keys(recordAt(rule.spec, 'workloadSelector')).length > 0;

export const subsetNames = (rule: KubeObject): readonly string[] =>
  listAt(rule.spec, 'subsets').map((subset) => textAt(subset, 'name') ?? '');

/** What a subset of that name selects by; none where it is not defined. */
export const labelsOf = (rule: KubeObject | undefined, subset: string): Labels =>
  recordAt(
    rule === undefined ? null : listAt(rule.spec, 'subsets').find((one) => textAt(one, 'name') === subset),
    'labels',
  ) as Labels;

export interface Subset {
  readonly name: string;
  readonly labels: Labels;
}

/** The subsets by their labels; text: why they cannot be told, with what to do. */
export async function subsetsFor(
  kube: KubeClient,
  task: PreparationTask,
  names: readonly string[],
): Promise<Kube<readonly Subset[] | string>> {
  const versions = await podLabelsOf(kube, task);
  if (!versions.ok) return versions;
  const [theirs, ours] = [versions.value.stable.labels, versions.value.canary.labels];
  const given = task.preparation.kind === 'ensureSubset' ? task.preparation.labels : null;
  const keys = given === null ? tellingApart(ours, theirs) : Object.keys(given);
  const { deployment } = task.target.canary;
  if (keys.length === 0)
    return {
      ok: true,
      value: `the pod templates of deployments ${task.target.stable.deployment} and ${deployment} have no label with different values; give both a label like version, or name it in ensureSubset.labels`,
    };
  const chosen = given ?? pick(ours, keys);
  const lost = Object.entries(chosen).find(([key, value]) => ours[key] !== value);
  if (lost !== undefined)
    return {
      ok: true,
      value: `ensureSubset.labels has ${lost[0]}: ${lost[1]}, and the pod template of deployment ${deployment} has ${ours[lost[0]] ?? 'none'}: the subset would have no pod. Correct the label, or leave labels out: they are then those that tell the two templates apart`,
    };
  const labels = [chosen, pick(theirs, keys)];
  return { ok: true, value: names.map((name, at) => ({ name, labels: labels[at] ?? {} })) };
}

interface Version {
  readonly deployment: string;
  /** Of the pod template. */
  readonly labels: Labels;
}

/** What the pods of both versions are labelled with. */
export async function podLabelsOf(
  kube: KubeClient,
  task: PreparationTask,
): Promise<Kube<Readonly<Record<'stable' | 'canary', Version>>>> {
  const [stable, canary] = await Promise.all([
    kube.get(deploymentRef(task, 'stable')),
    kube.get(deploymentRef(task, 'canary')),
  ]);
  if (!stable.ok) return stable;
  if (!canary.ok) return canary;
  const { target } = task;
  return {
    ok: true,
    value: {
      stable: { deployment: target.stable.deployment, labels: podLabels(stable.value) },
      canary: { deployment: target.canary.deployment, labels: podLabels(canary.value) },
    },
  };
}

const podLabels = ({ spec }: KubeObject): Labels =>
  recordAt(recordAt(recordAt(spec, 'template'), 'metadata'), 'labels') as Labels;

const pick = (labels: Labels, keys: readonly string[]): Labels =>
  Object.fromEntries(keys.flatMap((key) => (labels[key] === undefined ? [] : [[key, labels[key]]])));

/** The usual one alone, where it does: pods of the next release differ in more. */
function tellingApart(ours: Labels, theirs: Labels): readonly string[] {
  const keys = Object.keys(ours).filter((key) => theirs[key] !== undefined && theirs[key] !== ours[key]);
  return keys.includes('version') ? ['version'] : keys;
}

// ── routes ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const LISTS = ['http', 'tls', 'tcp'] as const;

/** Routes of the target's namespace that lead to a subset, by the subset's name. */
export async function ledTo(
  kube: KubeClient,
  { target }: PreparationTask,
  { host }: Wanted,
  version: string,
): Promise<Kube<ReadonlyMap<string, string>>> {
  const routes = await kube.list({
    group: NETWORKING,
    version,
    plural: 'virtualservices',
    namespace: target.namespace,
  });
  if (!routes.ok) return routes;
  const found = new Map<string, string>();
  for (const route of routes.value)
    for (const subset of destinationsOf(route, host, target.namespace))
      if (!found.has(subset)) found.set(subset, `VirtualService ${target.namespace}/${route.metadata.name}`);
  return { ok: true, value: found };
}

function destinationsOf(route: KubeObject, host: string, namespace: string): readonly string[] {
  return LISTS.flatMap((list) =>
    listAt(route.spec, list).flatMap((rule) => {
      const entries = listAt(rule, 'route');
      // A destination that stands alone gets everything, whatever its weight.
      const live = entries.filter((entry) => entries.length === 1 || (numberAt(entry, 'weight') ?? 0) > 0);
      const mirrors = [recordAt(rule, 'mirror'), ...listAt(rule, 'mirrors').map((one) => recordAt(one, 'destination'))];
      return [...live.map((entry) => recordAt(entry, 'destination')), ...mirrors].flatMap((to) => {
        const subset = textAt(to, 'subset');
        return subset !== null && isRecord(to) && expandHost(textAt(to, 'host') ?? '', namespace) === host
          ? [subset]
          : [];
      });
    }),
  );
}
