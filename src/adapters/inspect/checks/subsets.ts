import type { KubeObject } from '../../kubernetes/kube.ts';
import { madeBy } from '../../prepare/subset-mark.ts';
import { expandHost, namespaceOfHost } from '../../routes/hosts.ts';
import { recordAt } from '../../routes/json.ts';
import { type CheckResult, defineCheck, type Surroundings } from '../check.ts';
import { rulesFor, type Subset, subsetsOf } from '../istio/destination-rules.ts';
import { DESTINATION_RULES, listIn, nameOf, names } from '../istio/objects.ts';
import { fail, pass, warn } from '../istio/results.ts';
import { istioTarget } from '../istio/route.ts';
import { hasLabels, isReady, type Labels, livePods, runs, type Version, versionsOf } from '../istio/workloads.ts';
import { shortHost, subsetLine, subsetLines } from '../istio/yaml.ts';
import { DEPLOYMENTS, lists, PODS, SERVICES } from '../kinds.ts';

/** What a route of one version selects, by its subset and its Service. */
interface Selected {
  readonly version: Version;
  /** "subset v2 of host myapp.production.svc.cluster.local" */
  readonly words: string;
  /** Object and field that hold the labels. */
  readonly object: string;
  readonly field: string;
  readonly labels: Labels;
  /** Rollout that defined it, and takes it away at its end; null: none. */
  readonly madeBy: string | null;
  /** Live pods; null: the host is no Service of this cluster, or one without a selector. */
  readonly pods: readonly KubeObject[] | null;
}

const podNames = (pods: readonly KubeObject[]): readonly string[] => pods.map(({ metadata }) => metadata.name);
const few = (pods: readonly KubeObject[]): string =>
  `${podNames(pods).slice(0, 3).join(', ')}${pods.length > 3 ? ` and ${pods.length - 3} more` : ''}`;

const missing = (
  host: string,
  namespace: string,
  subset: string,
  rules: readonly KubeObject[],
  version: Version,
): CheckResult => {
  const found = subsetsOf(rules).map(({ name }) => name);
  const { version: label } = version.labels;
  const labels = { version: label ?? subset };
  const [first] = rules;
  return fail(
    first === undefined
      ? `subset ${subset} of host ${host}, to which the ${version.role} version is routed, is defined nowhere: no DestinationRule with spec.subsets is in force for it. Its requests get 503`
      : `subset ${subset} of host ${host}, to which the ${version.role} version is routed, is missing in spec.subsets of DestinationRule ${names(rules)}; found ${found.join(', ') || 'none'}. Its requests get 503`,
    { missing: 'subset', host, subset, object: rules.map(nameOf), field: 'spec.subsets', found },
    first === undefined
      ? `Apply before the VirtualService leads there:\n${subsetLines(host, namespace, [subset])}`
      : `Add to spec.subsets of DestinationRule ${nameOf(first)}, before the VirtualService leads there:\n${subsetLine(subset, labels)}`,
  );
};

/** Of several definitions of one name, Istio keeps the first. */
function duplicates(host: string, definitions: readonly Subset[]): readonly CheckResult[] {
  const [first, ...others] = definitions;
  if (first === undefined || others.length === 0) return [];
  const ignored = others.map(({ rule, index }) => `${nameOf(rule)} spec.subsets[${index}]`);
  return [
    warn(
      `subset ${first.name} of host ${host} is defined ${definitions.length} times: Istio uses that of DestinationRule ${nameOf(first.rule)} and ignores ${ignored.join(', ')}`,
      { host, subset: first.name, inForce: nameOf(first.rule), ignored, field: 'spec.subsets' },
      `Keep one definition: remove ${ignored.join(', ')}`,
    ),
  ];
}

/** Subset and Service together choose the pods. */
function selected(services: readonly KubeObject[], pods: readonly KubeObject[], host: string, labels: Labels) {
  const service = services.find(({ metadata }) => metadata.name === shortHost(host));
  const selector = recordAt(service?.spec, 'selector') as Labels;
  if (Object.keys(selector).length === 0) return null;
  return pods.filter((pod) => hasLabels(pod, selector) && hasLabels(pod, labels));
}

function judged(one: Selected, all: readonly KubeObject[], namespace: string): readonly CheckResult[] {
  const { version, words, object, field, labels } = one;
  const own = all.filter((pod) => runs(pod, version));
  const made = one.madeBy === null ? {} : { madeBy: one.madeBy };
  const evidence = { role: version.role, deployment: version.name, object, field, labels: pairs(labels), ...made };
  if (one.pods === null)
    return [
      warn(
        `which pods ${words} selects (${object}, ${field}) cannot be told: its host is no Service of this cluster with spec.selector`,
        evidence,
        `Check by hand that it selects the pods of Deployment ${version.name} and no others`,
      ),
    ];
  const pods = one.pods;
  const lost = own.filter((pod) => !pods.includes(pod));
  const foreign = pods.filter((pod) => !own.includes(pod));
  const ready = pods.filter(isReady);
  const counted = { ...evidence, pods: pods.length, ready: ready.length, ofDeployment: own.length };
  const relabel = `Compare the labels: kubectl get pods -n ${namespace} --show-labels; set ${field} of ${object} to labels that every pod of Deployment ${version.name} has and no other pod`;
  if (lost.length > 0)
    return [
      fail(
        `${words} (${object}, ${field}: ${pairs(labels).join(', ') || 'no labels'}) does not select ${few(lost)} of Deployment ${version.name}: requests go to other pods than those that are judged`,
        { ...counted, notSelected: podNames(lost) },
        relabel,
      ),
    ];
  if (foreign.length > 0)
    return [
      (version.role === 'canary' ? fail : warn)(
        `${words} (${object}, ${field}: ${pairs(labels).join(', ') || 'no labels'}) also selects ${few(foreign)}, which Deployment ${version.name} does not run: their requests are not judged as the ${version.role} version's`,
        { ...counted, foreign: podNames(foreign) },
        relabel,
      ),
    ];
  if (ready.length > 0)
    return [
      pass(
        `${words} selects ${pods.length} pods of Deployment ${version.name}, ${ready.length} of them ready`,
        counted,
      ),
    ];
  const unready = `${words} (${object}, ${field}: ${pairs(labels).join(', ') || 'no labels'}) selects no ready pod`;
  const look = `kubectl rollout status deployment ${version.name} -n ${namespace}`;
  // A canary's pods are waited for, so only labels that its pods will never have are certain trouble.
  if (version.role === 'canary' && covered(version.labels, labels))
    return [warn(`${unready} yet; the rollout waits for the pods of Deployment ${version.name}`, counted, look)];
  return [
    pods.length > 0
      ? fail(`${unready} of ${pods.length}: requests for it get 503`, counted, look)
      : fail(
          `${unready}, nor any other: requests for it get 503`,
          counted,
          covered(version.labels, labels) ? look : relabel,
        ),
  ];
}

const covered = (labels: Labels, wanted: Labels): boolean =>
  Object.entries(wanted).every(([key, value]) => labels[key] === value);
const pairs = (labels: Labels): readonly string[] => Object.entries(labels).map(([key, value]) => `${key}=${value}`);

/** A pod of both versions gets the requests of both. */
function overlap([one, other]: readonly Selected[]): readonly CheckResult[] {
  if (one === undefined || other === undefined || one.pods === null || other.pods === null) return [];
  const both = one.pods.filter((pod) => other.pods?.includes(pod));
  if (both.length === 0) return [];
  return [
    fail(
      `${one.words} (${one.object}, ${one.field}) and ${other.words} (${other.object}, ${other.field}) both select ${few(both)}: the weights do not divide the two versions`,
      { objects: [one.object, other.object], fields: [one.field, other.field], pods: podNames(both) },
      'Give the two versions a label with different values, like version, on the pod templates and in both selections',
    ),
  ];
}

export default defineCheck({
  name: 'subsets',
  about: 'A subset is missing, selects no pod, pods of both versions, or other pods than those of its Deployment.',
  meshes: ['istio'],
  scope: 'target',
  rbac: lists(DESTINATION_RULES, DEPLOYMENTS, PODS, SERVICES),
  async run(around) {
    const target = istioTarget(around);
    const versions = target === null ? null : await versionsOf(around, target);
    if (target === null || versions === null) return [];
    const found = await Promise.all(
      (['stable', 'canary'] as const).map((role) => {
        const { host, subset } = target[role];
        return selectionOf(around, expandHost(host, target.namespace), subset ?? null, versions[role]);
      }),
    );
    const usable = found.flatMap(({ selected: one }) => one ?? []);
    const pods = await livePods(around, [target.namespace]);
    return [
      ...found.flatMap(({ results }) => results),
      ...overlap(usable),
      ...usable.flatMap((one) => judged(one, pods, target.namespace)),
    ];
  },
});

async function selectionOf(
  around: Surroundings,
  host: string,
  subset: string | null,
  version: Version,
): Promise<{ readonly results: readonly CheckResult[]; readonly selected: Selected | null }> {
  const namespace = around.target?.namespace ?? '';
  const space = namespaceOfHost(host) ?? namespace;
  const [services, pods] = await Promise.all([listIn(around, SERVICES, [space]), livePods(around, [space])]);
  const choose = (labels: Labels) => selected(services, pods, host, labels);
  if (subset === null) {
    const words = `host ${host}`;
    const place = { object: `Service ${space}/${shortHost(host)}`, field: 'spec.selector' };
    const service = services.find(({ metadata }) => metadata.name === shortHost(host));
    const labels = recordAt(service?.spec, 'selector') as Labels;
    return { results: [], selected: { version, words, ...place, labels, madeBy: null, pods: choose({}) } };
  }
  const { rules } = await rulesFor(around, host, namespace);
  const definitions = subsetsOf(rules).filter(({ name }) => name === subset);
  const [first] = definitions;
  if (first === undefined) return { results: [missing(host, namespace, subset, rules, version)], selected: null };
  return {
    results: duplicates(host, definitions),
    selected: {
      version,
      words: `subset ${subset} of host ${host}`,
      object: `DestinationRule ${nameOf(first.rule)}`,
      field: `spec.subsets[${first.index}].labels`,
      labels: first.labels,
      madeBy: madeBy(first.rule, subset),
      pods: choose(first.labels),
    },
  };
}
