/** Whom this installation believes, and what they may do here: the person who signs in, the pipeline that calls. */
import type { Identities } from '../../domain/person.ts';
import type { Millis } from '../../domain/plan.ts';
import type { PrincipalRole, Scope } from '../ports.ts';
import type { PipelineKind } from './pipelines.ts';

export interface Trust {
  /** null: people sign in by API token alone. */
  readonly login: LoginTrust | null;
  /** null: pipelines come with API tokens. */
  readonly ci: CiTrust | null;
  /** Which names are one person's, for approvals. */
  readonly identities: Identities;
}

/** An OpenID provider for the page. */
export interface LoginTrust {
  readonly issuer: string;
  readonly clientId: string;
  /** What the button calls it. */
  readonly label: string;
  readonly scopes: readonly string[];
  /** The claim with the groups: its name, or a JSON pointer like /realm_access/roles. */
  readonly groupsClaim: string;
  /** What names a person to approvals, beside the provider's id of them: {claim} is replaced. */
  readonly persons: readonly string[];
  /** true: an e-mail address counts although the provider does not say that it has checked it. */
  readonly trustUnverifiedEmail: boolean;
  /** How long a session lasts. */
  readonly session: Millis;
  /** The first that fits decides. */
  readonly roles: readonly RoleGrant[];
}

export interface RoleGrant {
  /** null: everybody whom the provider knows. */
  readonly group: string | null;
  readonly role: PrincipalRole;
  readonly scope: Scope | null;
}

export interface CiTrust {
  /** What the `aud` of every token must be. */
  readonly audience: string;
  /** By the name that rules use. */
  readonly issuers: Readonly<Record<string, { readonly kind: PipelineKind; readonly issuer: string }>>;
  /** The first that fits decides. */
  readonly rules: readonly CiRule[];
}

export interface CiRule {
  readonly name: string;
  /** A name of `issuers`. */
  readonly issuer: string;
  /** Claim -> what it may be; all claims must fit. */
  readonly match: Readonly<Record<string, readonly string[]>>;
  readonly role: PrincipalRole;
  readonly scope: Scope | null;
  /** {claim} is replaced. */
  readonly principal: string;
}

/** What stands in a token whose signature, issuer, audience and times are right. */
export type Claims = Readonly<Record<string, unknown>>;

/** A claim as text; undefined: missing, or no plain value. */
export function claimText(claims: Claims, name: string): string | undefined {
  const value = Object.hasOwn(claims, name) ? claims[name] : undefined;
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined;
}

/** For a line of the log or the history: nothing that could end it, and not without end. */
export const clean = (text: string, most = 100): string =>
  text
    .replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, '')
    .slice(0, most)
    .toWellFormed();
