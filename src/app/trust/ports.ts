/** What stands between the policy and the issuers' tokens: types, and the one address that both sides know. */
import type { Instant, Millis } from '../../domain/plan.ts';
import type { Principal } from '../ports.ts';
import type { Person } from './login.ts';

/** Callers with a token that an issuer of the policy has signed. */
export interface Federation {
  /** `token`: a JWT, unchecked. Never rejects. */
  authenticate(token: string): Promise<Federated>;
}

export type Federated =
  | { readonly kind: 'principal'; readonly principal: Principal }
  /** Not signed by an issuer of the policy, not for us, or not valid now. The reason holds nothing secret of the token. */
  | { readonly kind: 'invalid'; readonly reason: string }
  /** Right in itself, and no rule is for it. */
  | { readonly kind: 'no_rule'; readonly reason: string }
  /** The issuer's keys cannot be had now; seconds to wait. */
  | { readonly kind: 'unavailable'; readonly reason: string; readonly retryAfter: number };

/** Where the provider sends people back to, below the public address: registered there. */
export const CALLBACK_PATH = '/login/oidc/callback';

/** The OpenID provider that people sign in with: authorization code with PKCE. Never rejects. */
export interface SignOn {
  /** What the button calls it. */
  readonly label: string;
  /** Where the browser goes to sign in. */
  begin(secrets: SignOnSecrets): Promise<{ readonly ok: true; readonly url: string } | SignOnFailure>;
  /** `code`, `iss`: as the browser brought them back. */
  finish(
    answer: { readonly code: string; readonly iss: string | null },
    secrets: Omit<SignOnSecrets, 'state'>,
  ): Promise<{ readonly ok: true; readonly person: Person } | SignOnFailure>;
}

/** What a code of a command line's sign-in stands for. */
export interface LoginGrant {
  /** Of PKCE, S256. */
  readonly challenge: string;
  readonly person: Person;
  /** When the session ends. */
  readonly until: Instant;
}

/** Each is good once. */
export interface LoginCodes {
  keep(code: string, grant: LoginGrant, lasts: Millis): Promise<void>;
  /** null: there is none, or it is too old. It is gone either way. */
  take(code: string): Promise<LoginGrant | null>;
}

/** Made anew for each attempt, 256 bits each; they tie the answer to the browser that asked. */
export interface SignOnSecrets {
  readonly state: string;
  readonly nonce: string;
  /** Of PKCE; its SHA-256 goes out first. */
  readonly verifier: string;
}

export interface SignOnFailure {
  readonly ok: false;
  /** `no_role`: signed in there, but the policy has no role for them here. */
  readonly code: 'unavailable' | 'refused' | 'no_role';
  /** For the log: holds no code and no token. */
  readonly message: string;
}
