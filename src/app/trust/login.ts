/** Who has signed in, and what they may do: the claims of a verified id token against the roles of the policy. Pure. */
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
  readonly name: string;
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
  return { issuer: trust.issuer, clientId: trust.clientId, subject, name: nameIn(claims, subject), group: grant.group };
}

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
    // A name may change; the provider's id of them does not.
    persons: [person.name, person.subject],
    // The one that is kept of theirs: that which gave the role.
    groups: person.group === null ? [] : [person.group],
    ...(grant.scope === null ? {} : { scope: grant.scope }),
  };
}

/** One group may be given as plain text; anything else is no group. */
export function groupsIn(claims: Claims, claim: string): readonly string[] {
  const found = claim.startsWith('/') ? valueAt(claims, claim.slice(1).split('/')) : valueAt(claims, [claim]);
  return [found].flat().filter((group) => typeof group === 'string');
}

function valueAt(value: unknown, path: readonly string[]): unknown {
  let at = value;
  for (const part of path) {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return undefined;
    at = (at as Readonly<Record<string, unknown>>)[name];
  }
  return at;
}

/** An address that the provider has not checked may be anybody's. */
function nameIn(claims: Claims, subject: string): string {
  const email = claims['email_verified'] === false ? undefined : claimText(claims, 'email');
  const named = [email, claimText(claims, 'preferred_username')].map((one) => clean(one ?? '').trim());
  return named.find((one) => one !== '') ?? clean(subject);
}
