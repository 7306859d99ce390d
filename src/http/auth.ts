/** Who asks, and may they? One place; deny by default. */
import type { Request } from 'express';
import type { Principal, TokenStore } from '../app/ports.ts';
import { PRINCIPAL_ROLES } from '../app/ports.ts';
import type { Federation } from '../app/trust/ports.ts';
import type { Act } from '../app/usecases.ts';
import { may } from '../app/usecases.ts';
import type { Refused } from './problem.ts';
import { refuse } from './problem.ts';

export type Authenticate = TokenStore['authenticate'];
/** Who makes this request: by its Authorization header, else by the page's cookie. */
export type Identify = (
  req: Request,
) => Promise<Principal | Refused<'unauthenticated' | 'cross_site' | 'forbidden' | 'issuer_unavailable'>>;

const BEARER = /^Bearer +([A-Za-z0-9._~+/-]+=*) *$/i;
/** Nothing else is a token of ours, and need not reach the database. */
const TOKEN = /^slc_.{8,300}$/;

/** A JWT in its compact form begins with a JSON object. */
const JWT = /^eyJ[\w-]+\.[\w-]+\.[\w-]*$/;

/** The token of an Authorization header; null: it holds none. */
export const tokenOf = (header: string | undefined): string | null => BEARER.exec(header ?? '')?.[1] ?? null;

/** null: unknown, expired or revoked. */
export const principalOf = async (authenticate: Authenticate, token: string): Promise<Principal | null> =>
  TOKEN.test(token) ? authenticate(token) : null;

const INVALID = { headers: { 'WWW-Authenticate': 'Bearer realm="sluice", error="invalid_token"' } };

/** `federation` null: only API tokens are accepted. */
export async function authenticated(
  authenticate: Authenticate,
  federation: Federation | null,
  header: string | undefined,
): ReturnType<Identify> {
  const token = tokenOf(header);
  if (token === null) {
    const found =
      header === undefined ? 'the Authorization header is missing' : 'the Authorization header is not "Bearer <token>"';
    return refuse('unauthenticated', found, { headers: { 'WWW-Authenticate': 'Bearer realm="sluice"' } });
  }
  if (federation !== null && JWT.test(token)) return federated(federation, token);
  const principal = await principalOf(authenticate, token);
  if (principal !== null) return principal;
  return refuse('unauthenticated', 'the token is unknown, expired or revoked', INVALID);
}

async function federated(federation: Federation, token: string): ReturnType<Identify> {
  const found = await federation.authenticate(token);
  switch (found.kind) {
    case 'principal':
      return found.principal;
    case 'invalid':
      return refuse('unauthenticated', `the id token was refused: ${found.reason}`, {
        ...INVALID,
        suggestion: 'docs/ci.md says which tokens are accepted; ask for a new one where it has expired.',
      });
    case 'no_rule':
      return refuse('forbidden', `the id token is valid, but ${found.reason}`, {
        suggestion: 'Have a rule for it added to the trust policy (docs/ci.md), or run where a rule fits.',
      });
    case 'unavailable':
      return refuse('issuer_unavailable', found.reason, { headers: { 'Retry-After': String(found.retryAfter) } });
    default:
      return found satisfies never;
  }
}

export const rolesThatMay = (act: Act): string[] =>
  PRINCIPAL_ROLES.filter((role) => may({ id: '', name: '', role }, act));

/** null: they may. */
export function forbidden(principal: Principal, act: Act): Refused<'forbidden'> | null {
  if (may(principal, act)) return null;
  const roles = rolesThatMay(act);
  return refuse(
    'forbidden',
    `${principal.name} has the role ${principal.role}; this needs ${roles.length === 1 ? 'the role' : 'one of the roles'} ${roles.join(', ')}`,
    {
      headers: { 'WWW-Authenticate': 'Bearer realm="sluice", error="insufficient_scope"' },
    },
  );
}
