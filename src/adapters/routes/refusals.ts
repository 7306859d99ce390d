/** Why a route cannot be moved: what was wanted, what was found, what to do. */
import type { RouteTrouble, RouteTroubleCode } from '../../domain/observation.ts';
import type { Temporary } from '../../domain/temporary.ts';
import { wordsOf } from '../../domain/temporary.ts';
import type { KubeTrouble, KubeTroubleCode } from '../kubernetes/kube.ts';
import { SAFE_WORDS } from './safe-methods.ts';
import type { Destination, Rule } from './split.ts';

/** How one target's object, versions and fields are called. */
export interface Naming {
  /** "VirtualService production/myapp" */
  readonly object: string;
  readonly cluster: string;
  /** "virtualservices.networking.istio.io" */
  readonly resource: string;
  readonly namespace: string;
  /** What brings the kind into a cluster. */
  readonly install: string;
  /** "host myapp subset v1" */
  readonly stable: string;
  readonly canary: string;
  /** The entry as it can be pasted into the object. */
  readonly stableEntry: string;
  readonly canaryEntry: string;
  /** Field of the target that names the object. */
  readonly field: string;
  /** Fields of the target that name a rule; null: the kind has one rule only. */
  readonly fields: {
    /** null: rules of this kind have no names. */
    readonly name: string | null;
    readonly index: string;
  } | null;
}

export const trouble = (code: RouteTroubleCode, message: string, retryAfter?: number): RouteTrouble => ({
  ok: false,
  code,
  message,
  ...(retryAfter === undefined ? {} : { retryAfter }),
});

// ── words ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** `rule 1 "api"` */
export const ruleWords = (rule: Rule): string => `rule ${rule.index}${rule.name === null ? '' : ` "${rule.name}"`}`;

const contents = (rule: Rule): string => {
  if (rule.delegate !== null) return `delegates to ${rule.delegate}`;
  if (rule.destinations.length === 0) return 'has no destination';
  return rule.destinations.map((d) => d.label).join(' and ');
};

const listed = (rules: readonly Rule[]): string =>
  rules.length === 0 ? 'it has no rules' : rules.map((rule) => `${ruleWords(rule)} (${contents(rule)})`).join(', ');

const howToName = ({ fields }: Naming, rules: readonly Rule[]): string => {
  if (fields === null) return '';
  const ways = rules.map((rule) =>
    rule.name !== null && fields.name !== null ? `${fields.name}: ${rule.name}` : `${fields.index}: ${rule.index}`,
  );
  return ways.join(' or ');
};

// ── the object's rules ──────────────────────────────────────────────────────────────────────────────────────────────

export const noRuleNamed = (naming: Naming, name: string, rules: readonly Rule[]): RouteTrouble =>
  trouble(
    'rule_not_found',
    `${naming.object} has no rule named "${name}"; found ${listed(rules)}. Name one of them in ${naming.fields?.name}, or use ${naming.fields?.index}`,
  );

export const noRuleAt = (naming: Naming, index: number, rules: readonly Rule[]): RouteTrouble =>
  trouble(
    'rule_not_found',
    `${naming.object} has no rule ${index} (the first is 0); found ${listed(rules)}. Correct ${naming.fields?.index}`,
  );

export const noRuleSplits = (naming: Naming, rules: readonly Rule[]): RouteTrouble =>
  trouble(
    'rule_not_found',
    `no rule of ${naming.object} has both ${naming.stable} and ${naming.canary}; found ${listed(rules)}. Add ${naming.canaryEntry} to the rule that sends traffic to the stable version`,
  );

export const neitherVersion = (naming: Naming, rule: Rule): RouteTrouble =>
  trouble(
    'rule_not_found',
    `${place(naming, rule)} has neither ${naming.stable} nor ${naming.canary}: it ${rule.destinations.length === 0 ? 'has no destination' : `routes to ${contents(rule)}`}. Name another rule, or correct target.stable and target.canary`,
  );

export const nameNotUnique = (naming: Naming, name: string, rules: readonly Rule[]): RouteTrouble =>
  trouble(
    'ambiguous',
    `${naming.object} has ${rules.length} rules named "${name}": ${listed(rules)}. Give them different names, or use ${rules.map((rule) => `${naming.fields?.index}: ${rule.index}`).join(' or ')}`,
  );

export const ambiguous = (naming: Naming, rules: readonly Rule[]): RouteTrouble =>
  trouble(
    'ambiguous',
    `${rules.length} rules of ${naming.object} split ${naming.stable} and ${naming.canary}: ${listed(rules)}. Say which one is to be moved: ${howToName(naming, rules)}${
      naming.fields?.name != null && rules.every((rule) => rule.name !== null)
        ? `; or all of them together: ${naming.fields.name}s: [${rules.map((rule) => rule.name).join(', ')}]`
        : ''
    }`,
  );

export const delegated = (naming: Naming, rules: readonly Rule[]): RouteTrouble =>
  trouble(
    'delegated',
    `${naming.object} hands over: ${listed(rules)}. The weights stand in the delegate: name it in ${naming.field}`,
  );

/** `in VirtualService production/myapp, rule 1 "api"`, or the object alone where it has one rule. */
const place = (naming: Naming, rule: Rule): string =>
  naming.fields === null ? naming.object : `${ruleWords(rule)} of ${naming.object}`;

export const foreignWeight = (naming: Naming, rule: Rule, foreign: Destination): RouteTrouble =>
  trouble(
    'foreign_weight',
    `${place(naming, rule)} also sends traffic to ${foreign.label} (weight ${foreign.weight}), which is neither ${naming.stable} nor ${naming.canary}. Set its weight to 0 or remove it`,
  );

export const canaryAbsent = (naming: Naming, rules: readonly Rule[]): RouteTrouble =>
  trouble(
    'canary_absent',
    `${rules.map((rule) => place(naming, rule)).join(', ')} ${rules.length === 1 ? 'sends' : 'send'} everything to ${naming.stable} and ${rules.length === 1 ? 'does' : 'do'} not have ${naming.canary}. Add ${naming.canaryEntry}${rules.length === 1 ? '' : ' to the rule that is to be moved'}: Sluice changes weights only, never destinations`,
  );

export const stableAbsent = (naming: Naming, rule: Rule): RouteTrouble =>
  trouble(
    'stable_absent',
    `${place(naming, rule)} sends everything to ${naming.canary} and does not have ${naming.stable}. Add ${naming.stableEntry}: Sluice changes weights only, never destinations`,
  );

export const twice = (naming: Naming, rule: Rule, destination: Destination): RouteTrouble =>
  trouble(
    'shape',
    `${place(naming, rule)} has ${destination.label} more than once: its share is not one number. Join the entries into one, or name the port of the one that is meant`,
  );

export const notAWeight = (naming: Naming, rule: Rule, destination: Destination): RouteTrouble =>
  trouble(
    'shape',
    `${place(naming, rule)}: the weight of ${destination.label} is not a number of 0 or more. Correct the object`,
  );

export const noWeight = (naming: Naming, rule: Rule): RouteTrouble =>
  trouble(
    'shape',
    `${place(naming, rule)}: the weights add up to 0, so its traffic goes nowhere. Set the weight of ${naming.stable} to 100`,
  );

export const notRead = (naming: Naming, what: string): RouteTrouble =>
  trouble('shape', `${naming.object}: ${what}. Correct the object`);

// ── the cluster's answers ───────────────────────────────────────────────────────────────────────────────────────────

export const notServed = (naming: Naming, served: readonly string[], wanted: readonly string[]): RouteTrouble =>
  trouble(
    'crd_missing',
    served.length === 0
      ? `cluster ${naming.cluster} does not serve ${naming.resource}, which ${naming.object} needs. ${naming.install}`
      : `cluster ${naming.cluster} serves ${naming.resource} in no version that can be written without loss: wanted ${wanted.join(' or ')}; found ${served.join(', ')}. ${naming.install}`,
  );

const CODES: Readonly<Record<KubeTroubleCode, RouteTroubleCode>> = {
  not_found: 'not_found',
  kind_not_served: 'crd_missing',
  conflict: 'unavailable',
  invalid: 'rejected',
  rejected: 'rejected',
  unauthorized: 'unauthorized',
  forbidden: 'forbidden',
  timeout: 'timeout',
  unavailable: 'unavailable',
};

/** Trouble of the Kubernetes API as trouble of this route. */
export function fromKube(naming: Naming, found: KubeTrouble): RouteTrouble {
  const code = CODES[found.code];
  return trouble(code, `${naming.object}: ${found.message}${remedy(naming, code)}`, found.retryAfter);
}

function remedy(naming: Naming, code: RouteTroubleCode): string {
  switch (code) {
    case 'not_found':
      return `. Create it, or correct ${naming.field}`;
    case 'crd_missing':
      return `. ${naming.install}`;
    case 'forbidden':
      return `. Sluice's service account needs get, list, watch and patch on ${naming.resource} in namespace ${naming.namespace}`;
    case 'rejected':
      return '. Nothing was written; correct the object';
    case 'timeout':
    case 'unavailable':
      return '. It is tried again';
    default:
      return '';
  }
}

/** The server answered 200 and kept something else. */
export const notKept = (naming: Naming, what: string, version: string): RouteTrouble =>
  trouble(
    'shape',
    `${naming.object}: the API server accepted the write and kept something else (${what}). A field that version ${version} of ${naming.resource} does not know is dropped without a word, and an admission webhook can change an object: update the CRD or exempt the object from the webhook`,
  );

/** A capability that the object lacks: nothing can be done but to leave the step out. */
export const noTemporary = (naming: Naming, wanted: readonly Temporary[]): RouteTrouble =>
  trouble(
    'shape',
    `${naming.object} cannot carry what the plan adds beside weights (${wanted.map(wordsOf).join(', ')}): leave these steps out`,
  );

export const mirrorsAlready = (naming: Naming, rule: string): RouteTrouble =>
  trouble(
    'shape',
    `${rule} of ${naming.object} mirrors requests already, and a mirror step would take that away for its time: remove the mirror, or leave the step out`,
  );

/** `why` the requests that may be copied cannot be told from the others. */
export const unsafeMirror = (naming: Naming, rule: string, why: string): RouteTrouble =>
  trouble(
    'shape',
    `${rule} of ${naming.object}: ${why}. Only ${SAFE_WORDS} are mirrored, since a copied request is carried out a second time. Where every request of it is safe to repeat, set mirror.allowUnsafeMethods: true in the step, or else leave the step out`,
  );

export const looksAlready = (naming: Naming, rule: string, header: string, what: Temporary): RouteTrouble =>
  trouble(
    'shape',
    `${rule} of ${naming.object} looks at the header "${header}" already, and a rule can look at it only once: the ${wordsOf(what)} would take other requests than the rule's. Leave it out, or match something else there`,
  );

export const cookiesAlready = (naming: Naming, rule: string): RouteTrouble =>
  trouble(
    'shape',
    `${rule} of ${naming.object} edits the response header "set-cookie" itself, by which session affinity gives users their cookie: one of the two would be lost. Leave sessionAffinity out, or let the app set its own cookies`,
  );
