/** An OpenID issuer on a free port of this machine: real keys, discovery, JWKS, authorization code with PKCE. It can misbehave on demand. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { CryptoKey, JWK } from 'jose';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';

export interface OidcIssuer {
  readonly issuer: string;
  /** The claims that whoever signs in gets; the ones that belong to the protocol are added. */
  claims: Record<string, unknown>;
  /** Laid over the id token of a code: a wrong nonce, another audience. */
  forged: Record<string, unknown>;
  /** What the authorization endpoint answers in place of a code; null: it signs in. */
  declines: string | null;
  /** Laid over the discovery document. */
  discovery: Record<string, unknown>;
  /** Requests so far, by path. */
  readonly asked: Map<string, number>;
  /** What to answer instead at a path: a status, or "hang". */
  readonly broken: Map<string, number | 'hang'>;
  /** With the newest key, unless another is given. Times, issuer and audience are right unless the claims say otherwise. */
  sign(claims: Record<string, unknown>, header?: Record<string, unknown>, key?: CryptoKey): Promise<string>;
  /** The public half of the newest key. */
  publicJwk(): JWK;
  /** A new key; the old one is published no more. */
  rotate(alg?: 'RS256' | 'ES256' | 'PS256'): Promise<void>;
  close(): Promise<void>;
}

export interface IssuerWishes {
  readonly audience: string;
  readonly clientSecret?: string;
  readonly port?: number;
}

export async function oidcIssuer({ audience, clientSecret, port = 0 }: IssuerWishes): Promise<OidcIssuer> {
  let key = await newKey('RS256', 1);
  const codes = new Map<string, { readonly challenge: string; readonly redirectUri: string; readonly nonce: string }>();
  const server = createServer((req, res) => void answer(req, res));
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const self: OidcIssuer = {
    issuer,
    claims: { sub: 'u-1', email: 'ana@example.com', email_verified: true, groups: ['sre'] },
    forged: {},
    declines: null,
    discovery: {},
    asked: new Map(),
    broken: new Map(),
    sign(claims, header = {}, own = key.privateKey) {
      const now = Math.floor(Date.now() / 1000);
      return new SignJWT({ iss: issuer, aud: audience, iat: now, exp: now + 300, ...claims })
        .setProtectedHeader({ alg: key.alg, kid: key.kid, typ: 'JWT', ...header })
        .sign(own);
    },
    publicJwk: () => key.jwk,
    async rotate(alg = 'RS256') {
      key = await newKey(alg, Number(key.kid.slice(1)) + 1);
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };

  async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const url = new URL(req.url ?? '/', issuer);
    self.asked.set(url.pathname, (self.asked.get(url.pathname) ?? 0) + 1);
    const broken = self.broken.get(url.pathname);
    if (broken === 'hang') return;
    if (broken !== undefined) return json(res, broken, {});
    switch (url.pathname) {
      case '/.well-known/openid-configuration':
        return json(res, 200, {
          issuer,
          jwks_uri: `${issuer}/keys`,
          authorization_endpoint: `${issuer}/authorize`,
          token_endpoint: `${issuer}/token`,
          ...self.discovery,
        });
      case '/keys':
        return json(res, 200, { keys: [key.jwk] });
      case '/authorize':
        return authorize(url.searchParams, res);
      case '/token':
        return token(req, res);
      default:
        return json(res, 404, {});
    }
  }

  function authorize(asked: URLSearchParams, res: ServerResponse): void {
    const get = (name: string): string => asked.get(name) ?? '';
    const back = new URL(get('redirect_uri'));
    back.searchParams.set('state', get('state'));
    back.searchParams.set('iss', issuer);
    const proper =
      get('client_id') === audience && get('response_type') === 'code' && get('code_challenge_method') === 'S256';
    if (!proper || self.declines !== null) back.searchParams.set('error', self.declines ?? 'invalid_request');
    else {
      const code = `code-${codes.size + 1}`;
      codes.set(code, { challenge: get('code_challenge'), redirectUri: get('redirect_uri'), nonce: get('nonce') });
      back.searchParams.set('code', code);
    }
    res.writeHead(302, { Location: back.href }).end();
  }

  async function token(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);
    const form = new URLSearchParams(Buffer.concat(chunks).toString('utf8'));
    const known = codes.get(form.get('code') ?? '');
    // A code is good once.
    codes.delete(form.get('code') ?? '');
    // Both halves are form-encoded first (RFC 6749, 2.3.1).
    const pair = [audience, clientSecret ?? '']
      .map((half) => encodeURIComponent(half).replaceAll('%20', '+'))
      .join(':');
    const basic = `Basic ${Buffer.from(pair).toString('base64')}`;
    const isClient =
      clientSecret === undefined
        ? form.get('client_id') === audience
        : req.headers.authorization === basic || form.get('client_secret') === clientSecret;
    if (!isClient) return json(res, 401, { error: 'invalid_client' });
    const challenge = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url');
    if (known === undefined || known.challenge !== challenge || known.redirectUri !== form.get('redirect_uri'))
      return json(res, 400, { error: 'invalid_grant' });
    const id = await self.sign({ ...self.claims, nonce: known.nonce, ...self.forged });
    json(res, 200, { access_token: 'unused', token_type: 'Bearer', id_token: id });
  }

  return self;
}

const json = (res: ServerResponse, status: number, body: unknown): void =>
  void res.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));

async function newKey(alg: 'RS256' | 'ES256' | 'PS256', number: number) {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  const kid = `k${number}`;
  return { alg, kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } satisfies JWK };
}
