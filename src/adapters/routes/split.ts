/** What all route kinds have in common: rules with weighted destinations, of which one rule (or several) splits two versions. */
import type { RouteTrouble } from '../../domain/observation.ts';
import type { Role, Weight } from '../../domain/plan.ts';
import type { PatchOp } from '../kubernetes/kube.ts';
import type { Naming } from './refusals.ts';
import * as refuse from './refusals.ts';

export interface Destination {
  readonly role: Role | 'other';
  /** For people: "host myapp subset v2". */
  readonly label: string;
  /** JSON pointer of its weight, and whether something stands there. */
  readonly weightAt: string;
  readonly hasWeight: boolean;
  /** Part that the proxies make of it, relative to the rule's sum; null: not a weight. */
  readonly weight: number | null;
  /** Hold as long as the entry is still the same destination; none of them looks at the weight. */
  readonly tests: readonly PatchOp[];
}

export interface Rule {
  /** Position in its list, from 0. */
  readonly index: number;
  readonly name: string | null;
  readonly destinations: readonly Destination[];
  /** Object that the rule hands over to, for people; null: it does not. */
  readonly delegate: string | null;
  /** Hold as long as this is still the rule of that name. */
  readonly tests: readonly PatchOp[];
}

/** Which rules the plan names; all absent: the only one that splits the two versions. */
export interface Selection {
  readonly names?: readonly string[];
  readonly index?: number;
}

export interface MovedRule {
  readonly rule: Rule;
  /** null: the canary stands alone in the rule and has all of it. */
  readonly stable: Destination | null;
  readonly canary: Destination;
  /** Canary's share of what the two versions get together, in percent. */
  readonly canaryWeight: number;
  /** A third destination has a share of the rule: nothing goes up here, but a rollback may still take the canary's away. */
  readonly foreign: RouteTrouble | null;
}

export interface Split {
  readonly ok: true;
  readonly rules: readonly MovedRule[];
  /** In percent. */
  readonly canaryWeight: number;
}

/**
 * Finds the rules to move and what they ask for now.
 *
 * `goingBack`: the canary's share is to be taken away whatever else the rules say: rules that know no canary are passed
 * over, and a third destination is no reason to stop. Where no rule gives the canary anything the weight is 0 and no rule is
 * moved; that is written all the same, since rules of the rollout's own may still lead there.
 */
export function splitOf(
  rules: readonly Rule[],
  selection: Selection,
  naming: Naming,
  goingBack: boolean,
): Split | RouteTrouble {
  const chosen = choose(rules, selection, naming);
  if ('ok' in chosen) return goingBack && LOST.has(chosen.code) && !rules.some(givesCanary) ? NOTHING_LEFT : chosen;
  const moved: MovedRule[] = [];
  const withoutCanary: Rule[] = [];
  for (const rule of chosen) {
    if (goingBack && !holds(rule, 'canary')) {
      withoutCanary.push(rule);
      continue;
    }
    const one = movedRule(rule, naming);
    if ('ok' in one) return one;
    if (one.foreign !== null && !goingBack) return one.foreign;
    moved.push(one);
  }
  if (moved.length === 0) return goingBack ? NOTHING_LEFT : refuse.canaryAbsent(naming, withoutCanary);
  return { ok: true, rules: moved, canaryWeight: together(moved.map((one) => one.canaryWeight)) };
}

/** Somebody took away the rule that was moved, or what led to the canary in it. */
const LOST: ReadonlySet<RouteTrouble['code']> = new Set(['rule_not_found', 'canary_absent']);
const NOTHING_LEFT: Split = { ok: true, rules: [], canaryWeight: 0 };

const givesCanary = ({ destinations }: Rule): boolean =>
  destinations.some(({ role, weight }) => role === 'canary' && weight !== 0);

/**
 * Rules that are moved together hold one weight. Where somebody set them apart this gives their mean, made fractional: no
 * weight of a plan equals it, so it reads as drift, and a rollback still can put every rule to 0.
 */
function together(weights: readonly number[]): number {
  const [first = 0] = weights;
  if (weights.every((weight) => weight === first)) return first;
  const mean = weights.reduce((sum, weight) => sum + weight, 0) / weights.length;
  return Number.isInteger(mean) ? mean + 0.5 : mean;
}

// ── which rules ─────────────────────────────────────────────────────────────────────────────────────────────────────

const holds = (rule: Rule, role: Role): boolean => rule.destinations.some((destination) => destination.role === role);

function choose(rules: readonly Rule[], selection: Selection, naming: Naming): readonly Rule[] | RouteTrouble {
  const { names, index } = selection;
  if (names !== undefined) return chooseByName(rules, names, naming);
  if (index !== undefined) {
    const rule = rules[index];
    return rule === undefined ? refuse.noRuleAt(naming, index, rules) : chosenOne(rule, naming);
  }
  return chooseUnnamed(rules, naming);
}

function chooseByName(
  rules: readonly Rule[],
  names: readonly string[],
  naming: Naming,
): readonly Rule[] | RouteTrouble {
  const chosen: Rule[] = [];
  for (const name of names) {
    const found = rules.filter((rule) => rule.name === name);
    const [rule] = found;
    if (rule === undefined) return refuse.noRuleNamed(naming, name, rules);
    if (found.length > 1) return refuse.nameNotUnique(naming, name, found);
    const one = chosenOne(rule, naming);
    if ('ok' in one) return one;
    chosen.push(rule);
  }
  return chosen;
}

const chosenOne = (rule: Rule, naming: Naming): readonly Rule[] | RouteTrouble =>
  rule.delegate === null ? [rule] : refuse.delegated(naming, [rule]);

function chooseUnnamed(rules: readonly Rule[], naming: Naming): readonly Rule[] | RouteTrouble {
  const both = rules.filter((rule) => holds(rule, 'stable') && holds(rule, 'canary'));
  if (both.length === 1) return both;
  if (both.length > 1) return refuse.ambiguous(naming, both);
  const delegating = rules.filter((rule) => rule.delegate !== null);
  if (delegating.length > 0) return refuse.delegated(naming, delegating);
  const withStable = rules.filter((rule) => holds(rule, 'stable'));
  const withCanary = rules.filter((rule) => holds(rule, 'canary'));
  // One rule for one version only: what stands in it decides.
  if (withStable.length + withCanary.length === 1) return [...withStable, ...withCanary];
  if (withCanary.length === 0 && withStable.length > 0) return refuse.canaryAbsent(naming, withStable);
  return refuse.noRuleSplits(naming, rules);
}

// ── what a rule asks for ────────────────────────────────────────────────────────────────────────────────────────────

function movedRule(rule: Rule, naming: Naming): MovedRule | RouteTrouble {
  const { destinations } = rule;
  const stables = destinations.filter((d) => d.role === 'stable');
  const canaries = destinations.filter((d) => d.role === 'canary');
  const others = destinations.filter((d) => d.role === 'other');
  const [stable] = stables;
  const [canary] = canaries;
  if (stable === undefined && canary === undefined) return refuse.neitherVersion(naming, rule);
  const twice = [stables, canaries].find((same) => same.length > 1)?.[0];
  if (twice !== undefined) return refuse.twice(naming, rule, twice);
  const odd = destinations.find((d) => d.weight === null || d.weight < 0);
  if (odd !== undefined) return refuse.notAWeight(naming, rule, odd);
  const third = others.find((d) => (d.weight ?? 0) > 0);
  const foreign = third === undefined ? null : refuse.foreignWeight(naming, rule, third);
  if (canary === undefined) return foreign ?? refuse.canaryAbsent(naming, [rule]);
  const part = canary.weight ?? 0;
  const sum = part + (stable?.weight ?? 0);
  // Others have all of it: the canary has nothing.
  if (sum === 0 && foreign === null) return refuse.noWeight(naming, rule);
  return { rule, stable: stable ?? null, canary, canaryWeight: sum === 0 ? 0 : (100 * part) / sum, foreign };
}

// ── what is written ─────────────────────────────────────────────────────────────────────────────────────────────────

/** The two numbers (or quantities) of a weight. */
export interface Parts {
  readonly stable: number | string;
  readonly canary: number | string;
}

/** Whole percents: what Istio and HTTPRoute take. */
export const wholeParts = (canary: Weight): Parts => ({ stable: 100 - canary, canary });

/** The patch of one rule: it is still that rule with those destinations, and these are their new parts. */
export const ruleOps = ({ rule, stable, canary }: MovedRule, parts: Parts): readonly PatchOp[] => [
  ...rule.tests,
  ...(stable === null ? [] : [...stable.tests, weightOp(stable, parts.stable)]),
  ...canary.tests,
  ...(stable === null ? [] : [weightOp(canary, parts.canary)]),
];

const weightOp = (destination: Destination, value: number | string): PatchOp => ({
  op: destination.hasWeight ? 'replace' : 'add',
  path: destination.weightAt,
  value,
});
