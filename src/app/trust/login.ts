/** Who has signed in, and what they may do: the claims of a verified id token against the roles of the policy. Pure. */
import { kindOf } from '../../domain/person.ts';
import type { Millis } from '../../domain/plan.ts';
import type { Principal } from '../ports.ts';
import type { Claims, LoginTrust } from './trust.ts';
import { claimText, clean } from './trust.ts';

/** What a session keeps of somebody. Not the role: that is looked up each time, so that a changed policy counts at once. */
export interface Person {
  readonly issuer: string;
  readonly clientId: string;
  /** The provider's id of them: never changes and is never given again. */
  readonly subject: string;
  /** For people to read: it may change, and it may be another's later. */
  readonly name: string;
  /** By which approvals know them, as the policy had it when they signed in; absent: by the provider's id alone. */
  readonly names?: readonly string[];
  /** The group that gave them their role; null: everybody has it. */
  readonly group: string | null;
}

/** Those who have signed in, as the policy sees them now. */
export interface People {
  /** null: they have no role any more. */
  readonly principalOf: (person: Person) => Principal | null;
  /** How long their sessions last. */
  readonly lasts: Millis;
}

/** null: the policy has no role for any of their groups. */
export function personOf(trust: LoginTrust, claims: Claims): Person | null {
  const subject = claimText(claims, 'sub');
  if (subject === undefined || subject === '') return null;
  const groups = groupsIn(claims, trust.groupsClaim);
  const grant = trust.roles.find(({ group }) => group === null || groups.includes(group));
  if (grant === undefined) return null;
  return {
    issuer: trust.issuer,
    clientId: trust.clientId,
    subject,
    name: nameIn(trust, claims, subject),
    names: namesIn(trust, claims),
    group: grant.group,
  };
}

/** The one name of somebody that no change of theirs at the provider touches. */
const subjectName = ({ issuer, subject }: Person): string => `oidc:${issuer}#${subject}`;

/** null: the policy no longer knows this provider, or this group. */
export function principalOfPerson(trust: LoginTrust, person: Person): Principal | null {
  if (person.issuer !== trust.issuer || person.clientId !== trust.clientId) return null;
  const grant = trust.roles.find(({ group }) => group === person.group);
  if (grant === undefined) return null;
  return {
    id: `user:${person.subject}`,
    name: `user ${person.name}`,
    role: grant.role,
    kind: 'person',
    persons: [...(person.names ?? []), subjectName(person)],
    // The one that is kept of theirs: that which gave the role.
    groups: person.group === null ? [] : [person.group],
    ...(grant.scope === null ? {} : { scope: grant.scope }),
  };
}

/** One group may be given as plain text; anything else is no group. */
export function groupsIn(claims: Claims, claim: string): readonly string[] {
  return [claimAt(claims, claim)].flat().filter((group) => typeof group === 'string');
}

/** `claim`: its name, or a JSON pointer. */
const claimAt = (claims: Claims, claim: string): unknown =>
  valueAt(claims, claim.startsWith('/') ? claim.slice(1).split('/') : [claim]);

function valueAt(value: unknown, path: readonly string[]): unknown {
  let at = value;
  for (const part of path) {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return undefined;
    at = (at as Readonly<Record<string, unknown>>)[name];
  }
  return at;
}

// ── names ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** A claim within a template. */
export const CLAIM = /\{([^{}]+)\}/g;
const LONGEST_NAME = 200;

/** Those of the policy's names for which there are claims, each once. */
function namesIn(trust: LoginTrust, claims: Claims): readonly string[] {
  const names = trust.persons.flatMap((template) => nameBy(trust, claims, template) ?? []);
  return [...new Set(names)];
}

function nameBy(trust: LoginTrust, claims: Claims, template: string): string | null {
  let missing = false;
  const name = template.replaceAll(CLAIM, (_, claim: string) => {
    const found = claim === 'email' ? emailIn(trust, claims) : textAt(claims, claim);
    missing ||= found === '';
    return found;
  });
  if (missing || name.length > LONGEST_NAME) return null;
  return isOfItsKind(trust, claims, template, name) ? name : null;
}

/**
 * Of what kind a name is, the policy says and never the claim: people choose their user names, and one like
 * `github:somebody` or `somebody@example.com` would make them somebody else, or known where they are not.
 */
function isOfItsKind(trust: LoginTrust, claims: Claims, template: string, name: string): boolean {
  const kind = kindOf(name);
  if (kind === 'plain name') return true;
  if (kind !== 'e-mail address') return kindOf(template) === kind;
  return trust.trustUnverifiedEmail || name === emailIn(trust, claims);
}

const textAt = (claims: Claims, claim: string): string => {
  const found = claimAt(claims, claim);
  return typeof found === 'string' || typeof found === 'number' ? clean(String(found), LONGEST_NAME + 1).trim() : '';
};

/** An address that the provider has not checked may be anybody's. Some providers say so as text. "": none that counts. */
function emailIn({ trustUnverifiedEmail }: LoginTrust, claims: Claims): string {
  const verified = claims['email_verified'];
  const counts = verified === true || verified === 'true' || trustUnverifiedEmail;
  return counts ? textAt(claims, 'email') : '';
}

const nameIn = (trust: LoginTrust, claims: Claims, subject: string): string =>
  clean([emailIn(trust, claims), textAt(claims, 'preferred_username'), subject].find((one) => one !== '') ?? subject);
