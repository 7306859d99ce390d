/**
 * One OpenID issuer: where its endpoints are, which keys it has, and whether a token is its own. Its documents are kept,
 * so that it is asked seldom; its being away is told to those whose tokens need it, and to nobody else.
 */
import type { JSONWebKeySet, JWTPayload } from 'jose';
import { createLocalJWKSet, errors, jwtVerify } from 'jose';
import { isTrustworthy } from '../../app/trust/schema.ts';
import type { Claims } from '../../app/trust/trust.ts';
import type { Instant, Millis } from '../../domain/plan.ts';
import { getJson, refusedWords } from '../get-json.ts';
import { type Ages, type Fetched, type Kept, kept } from './kept.ts';

/** Signatures that only the issuer can make. HS256 would let everybody sign who has the shared secret, or the public key. */
export const ALGORITHMS = ['RS256', 'ES256', 'PS256'];
/** Clocks differ a little. */
export const SKEW: Millis = 30_000;
/** Tokens with hundreds of groups have some 10 kB. */
export const LONGEST_TOKEN = 16_384;

export interface IssuerOptions {
  readonly issuer: string;
  readonly now: () => Instant;
  readonly timeout?: Millis;
  readonly ages?: Ages;
}

export interface Endpoints {
  readonly keys: string;
  /** null: not named, as by issuers that sign for programs alone. */
  readonly authorization: string | null;
  readonly token: string | null;
  /** Ways in which the token endpoint wants the client's secret. */
  readonly secretBy: readonly string[];
}

export type Verified =
  | { readonly kind: 'valid'; readonly claims: Claims }
  /** The reason holds nothing of the token that is secret. */
  | { readonly kind: 'invalid'; readonly reason: string }
  | { readonly kind: 'unavailable'; readonly reason: string; readonly retryAfter: number };

export interface Issuer {
  readonly issuer: string;
  endpoints(): Promise<Fetched<Endpoints>>;
  /** Signature, algorithm, issuer, audience, times. Never rejects. */
  verify(token: string, audience: string): Promise<Verified>;
}

const AGES: Ages = { fresh: 600_000, stale: 3_600_000, pause: 15_000 };
const TIMEOUT: Millis = 5_000;
/** Of a discovery document, or of a set of keys. */
const MAX_BYTES = 512 * 1024;

export function openIssuer({ issuer, now, timeout = TIMEOUT, ages = AGES }: IssuerOptions): Issuer {
  const get = async (url: string): Promise<Fetched<unknown>> => {
    const server = `the issuer at ${url}`;
    const answer = await getJson(new URL(url), { server, call: 'oidc.get', headers: {}, timeout, maxBytes: MAX_BYTES });
    if (!answer.ok) return { ok: false, message: answer.message };
    if (answer.status !== 200) return { ok: false, message: refusedWords(server, answer.status) };
    return { ok: true, value: answer.json };
  };
  const endpoints = kept(
    async () => read(await get(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`), endpointsIn(issuer)),
    ages,
    now,
  );
  const keys = kept(
    async () => {
      const found = await endpoints.get();
      return found.ok ? read(await get(found.value.keys), keysIn(found.value.keys)) : found;
    },
    ages,
    now,
  );
  return {
    issuer,
    endpoints: () => endpoints.get(),
    verify: async (token, audience) =>
      token.length > LONGEST_TOKEN
        ? { kind: 'invalid', reason: `it has more than ${LONGEST_TOKEN} characters` }
        : verified(token, { issuer, audience, keys, now, retryAfter: Math.ceil(ages.pause / 1000) }),
  };
}

const read = <T>(found: Fetched<unknown>, reader: (json: unknown) => Fetched<T>): Fetched<T> =>
  found.ok ? reader(found.value) : found;

type Json = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Whoever answers for an issuer must say that it is this one, and name no address that others can listen to. */
const endpointsIn =
  (issuer: string) =>
  (json: unknown): Fetched<Endpoints> => {
    const document = isObject(json) ? json : {};
    if (document['issuer'] !== issuer) {
      const found = typeof document['issuer'] === 'string' ? document['issuer'].slice(0, 200) : 'none';
      return { ok: false, message: `discovery of ${issuer}: wanted that issuer, letter by letter; found ${found}` };
    }
    const address = (name: string): string | null => {
      const found = document[name];
      return typeof found === 'string' && isTrustworthy(found) ? found : null;
    };
    const keys = address('jwks_uri');
    if (keys === null) return { ok: false, message: `discovery of ${issuer}: wanted jwks_uri with https; found none` };
    const secretBy = document['token_endpoint_auth_methods_supported'];
    return {
      ok: true,
      value: {
        keys,
        authorization: address('authorization_endpoint'),
        token: address('token_endpoint'),
        secretBy: Array.isArray(secretBy) ? secretBy.filter((way) => typeof way === 'string') : [],
      },
    };
  };

const keysIn =
  (url: string) =>
  (json: unknown): Fetched<JSONWebKeySet> => {
    const keys = isObject(json) ? json['keys'] : undefined;
    if (Array.isArray(keys) && keys.every(isObject)) return { ok: true, value: { keys } as JSONWebKeySet };
    return { ok: false, message: `${url} holds no set of keys` };
  };

// ── tokens ──────────────────────────────────────────────────────────────────────────────────────────────────────────

interface Verifying {
  readonly issuer: string;
  readonly audience: string;
  readonly keys: Kept<JSONWebKeySet>;
  readonly now: () => Instant;
  readonly retryAfter: number;
}

async function verified(token: string, how: Verifying): Promise<Verified> {
  const first = await tried(await how.keys.get(), token, how);
  if (first !== 'unknown_key') return first;
  // The issuer may have changed its keys since. Whoever makes up names of keys brings about few requests.
  const second = await tried(await how.keys.renewed(), token, how);
  if (second !== 'unknown_key') return second;
  return { kind: 'invalid', reason: 'it is signed with a key that its issuer does not have' };
}

async function tried(
  keys: Fetched<JSONWebKeySet>,
  token: string,
  { issuer, audience, now, retryAfter }: Verifying,
): Promise<Verified | 'unknown_key'> {
  if (!keys.ok) return { kind: 'unavailable', reason: keys.message, retryAfter };
  try {
    const { payload } = await jwtVerify(token, createLocalJWKSet(keys.value), {
      issuer,
      audience,
      algorithms: ALGORITHMS,
      clockTolerance: SKEW / 1000,
      requiredClaims: ['exp'],
      currentDate: new Date(now()),
    });
    return { kind: 'valid', claims: payload satisfies JWTPayload };
  } catch (error) {
    if (error instanceof errors.JWKSNoMatchingKey) return 'unknown_key';
    return { kind: 'invalid', reason: wordsOf(error, audience) };
  }
}

function wordsOf(error: unknown, audience: string): string {
  if (error instanceof errors.JWTExpired) return 'it has expired';
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === 'aud') return `its audience (aud) is not ${JSON.stringify(audience)}`;
    if (error.claim === 'nbf') return 'it is not valid yet (nbf)';
    return `its claim ${error.claim} is missing or wrong`;
  }
  if (error instanceof errors.JOSEAlgNotAllowed || error instanceof errors.JOSENotSupported)
    return `its algorithm (alg) is none of ${ALGORITHMS.join(', ')}`;
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'its signature does not fit';
  if (error instanceof errors.JWKSMultipleMatchingKeys)
    return 'it does not say which of the keys of its issuer (kid) it is signed with';
  return 'it is no signed JWT';
}
