/** Which pipeline may do what: the claims of a verified token against the rules of the policy. Pure. */
import type { Principal } from '../ports.ts';
import { type Pipeline, pipelineOf } from './pipelines.ts';
import type { CiRule, CiTrust, Claims } from './trust.ts';
import { claimText, clean } from './trust.ts';

export type CiDecision =
  | { readonly ok: true; readonly principal: Principal }
  /** Says which claims did not fit. What a rule wants is only told to tokens of the project that it is for. */
  | { readonly ok: false; readonly reason: string };

/** `issuer`: a name of the policy's issuers, the one that signed the token. */
export function decideCi(trust: CiTrust, issuer: string, claims: Claims): CiDecision {
  const known = trust.issuers[issuer];
  if (known === undefined) return { ok: false, reason: `the policy has no issuer ${issuer}` };
  const pipeline = pipelineOf(known.kind);
  const project = claimText(claims, pipeline.project);
  if (project === undefined || project === '')
    return { ok: false, reason: `the token has no ${pipeline.project}: is it of ${known.kind}?` };
  const tried = trust.rules
    .filter((rule) => rule.issuer === issuer)
    .map((rule) => ({ rule, misfits: misfitsOf(rule, pipeline, claims) }));
  const found = tried.find(({ misfits }) => misfits.length === 0);
  if (found !== undefined) return { ok: true, principal: principalOf(found.rule, project, claims) };
  return { ok: false, reason: nearest(tried, pipeline, claims) };
}

/** Names of the claims that keep this rule from fitting. */
function misfitsOf({ match }: CiRule, { patterns, outsiders }: Pipeline, claims: Claims): readonly string[] {
  const misfits = Object.entries(match).flatMap(([claim, wanted]) => {
    const found = claimText(claims, claim);
    const fits = patterns.includes(claim) ? fitsPattern : fitsExactly;
    return found !== undefined && wanted.some((one) => fits(one, found)) ? [] : [claim];
  });
  const outside = outsiders.values.includes(claimText(claims, outsiders.claim) ?? '');
  return outside && !Object.hasOwn(match, outsiders.claim) ? [...misfits, outsiders.claim] : misfits;
}

const fitsExactly = (wanted: string, found: string): boolean => wanted === found;

function fitsPattern(wanted: string, found: string): boolean {
  const star = wanted.indexOf('*');
  if (star < 0) return wanted === found;
  const [start, end] = [wanted.slice(0, star), wanted.slice(star + 1)];
  return found.length >= start.length + end.length && found.startsWith(start) && found.endsWith(end);
}

interface Tried {
  readonly rule: CiRule;
  readonly misfits: readonly string[];
}

/** Anybody can have a valid token of a public pipeline made, so strangers must not learn from refusals what rules there are. */
function nearest(tried: readonly Tried[], pipeline: Pipeline, claims: Claims): string {
  const own = tried.filter(({ misfits }) => !misfits.some((claim) => pipeline.ids.includes(claim)));
  const [best] = own.toSorted((a, b) => a.misfits.length - b.misfits.length);
  const told = (claim: string): string => {
    const found = claimText(claims, claim);
    return found === undefined ? `${claim} is missing` : `${claim} is ${JSON.stringify(clean(found))}`;
  };
  if (best === undefined) return `no rule is for this project: ${pipeline.ids.map(told).join(', ')}`;
  return `the rule ${JSON.stringify(best.rule.name)} does not fit: ${best.misfits.map(told).join(', ')}`;
}

function principalOf(rule: CiRule, project: string, claims: Claims): Principal {
  return {
    id: clean(`ci:${rule.issuer}:${project}`, 200),
    name: clean(
      rule.principal.replaceAll(/\{(\w+)\}/g, (_, claim: string) => clean(claimText(claims, claim) ?? 'unknown')),
      200,
    ),
    role: rule.role,
    kind: 'ci',
    ...(rule.scope === null ? {} : { scope: rule.scope }),
  };
}
