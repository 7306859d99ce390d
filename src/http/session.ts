/**
 * The page's session, sealed into a cookie: the API token of whoever signed in, or who they are by the OpenID provider.
 * The server keeps nothing. Every request authenticates the token again, so a revoked token ends its sessions at once,
 * and holds the person against the trust policy as it is now.
 *
 * A cookie comes along with requests that other sites provoke. SameSite=Strict keeps it back there; on top of that a
 * request that changes something must say by what only the browser can set (Sec-Fetch-Site, Origin) and by a header that
 * no form can send that it comes from the page.
 */
import { randomBytes } from 'node:crypto';
import type { Request } from 'express';
import type { Principal } from '../app/ports.ts';
import type { People, Person } from '../app/trust/login.ts';
import type { Instant, Millis } from '../domain/plan.ts';
import type { Authenticate, Identify } from './auth.ts';
import { principalOf } from './auth.ts';
import type { Refused } from './problem.ts';
import { refuse } from './problem.ts';
import { seal, sealKey, unseal } from './seal.ts';

export interface SessionOptions {
  /** At least 32 characters, the same in every replica; null: made up, so that sessions end with this process. */
  readonly key: string | null;
  readonly authenticate: Authenticate;
  /** Those who sign in by an OpenID provider; absent: nobody does. */
  readonly people?: People;
  readonly publicUrl: string | undefined;
  readonly now: () => Instant;
}

export interface Sessions {
  /** null: the request has no cookie of ours. */
  readonly identify: (req: Request) => ReturnType<Identify> | null;
  /** Name of the cookie. */
  readonly cookie: string;
  /** When the request's session ends; null: it has none. */
  expiryOf(req: Request): Instant | null;
  /** Who signed in by the OpenID provider; null: nobody, or by an API token. */
  personOf(req: Request): Person | null;
  /** Set-Cookie that opens a session with this token, which the caller has authenticated. */
  opening(token: string): string;
  /** The same for somebody whom the OpenID provider has named. */
  openingFor(person: Person): string;
  /** Set-Cookie that ends it in this browser. */
  readonly closing: string;
  /** null: this request comes from the page. */
  crossSite(req: Request): Refused<'cross_site'> | null;
}

/** A working day. */
export const SESSION_LASTS: Millis = 12 * 3_600_000;
/** A header that needs JavaScript of this very origin. */
export const CSRF_HEADER = 'x-sluice-csrf';

export function sessions({ key, authenticate, people, publicUrl, now }: SessionOptions): Sessions {
  const secret = sealKey(key ?? randomBytes(32), 'sluice page session');
  const tls = publicUrl?.startsWith('https://') === true;
  // The prefix makes browsers refuse a cookie of this name from a neighbouring host or from plain http; both need TLS.
  const name = tls ? '__Host-sluice' : 'sluice';
  const attributes = `Path=/; HttpOnly; SameSite=Strict${tls ? '; Secure' : ''}`;
  const sessionOf = (req: Request): Session | null | undefined => {
    const sealed = cookieOf(req.headers.cookie, name);
    if (sealed === undefined) return undefined;
    const session = unseal<Session>(secret, sealed);
    return session !== null && session.expiresAt > now() ? session : null;
  };
  const opened = (who: Omit<TokenSession, 'expiresAt'> | Omit<PersonSession, 'expiresAt'>, lasts: Millis): string =>
    `${name}=${seal(secret, { ...who, expiresAt: now() + lasts })}; Max-Age=${lasts / 1000}; ${attributes}`;
  const holderOf = async (session: Session): Promise<Principal | null> =>
    'person' in session ? (people?.principalOf(session.person) ?? null) : principalOf(authenticate, session.token);
  const crossSite = (req: Request): Refused<'cross_site'> | null => fromElsewhere(req, publicUrl);
  return {
    cookie: name,
    identify(req) {
      const session = sessionOf(req);
      if (session === undefined) return null;
      return identified(holderOf, session, isSafe(req.method) ? null : crossSite(req));
    },
    expiryOf: (req) => sessionOf(req)?.expiresAt ?? null,
    personOf(req) {
      const session = sessionOf(req) ?? null;
      return session !== null && 'person' in session && people?.principalOf(session.person) ? session.person : null;
    },
    opening: (token) => opened({ token }, SESSION_LASTS),
    openingFor: (person) => opened({ person }, people?.lasts ?? SESSION_LASTS),
    closing: `${name}=; Max-Age=0; ${attributes}`,
    crossSite,
  };
}

async function identified(
  holderOf: (session: Session) => Promise<Principal | null>,
  session: Session | null,
  elsewhere: Refused<'cross_site'> | null,
): ReturnType<Identify> {
  if (elsewhere !== null) return elsewhere;
  const principal = session === null ? null : await holderOf(session);
  return principal ?? refuse('unauthenticated', 'the session has ended, or its token has', { suggestion: SIGN_IN });
}

const SIGN_IN = 'Sign in again.';

const isSafe = (method: string): boolean => method === 'GET' || method === 'HEAD';

type Session = TokenSession | PersonSession;

interface TokenSession {
  readonly token: string;
  readonly expiresAt: Instant;
}

interface PersonSession {
  readonly person: Person;
  readonly expiresAt: Instant;
}

/** The first of that name. Values of ours need no decoding. */
export function cookieOf(header: string | undefined, name: string): string | undefined {
  for (const part of (header ?? '').split(';')) {
    const at = part.indexOf('=');
    if (at > 0 && part.slice(0, at).trim() === name) return part.slice(at + 1).trim();
  }
  return undefined;
}

// ── where a request comes from ──────────────────────────────────────────────────────────────────────────────────────

function fromElsewhere(req: Request, publicUrl: string | undefined): Refused<'cross_site'> | null {
  const site = req.get('sec-fetch-site');
  const origin = req.get('origin');
  // Browsers send Sec-Fetch-Site only to https and loopback addresses; Origin with every POST.
  const own = site === undefined ? isOwn(origin, req.get('host'), publicUrl) : site === 'same-origin';
  if (!own) {
    const found = site === undefined ? `Origin ${origin ?? 'missing'}` : `Sec-Fetch-Site ${site}`;
    return refuse('cross_site', `wanted a request of this very origin; found ${found.slice(0, 200)}`);
  }
  if (req.get(CSRF_HEADER) === '1') return null;
  return refuse('cross_site', 'wanted the header X-Sluice-CSRF: 1, which the page sends; found none');
}

function isOwn(origin: string | undefined, host: string | undefined, publicUrl: string | undefined): boolean {
  if (origin === undefined || !URL.canParse(origin)) return false;
  if (publicUrl !== undefined && new URL(publicUrl).origin === origin) return true;
  return host !== undefined && new URL(origin).host === host;
}
