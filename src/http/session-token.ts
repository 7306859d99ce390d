/**
 * The session of a command line: as the page's cookie, but sent as a bearer token. Sealed, so that the server keeps
 * nothing; the person is held against the trust policy at each request.
 */
import { randomBytes } from 'node:crypto';
import type { Principal } from '../app/ports.ts';
import type { People, Person } from '../app/trust/login.ts';
import type { Instant } from '../domain/plan.ts';
import { seal, sealKey, unseal } from './seal.ts';

export interface SessionTokens {
  /** `until`: when it ends. */
  issue(person: Person, until: Instant): string;
  /** null: none of ours, at its end, or of somebody who has no role any more. */
  principalOf(token: string): Principal | null;
}

interface Sealed {
  readonly person: Person;
  readonly until: Instant;
}

/** Begins as API tokens do, so that whatever finds and hides those hides this too. */
const PREFIX = 'slc_session_';

/** `key`: that of the page's sessions; null: made up, so that tokens end with this process. */
export function sessionTokens(
  key: string | null,
  people: Pick<People, 'principalOf'>,
  now: () => Instant,
): SessionTokens {
  const secret = sealKey(key ?? randomBytes(32), 'sluice command line session');
  return {
    issue: (person, until) => `${PREFIX}${seal(secret, { person, until } satisfies Sealed)}`,
    principalOf(token) {
      if (!token.startsWith(PREFIX)) return null;
      const session = unseal<Sealed>(secret, token.slice(PREFIX.length));
      return session !== null && session.until > now() ? people.principalOf(session.person) : null;
    },
  };
}
