/** People who sign in by an OpenID provider: authorization code with PKCE (RFC 7636), state, nonce and, where sent, iss (RFC 9207). */
import { createHash } from 'node:crypto';
import { personOf } from '../../app/trust/login.ts';
import type { SignOn, SignOnFailure } from '../../app/trust/ports.ts';
import type { LoginTrust } from '../../app/trust/trust.ts';
import type { Millis } from '../../domain/plan.ts';
import { bodyWithin } from '../body-within.ts';
import type { Endpoints, Issuer } from './issuer.ts';

export interface SignOnOptions {
  readonly trust: LoginTrust;
  readonly issuer: Issuer;
  /** null: the client has none, and PKCE alone ties the code to us. */
  readonly clientSecret: string | null;
  /** As registered with the provider. */
  readonly redirectUri: string;
  readonly timeout?: Millis;
}

const TIMEOUT: Millis = 10_000;
const MAX_BYTES = 256 * 1024;

export function openSignOn(options: SignOnOptions): SignOn {
  const { trust, issuer, redirectUri } = options;
  return {
    label: trust.label,
    async begin({ state, nonce, verifier }) {
      const found = await issuer.endpoints();
      if (!found.ok) return failure('unavailable', found.message);
      const { authorization } = found.value;
      if (authorization === null)
        return failure('unavailable', `discovery of ${trust.issuer}: wanted authorization_endpoint; found none`);
      const url = new URL(authorization);
      const asked = {
        response_type: 'code',
        client_id: trust.clientId,
        redirect_uri: redirectUri,
        scope: trust.scopes.join(' '),
        state,
        nonce,
        code_challenge: createHash('sha256').update(verifier).digest('base64url'),
        code_challenge_method: 'S256',
      };
      for (const [name, value] of Object.entries(asked)) url.searchParams.set(name, value);
      return { ok: true, url: url.href };
    },
    async finish({ code, iss }, { nonce, verifier }) {
      if (iss !== null && iss !== trust.issuer) return failure('refused', 'the answer is of another issuer');
      const found = await issuer.endpoints();
      if (!found.ok) return failure('unavailable', found.message);
      const exchanged = await exchange(options, found.value, code, verifier);
      if (!exchanged.ok) return exchanged;
      const verified = await issuer.verify(exchanged.token, trust.clientId);
      if (verified.kind === 'unavailable') return failure('unavailable', verified.reason);
      if (verified.kind === 'invalid') return failure('refused', `the id token was refused: ${verified.reason}`);
      const { claims } = verified;
      if (claims['nonce'] !== nonce) return failure('refused', 'the id token was refused: its nonce is not ours');
      // A token for several parties says to which of them it was given.
      if (claims['azp'] !== undefined && claims['azp'] !== trust.clientId)
        return failure('refused', 'the id token was refused: it was given to another client (azp)');
      const person = personOf(trust, claims);
      if (person !== null) return { ok: true, person };
      return failure(
        'no_role',
        `no role is for the groups in ${trust.groupsClaim} of ${String(claims['sub']).slice(0, 100)}`,
      );
    },
  };
}

const failure = (code: SignOnFailure['code'], message: string): SignOnFailure => ({ ok: false, code, message });

/** A code -> an id token. */
async function exchange(
  { trust, clientSecret, redirectUri, timeout = TIMEOUT }: SignOnOptions,
  { token: address, secretBy }: Endpoints,
  code: string,
  verifier: string,
): Promise<{ readonly ok: true; readonly token: string } | SignOnFailure> {
  if (address === null)
    return failure('unavailable', `discovery of ${trust.issuer}: wanted token_endpoint; found none`);
  const byPost = secretBy.includes('client_secret_post') && !secretBy.includes('client_secret_basic');
  const form = {
    grant_type: 'authorization_code',
    code,
    redirect_uri: redirectUri,
    code_verifier: verifier,
    ...(clientSecret === null || byPost ? { client_id: trust.clientId } : {}),
    ...(clientSecret !== null && byPost ? { client_secret: clientSecret } : {}),
  };
  const signal = AbortSignal.timeout(timeout);
  try {
    const response = await fetch(address, {
      method: 'POST',
      headers: {
        accept: 'application/json',
        ...(clientSecret === null || byPost ? {} : { authorization: basic(trust.clientId, clientSecret) }),
      },
      body: new URLSearchParams(form),
      redirect: 'error',
      signal,
    });
    const text = await bodyWithin(response, MAX_BYTES);
    const json = text === null ? null : parsed(text);
    const token = json?.['id_token'];
    if (response.ok && typeof token === 'string') return { ok: true, token };
    const said =
      typeof json?.['error'] === 'string' ? `: ${json['error'].replaceAll(/[^\w.-]/g, '').slice(0, 60)}` : '';
    const message = `${address} answered ${response.status} and no id token${said}`;
    return failure(response.status >= 500 ? 'unavailable' : 'refused', message);
  } catch (error) {
    const why = signal.aborted ? `did not answer within ${timeout / 1000} s` : `cannot be reached (${reason(error)})`;
    return failure('unavailable', `${address} ${why}`);
  }
}

/** RFC 6749, 2.3.1: both are form-encoded before they are joined. */
const basic = (id: string, secret: string): string =>
  `Basic ${Buffer.from([id, secret].map(formEncoded).join(':')).toString('base64')}`;
const formEncoded = (text: string): string => new URLSearchParams({ x: text }).toString().slice(2);

const reason = (error: unknown): string => {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? ((cause as NodeJS.ErrnoException).code ?? cause.message) : String(cause);
};

function parsed(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === 'object' && json !== null ? (json as Readonly<Record<string, unknown>>) : null;
  } catch {
    return null;
  }
}
