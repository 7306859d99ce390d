import type { KubeObject } from '../../kubernetes/kube.ts';
import { expandHost } from '../../routes/hosts.ts';
import { textAt } from '../../routes/json.ts';
import { type CheckResult, defineCheck, type Surroundings, Unread } from '../check.ts';
import { callersOf, namespacesOf } from '../istio/callers.ts';
import { hasPolicy, hostOf, type InForce, rulesFor, settingOf, subsetsOf } from '../istio/destination-rules.ts';
import type { Mode } from '../istio/mtls.ts';
import {
  DESTINATION_RULES,
  listWide,
  nameOf,
  names,
  namespaceOf,
  orUnread,
  PEER_AUTHENTICATIONS,
} from '../istio/objects.ts';
import { peerAuthentications } from '../istio/peer-authentications.ts';
import { fail, pass } from '../istio/results.ts';
import { istioTarget } from '../istio/route.ts';
import { type Version, versionsOf } from '../istio/workloads.ts';
import { subsetLines } from '../istio/yaml.ts';
import { DEPLOYMENTS, lists } from '../kinds.ts';

/** A version as the routes name it. */
interface Wanted {
  readonly role: 'stable' | 'canary';
  /** Full name. */
  readonly host: string;
  readonly subset: string | null;
}

async function present(
  around: Surroundings,
  found: InForce,
  wanted: readonly Wanted[],
): Promise<readonly CheckResult[]> {
  const { host, rules, looked } = found;
  const subsets = wanted.filter((one) => one.host === host).flatMap(({ subset }) => subset ?? []);
  if (rules.length > 0)
    return [
      pass(`DestinationRule ${names(rules)} is in force for host ${host}`, {
        host,
        rules: rules.map(nameOf),
        field: 'spec.host',
        looked,
      }),
    ];
  const elsewhere = (await listWide(around, DESTINATION_RULES, looked)).objects.filter((rule) => hostOf(rule) === host);
  const ignored =
    elsewhere.length === 0
      ? ''
      : `; ${names(elsewhere)} has it in spec.host, but not where Istio looks or not exported to here (spec.exportTo)`;
  const evidence = { host, rules: [], field: 'spec.host', looked, elsewhere: elsewhere.map(nameOf) };
  const says = `no DestinationRule has host ${host} in spec.host in ${looked.join(', ')}, where Istio looks for it${ignored}`;
  if (subsets.length === 0) return [pass(`${says}; none is needed, as no subset is routed to`, evidence)];
  return [
    fail(
      `${says}. The routes lead to subset ${subsets.join(' and ')}: their requests get 503`,
      evidence,
      `Apply before the VirtualService leads there:\n${subsetLines(host, looked[0] ?? 'default', subsets)}`,
    ),
  ];
}

/** Istio joins DestinationRules of a host, but keeps only the first traffic policy. */
function policies({ host, rules }: InForce): readonly CheckResult[] {
  const [first, ...others] = rules.filter(hasPolicy);
  if (first === undefined || others.length === 0) return [];
  return [
    fail(
      `${others.length + 1} DestinationRules set spec.trafficPolicy for host ${host}: Istio uses that of the oldest, ${nameOf(first)}, and ignores that of ${names(others)}`,
      { host, field: 'spec.trafficPolicy', inForce: nameOf(first), ignored: others.map(nameOf) },
      `Join them: move what is wanted into spec.trafficPolicy of ${nameOf(first)}, then ${others.map(remove).join('; ')}`,
    ),
  ];
}

const remove = (rule: KubeObject): string =>
  subsetsOf([rule]).length > 0
    ? `remove spec.trafficPolicy of ${nameOf(rule)}`
    : `kubectl delete destinationrule ${rule.metadata.name} -n ${namespaceOf(rule)}`;

/** What a caller's proxy does (spec.trafficPolicy.tls) must suit what the workload's asks for (mTLS mode). */
function handshake(found: InForce, wanted: Wanted, { name }: Version, mode: Mode): readonly CheckResult[] {
  const tls = settingOf(found, wanted.subset, 'tls');
  const client = tls === null ? null : textAt(tls.value, 'mode');
  if (tls === null || client === null) return [];
  const plain = mode.mode === 'STRICT' && ['DISABLE', 'SIMPLE'].includes(client);
  const unwanted = mode.mode === 'DISABLE' && client === 'ISTIO_MUTUAL';
  if (!plain && !unwanted) return [];
  const field = `${tls.field}.mode`;
  return [
    fail(
      `DestinationRule ${nameOf(tls.rule)} sets ${field} ${client} for host ${found.host}, and the ${wanted.role} workload ${name} has mTLS mode ${mode.mode}${mode.from === null ? '' : ` (PeerAuthentication ${nameOf(mode.from.policy)})`}: every call fails with 503`,
      { object: nameOf(tls.rule), field, client, server: mode.mode, workload: name },
      `Remove ${tls.field} from DestinationRule ${nameOf(tls.rule)}: callers with a proxy then use what the workload asks for`,
    ),
  ];
}

/** A caller's namespace with a DestinationRule of its own for the host sees that one only. */
async function ofCallers(
  around: Surroundings,
  wanted: readonly Wanted[],
  namespaces: readonly string[],
): Promise<readonly CheckResult[]> {
  const found = await Promise.all(
    namespaces.flatMap((namespace) =>
      wanted.map(async ({ host, subset }): Promise<readonly CheckResult[]> => {
        const seen = await orUnread(rulesFor(around, host, namespace));
        // What may not be read in somebody else's namespace is no finding about this one.
        if (subset === null || seen instanceof Unread) return [];
        const own = seen.rules.filter((rule) => namespaceOf(rule) === namespace);
        if (own.length === 0 || subsetsOf(own).some(({ name }) => name === subset)) return [];
        return [
          fail(
            `callers in namespace ${namespace} use its own DestinationRule ${names(own)} for host ${host}, whose spec.subsets lack ${subset}: they get 503 once requests are sent there`,
            { host, namespace, rules: own.map(nameOf), field: 'spec.subsets', subset },
            `Add the subset to ${nameOf(own[0] as KubeObject)}, or delete it: kubectl delete destinationrule ${own[0]?.metadata.name} -n ${namespace}`,
          ),
        ];
      }),
    ),
  );
  return found.flat();
}

export default defineCheck({
  name: 'destination-rule.host',
  about:
    'No DestinationRule for the host where Istio looks, two that set a policy, or one whose TLS the workload refuses.',
  meshes: ['istio'],
  scope: 'target',
  rbac: lists(DESTINATION_RULES, PEER_AUTHENTICATIONS, DEPLOYMENTS),
  async run(around) {
    const target = istioTarget(around);
    if (target === null) return [];
    const wanted = (['stable', 'canary'] as const).map((role): Wanted => {
      const { host, subset } = target[role];
      return { role, host: expandHost(host, target.namespace), subset: subset ?? null };
    });
    const hosts = [...new Set(wanted.map(({ host }) => host))];
    const found = await Promise.all(hosts.map((host) => rulesFor(around, host, target.namespace)));
    const shown = await Promise.all(found.map((one) => present(around, one, wanted)));
    const callers = await orUnread(callersOf(around, target));
    const others = callers instanceof Unread ? [] : namespacesOf(callers).filter((name) => name !== target.namespace);
    return [
      ...shown.flat(),
      ...found.flatMap(policies),
      ...(await handshakes(around, found, wanted)),
      ...(await ofCallers(around, wanted, others)),
    ];
  },
});

async function handshakes(
  around: Surroundings,
  found: readonly InForce[],
  wanted: readonly Wanted[],
): Promise<readonly CheckResult[]> {
  const { target } = around;
  const setsTls = wanted.filter(({ host, subset }) => {
    const rules = found.find((one) => one.host === host);
    return rules !== undefined && settingOf(rules, subset, 'tls') !== null;
  });
  if (target === null || setsTls.length === 0) return [];
  const [versions, modes] = await Promise.all([
    versionsOf(around, target),
    peerAuthentications(around, target.namespace),
  ]);
  const judged = setsTls.flatMap((one) => {
    const rules = found.find(({ host }) => host === one.host);
    const version = versions?.[one.role];
    return rules === undefined || version === undefined
      ? []
      : handshake(rules, one, version, modes.mode(version.labels));
  });
  if (judged.length > 0) return judged;
  return [
    pass(
      `the TLS that DestinationRule ${names(found.flatMap(({ rules }) => rules))} sets by hand suits the workloads' mTLS mode`,
      { field: 'spec.trafficPolicy.tls', versions: setsTls.map(({ role }) => role) },
    ),
  ];
}
