/**
 * What Istio's AuthorizationPolicies make of a caller, as far as it can be told before a request comes. Pure.
 *
 * Istio asks CUSTOM policies first, then DENY, then ALLOW; where ALLOW policies select a workload, one of their rules must
 * take the request. AUDIT decides nothing.
 */
import type { KubeObject } from '../../kubernetes/kube.ts';
import { isRecord, listAt, recordAt, textAt } from '../../routes/json.ts';
import type { Caller } from './callers.ts';
import type { Pattern, Requests } from './matches.ts';
import { namespaceOf, textsAt } from './objects.ts';
import { includes, type Labels, selectorOf } from './workloads.ts';

/** Does a rule take a caller's requests: all of them, some, none; or does it depend on what no metric shows? */
export interface Taken {
  readonly how: 'all' | 'some' | 'none' | 'undecided';
  /** What it depends on, with the fields. */
  readonly because: readonly string[];
}

const ALL: Taken = { how: 'all', because: [] };
const NONE: Taken = { how: 'none', because: [] };
const some = (because: string): Taken => ({ how: 'some', because: [because] });
const undecided = (because: string): Taken => ({ how: 'undecided', because: [because] });

const becauses = (parts: readonly Taken[]): readonly string[] => [...new Set(parts.flatMap(({ because }) => because))];

/** All conditions must hold: one that never does settles it. */
function every(parts: readonly Taken[]): Taken {
  if (parts.some(({ how }) => how === 'none')) return NONE;
  const how = (['undecided', 'some'] as const).find((kind) => parts.some((part) => part.how === kind));
  return how === undefined ? ALL : { how, because: becauses(parts) };
}

/** One is enough. */
function any(parts: readonly Taken[]): Taken {
  const how = (['all', 'some', 'undecided'] as const).find((kind) => parts.some((part) => part.how === kind));
  return how === undefined ? NONE : { how, because: becauses(parts.filter((part) => part.how === how)) };
}

// ── which policies ──────────────────────────────────────────────────────────────────────────────────────────────────

export type Action = 'ALLOW' | 'DENY' | 'CUSTOM' | 'AUDIT';

export const actionOf = (policy: KubeObject): Action => {
  const action = textAt(policy.spec, 'action');
  return action === 'DENY' || action === 'CUSTOM' || action === 'AUDIT' ? action : 'ALLOW';
};

/** A dry run is only counted and logged. */
export const isDryRun = ({ metadata }: KubeObject): boolean => metadata.annotations?.['istio.io/dry-run'] === 'true';

/**
 * Those that a workload's own proxy enforces. One of the control plane's namespace is for the workloads of every namespace;
 * one with targetRefs is for gateways and waypoints.
 */
export const policiesFor = (
  policies: readonly KubeObject[],
  namespace: string,
  root: string,
  labels: Labels,
): readonly KubeObject[] =>
  policies.filter(
    (policy) =>
      [namespace, root].includes(namespaceOf(policy)) &&
      listAt(policy.spec, 'targetRefs').length === 0 &&
      Object.keys(recordAt(policy.spec, 'targetRef')).length === 0 &&
      !isDryRun(policy) &&
      includes(labels, selectorOf(policy)),
  );

// ── one policy ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** Does one of the policy's rules take this caller's requests? Without a rule none does. */
export const takes = (policy: KubeObject, caller: Caller, requests: Requests): Taken =>
  any(listAt(policy.spec, 'rules').map((rule, index) => ruleTakes(rule, index, caller, requests, namespaceOf(policy))));

function ruleTakes(rule: unknown, index: number, caller: Caller, requests: Requests, namespace: string): Taken {
  const at = `spec.rules[${index}]`;
  const from = listAt(rule, 'from').map((entry) =>
    sourceTakes(recordAt(entry, 'source'), `${at}.from`, caller, namespace),
  );
  const to = listAt(rule, 'to').map((entry) => operationTakes(recordAt(entry, 'operation'), `${at}.to`, requests));
  const conditions = listAt(rule, 'when').map((when) =>
    undecided(`${at}.when: ${textAt(when, 'key') ?? 'a condition'}`),
  );
  return every([from.length === 0 ? ALL : any(from), to.length === 0 ? ALL : any(to), every(conditions)]);
}

// ── who calls ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** Only the token or the address of a request tells these. */
const OF_THE_REQUEST = [
  'requestPrincipals',
  'notRequestPrincipals',
  'ipBlocks',
  'notIpBlocks',
  'remoteIpBlocks',
  'notRemoteIpBlocks',
];

function sourceTakes(source: unknown, at: string, caller: Caller, namespace: string): Taken {
  const { principal } = caller;
  const identity = principal === null ? null : identityOf(principal);
  const named = (field: string, is: (entry: string) => boolean): Taken => {
    const wanted = textsAt(source, field);
    return wanted.length === 0 || wanted.some(is) ? ALL : NONE;
  };
  const not = (field: string, is: (entry: string) => boolean): Taken => (textsAt(source, field).some(is) ? NONE : ALL);
  const isPrincipal = (entry: string): boolean => principal !== null && samePrincipal(entry, principal);
  const isNamespace = (entry: string): boolean => identity !== null && matches(entry, identity.namespace);
  const isAccount = (entry: string): boolean => {
    const [space, account] = entry.includes('/') ? entry.split('/', 2) : [namespace, entry];
    return identity !== null && identity.namespace === space && identity.account === account;
  };
  return every([
    named('principals', isPrincipal),
    not('notPrincipals', isPrincipal),
    named('namespaces', isNamespace),
    not('notNamespaces', isNamespace),
    named('serviceAccounts', isAccount),
    not('notServiceAccounts', isAccount),
    ...OF_THE_REQUEST.filter((field) => textsAt(source, field).length > 0).map((field) =>
      undecided(`${at}.source.${field}`),
    ),
  ]);
}

/** "cluster.local/ns/production/sa/frontend" */
const IDENTITY = /^[^/]+\/ns\/(?<namespace>[^/]+)\/sa\/(?<account>[^/]+)$/;

const identityOf = (principal: string): { readonly namespace: string; readonly account: string } | null => {
  const { namespace, account } = IDENTITY.exec(principal)?.groups ?? {};
  return namespace === undefined || account === undefined ? null : { namespace, account };
};

/** In a policy "cluster.local" stands for the mesh's own trust domain, whatever its name. */
const samePrincipal = (entry: string, principal: string): boolean =>
  matches(entry, principal) ||
  (entry.startsWith('cluster.local/') &&
    matches(entry.slice('cluster.local'.length), principal.slice(principal.indexOf('/'))));

/** Istio's: exact, "prefix*", "*suffix", or "*" for anything that is there. With a star at both ends the first counts. */
export function matches(entry: string, value: string): boolean {
  if (entry === '*') return value !== '';
  if (entry.startsWith('*')) return value.endsWith(entry.slice(1));
  return entry.endsWith('*') ? value.startsWith(entry.slice(0, -1)) : value === entry;
}

// ── what is called ──────────────────────────────────────────────────────────────────────────────────────────────────

/** Hosts and ports of a request are not in the metrics: a rule that names them takes some. */
function operationTakes(operation: unknown, at: string, { paths, methods }: Requests): Taken {
  const list = (field: string, asked: readonly Pattern[] | null): Taken => {
    const wanted = textsAt(operation, field);
    return wanted.length === 0 ? ALL : covered(wanted, asked, `${at}.operation.${field}: ${wanted.join(', ')}`);
  };
  const not = (field: string, asked: readonly Pattern[] | null): Taken => {
    const unwanted = textsAt(operation, field);
    if (unwanted.length === 0) return ALL;
    const { how, because } = covered(unwanted, asked, `${at}.operation.${field}: ${unwanted.join(', ')}`);
    return how === 'all' ? NONE : how === 'none' ? ALL : { how, because };
  };
  return every([
    list('paths', paths),
    not('notPaths', paths),
    list('methods', methods),
    not('notMethods', methods),
    ...['hosts', 'notHosts', 'ports', 'notPorts']
      .filter((field) => textsAt(operation, field).length > 0 && !isAnything(operation, field))
      .map((field) => some(`${at}.operation.${field}: ${textsAt(operation, field).join(', ')}`)),
  ]);
}

const isAnything = (operation: unknown, field: string): boolean =>
  isRecord(operation) && !field.startsWith('not') && textsAt(operation, field).includes('*');

/** How much of what is asked for do these entries cover? `asked` null: it may be anything. */
function covered(entries: readonly string[], asked: readonly Pattern[] | null, words: string): Taken {
  if (entries.includes('*')) return ALL;
  if (asked === null) return some(words);
  const each = asked.map((one) => {
    const overlaps = entries.map((entry) => overlap(entry, one));
    return overlaps.includes('all') ? 'all' : overlaps.includes('some') ? 'some' : 'none';
  });
  if (each.every((how) => how === 'all')) return ALL;
  return each.every((how) => how === 'none') ? NONE : some(words);
}

function overlap(entry: string, { kind, text }: Pattern): 'all' | 'some' | 'none' {
  // A path template ({*}, {**}) may take more than its text.
  if (entry.includes('{')) return 'some';
  if (kind === 'exact') return matches(entry, text) ? 'all' : 'none';
  if (entry.endsWith('*')) {
    const prefix = entry.slice(0, -1);
    if (text.startsWith(prefix)) return 'all';
    return prefix.startsWith(text) ? 'some' : 'none';
  }
  if (entry.startsWith('*')) return 'some';
  return entry.startsWith(text) ? 'some' : 'none';
}

// ── all policies ────────────────────────────────────────────────────────────────────────────────────────────────────

export interface Verdict {
  /** `partly`: let in for some requests or refused for some. */
  readonly how: 'allowed' | 'partly' | 'denied' | 'undecided';
  /** Those that decide. */
  readonly policies: readonly KubeObject[];
  readonly because: readonly string[];
}

const NOBODY: readonly KubeObject[] = [];

/** `policies`: those that select the workload. */
export function verdictOn(policies: readonly KubeObject[], caller: Caller, requests: Requests): Verdict {
  const of = (action: Action) => policies.filter((policy) => actionOf(policy) === action);
  const taken = (some: readonly KubeObject[]) => some.map((policy) => ({ policy, ...takes(policy, caller, requests) }));
  const denying = taken(of('DENY'));
  const denied = denying.filter(({ how }) => how === 'all').map(({ policy }) => policy);
  if (denied.length > 0) return { how: 'denied', policies: denied, because: [] };
  const allowing = taken(of('ALLOW'));
  const allowed = any(allowing);
  if (allowing.length > 0 && allowed.how === 'none') return { how: 'denied', policies: of('ALLOW'), because: [] };
  const asked = taken(of('CUSTOM')).filter(({ how }) => how !== 'none');
  const open = [
    ...asked.map((one) => ({ ...one, because: [`the provider of CUSTOM policy ${one.policy.metadata.name} decides`] })),
    ...denying.filter(({ how }) => how === 'undecided'),
    ...(allowed.how === 'undecided' ? allowing.filter(({ how }) => how === 'undecided') : []),
  ];
  if (open.length > 0)
    return {
      how: 'undecided',
      policies: open.map(({ policy }) => policy),
      because: open.flatMap(({ because }) => because),
    };
  const partly = [
    ...denying.filter(({ how }) => how === 'some'),
    ...(allowed.how === 'some' ? allowing.filter(({ how }) => how === 'some') : []),
  ];
  if (partly.length > 0)
    return {
      how: 'partly',
      policies: partly.map(({ policy }) => policy),
      because: partly.flatMap(({ because }) => because),
    };
  return {
    how: 'allowed',
    policies: allowing.length === 0 ? NOBODY : allowing.filter(({ how }) => how === 'all').map(({ policy }) => policy),
    because: [],
  };
}

/** Policies with a rule that names this principal, or its account, as one of several callers. */
export const naming = (policies: readonly KubeObject[], principal: string): readonly KubeObject[] =>
  policies.filter((policy) =>
    listAt(policy.spec, 'rules').some((rule) =>
      listAt(rule, 'from').some((entry) => {
        const source = recordAt(entry, 'source');
        const fields = ['principals', 'notPrincipals', 'serviceAccounts', 'notServiceAccounts'];
        return fields.some((field) =>
          textsAt(source, field).some((one) => names(one, field, principal, namespaceOf(policy))),
        );
      }),
    ),
  );

function names(entry: string, field: string, principal: string, namespace: string): boolean {
  if (field.endsWith('rincipals')) return samePrincipal(entry, principal);
  const identity = identityOf(principal);
  const [space, account] = entry.includes('/') ? entry.split('/', 2) : [namespace, entry];
  return identity !== null && identity.namespace === space && identity.account === account;
}
