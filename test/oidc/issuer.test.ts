import type { CryptoKey } from 'jose';
import { exportSPKI, generateKeyPair, importJWK, SignJWT } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openFederation } from '../../src/adapters/oidc/federation.ts';
import { type Issuer, type IssuerOptions, openIssuer } from '../../src/adapters/oidc/issuer.ts';
import { readTrust } from '../../src/app/trust/schema.ts';
import { type OidcIssuer, oidcIssuer } from '../support/oidc-issuer.ts';

const AUDIENCE = 'https://sluice.example.com';
let idp: OidcIssuer;
let time: number;
beforeEach(async () => {
  idp = await oidcIssuer({ audience: AUDIENCE });
  time = Date.now();
});
afterEach(() => idp.close());

const open = (over: Partial<IssuerOptions> = {}): Issuer =>
  openIssuer({ issuer: idp.issuer, now: () => time, ...over });
const seconds = (from = 0): number => Math.floor(Date.now() / 1000) + from;
const KEYS = '/keys';
const DISCOVERY = '/.well-known/openid-configuration';

const unsigned = (header: object, claims: object): string =>
  [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');

describe('a token', () => {
  it.each(['RS256', 'ES256', 'PS256'] as const)('that is right and signed with %s is accepted', async (alg) => {
    await idp.rotate(alg);
    const verified = await open().verify(await idp.sign({ sub: 'u', ref: 'refs/heads/main' }), AUDIENCE);
    expect(verified).toMatchObject({ kind: 'valid', claims: { ref: 'refs/heads/main' } });
  });

  it.each<[string, () => Promise<string> | string, string]>([
    ['of another issuer', () => idp.sign({ iss: 'https://evil.example.com' }), 'its claim iss is missing or wrong'],
    [
      'of an issuer that is called alike',
      () => idp.sign({ iss: `${idp.issuer}/` }),
      'its claim iss is missing or wrong',
    ],
    [
      'for another audience',
      () => idp.sign({ aud: 'https://other.example.com' }),
      `its audience (aud) is not "${AUDIENCE}"`,
    ],
    [
      'for an audience that begins like ours',
      () => idp.sign({ aud: `${AUDIENCE}.evil` }),
      `its audience (aud) is not "${AUDIENCE}"`,
    ],
    ['without an audience', () => idp.sign({ aud: undefined }), `its audience (aud) is not "${AUDIENCE}"`],
    ['that has expired', () => idp.sign({ exp: seconds(-60) }), 'it has expired'],
    ['that never expires', () => idp.sign({ exp: undefined }), 'its claim exp is missing or wrong'],
    ['that is not valid yet', () => idp.sign({ nbf: seconds(120) }), 'it is not valid yet (nbf)'],
    [
      'with alg none',
      () => `${unsigned({ alg: 'none' }, { iss: idp.issuer, aud: AUDIENCE, exp: seconds(60) })}.`,
      'its algorithm (alg) is none of RS256, ES256, PS256',
    ],
    [
      'signed with the public key as a shared secret',
      async () => {
        const pem = await exportSPKI((await importJWK(idp.publicJwk(), 'RS256', { extractable: true })) as CryptoKey);
        return new SignJWT({ iss: idp.issuer, aud: AUDIENCE, exp: seconds(60) })
          .setProtectedHeader({ alg: 'HS256', kid: idp.publicJwk().kid ?? '' })
          .sign(new TextEncoder().encode(pem));
      },
      'its algorithm (alg) is none of RS256, ES256, PS256',
    ],
    [
      'signed with an algorithm that is not on the list',
      async () => idp.sign({}, { alg: 'RS512' }, (await generateKeyPair('RS512')).privateKey),
      'its algorithm (alg) is none of RS256, ES256, PS256',
    ],
    [
      'signed by somebody else under the name of the key',
      async () => idp.sign({}, {}, (await generateKeyPair('RS256')).privateKey),
      'its signature does not fit',
    ],
    [
      'whose own header brings the key',
      async () => {
        const { privateKey } = await generateKeyPair('RS256');
        return idp.sign({}, { jwk: idp.publicJwk(), kid: 'mine' }, privateKey);
      },
      'it is signed with a key that its issuer does not have',
    ],
    [
      'with a key that nobody has',
      () => idp.sign({}, { kid: 'k99' }),
      'it is signed with a key that its issuer does not have',
    ],
    ['that is none', () => 'eyJhbGciOiJub25lIn0', 'it is no signed JWT'],
    ['without end', () => idp.sign({ groups: ['g'.repeat(20_000)] }), 'it has more than 16384 characters'],
  ])('%s is refused, in words without the token', async (_, make, reason) => {
    const token = await make();
    const verified = await open().verify(token, AUDIENCE);
    expect(verified).toEqual({ kind: 'invalid', reason });
    expect(reason).not.toContain(token.split('.')[1] ?? 'x');
  });

  it.each([
    ['exp', -20, 'valid'],
    ['nbf', 20, 'valid'],
    ['exp', -40, 'invalid'],
    ['nbf', 45, 'invalid'],
  ] as const)(
    'whose %s is %d s from now, by a clock that is half a minute off at most: %s',
    async (claim, from, kind) => {
      // By the clock of this test: seconds pass between the reading of the table and a test on a busy machine.
      const token = await idp.sign({ [claim]: Math.floor(time / 1000) + from });
      expect((await open().verify(token, AUDIENCE)).kind).toBe(kind);
    },
  );
});

describe('the keys of an issuer', () => {
  it('are asked for once, by whoever comes first', async () => {
    const issuer = open();
    const token = await idp.sign({});
    await Promise.all(Array.from({ length: 20 }, () => issuer.verify(token, AUDIENCE)));
    expect([idp.asked.get(KEYS), idp.asked.get(DISCOVERY)]).toEqual([1, 1]);
  });

  it('are asked for again when one is missing, and then the old one is good no more', async () => {
    const issuer = open();
    const before = await idp.sign({});
    expect((await issuer.verify(before, AUDIENCE)).kind).toBe('valid');
    await idp.rotate();
    time += 16_000;
    expect((await issuer.verify(await idp.sign({}), AUDIENCE)).kind).toBe('valid');
    expect((await issuer.verify(before, AUDIENCE)).kind).toBe('invalid');
  });

  it('are not asked for by everybody who makes up names of keys', async () => {
    const issuer = open();
    await issuer.verify(await idp.sign({}), AUDIENCE);
    for (let i = 0; i < 20; i += 1) await issuer.verify(await idp.sign({}, { kid: `x${i}` }), AUDIENCE);
    expect(idp.asked.get(KEYS)).toBe(1);
    time += 16_000;
    for (let i = 0; i < 20; i += 1) await issuer.verify(await idp.sign({}, { kid: `x${i}` }), AUDIENCE);
    expect(idp.asked.get(KEYS)).toBe(2);
  });

  it('serve for an hour while the issuer is away, and nobody waits for it', async () => {
    const issuer = open({ timeout: 100 });
    const token = await idp.sign({ exp: seconds(86_400) });
    expect((await issuer.verify(token, AUDIENCE)).kind).toBe('valid');
    for (const path of [KEYS, DISCOVERY]) idp.broken.set(path, 503);
    time += 30 * 60_000;
    expect((await issuer.verify(token, AUDIENCE)).kind).toBe('valid');
    time += 31 * 60_000;
    expect((await issuer.verify(token, AUDIENCE)).kind).toBe('unavailable');
  });

  it.each<[string, () => void, RegExp]>([
    ['is broken', () => idp.broken.set(DISCOVERY, 500), /answers with 500/],
    ['does not answer', () => idp.broken.set(KEYS, 'hang'), /did not answer within 0.2 s/],
    ['redirects', () => idp.broken.set(KEYS, 302), /redirect/],
    ['says that it is another', () => (idp.discovery = { issuer: 'https://evil.example.com' }), /wanted that issuer/],
    [
      'names keys that others could replace',
      () => (idp.discovery = { jwks_uri: 'http://idp.example.com/keys' }),
      /wanted jwks_uri with https/,
    ],
    ['has no keys', () => idp.broken.set(KEYS, 200), /holds no set of keys/],
    ['has a document without end', () => (idp.discovery = { more: 'x'.repeat(600_000) }), /more than 524288 bytes/],
  ])(
    'cannot be had where it %s: told as trouble of the issuer, and not asked again at once',
    async (_, breakIt, words) => {
      breakIt();
      const issuer = open({ timeout: 200 });
      const token = await idp.sign({});
      const verified = await issuer.verify(token, AUDIENCE);
      expect(verified).toMatchObject({ kind: 'unavailable', retryAfter: 15 });
      expect(verified.kind === 'unavailable' ? verified.reason : '').toMatch(words);
      await issuer.verify(token, AUDIENCE);
      expect(idp.asked.get(DISCOVERY)).toBe(1);
      idp.broken.clear();
      idp.discovery = {};
      time += 3_700_000;
      expect((await issuer.verify(await idp.sign({ exp: seconds(86_400) }), AUDIENCE)).kind).toBe('valid');
    },
  );
});

describe('a pipeline', () => {
  const federation = (trusted: string) => {
    const read = readTrust({
      ci: {
        audience: AUDIENCE,
        issuers: { ghes: { kind: 'github', issuer: trusted } },
        rules: [{ name: 'shop', issuer: 'ghes', match: { repository_id: 123, ref: 'refs/heads/main' } }],
      },
    });
    if (!read.ok || read.trust.ci === null) throw new Error('not valid');
    return openFederation(read.trust.ci, (issuer) => openIssuer({ issuer, now: () => time }));
  };
  const claims = {
    repository: 'octo-org/shop',
    repository_id: '123',
    ref: 'refs/heads/main',
    run_id: '7',
    run_attempt: '2',
  };

  it('with a right token of an issuer of its own is the caller that the rule says, as often as it comes', async () => {
    const { authenticate } = federation(idp.issuer);
    const token = await idp.sign(claims);
    for (let i = 0; i < 3; i += 1)
      expect(await authenticate(token)).toMatchObject({
        kind: 'principal',
        principal: { id: 'ci:ghes:123', name: 'github octo-org/shop run 7 attempt 2', role: 'deployer', kind: 'ci' },
      });
  });

  it('of a repository of the same name and another id is nobody', async () => {
    const found = await federation(idp.issuer).authenticate(await idp.sign({ ...claims, repository_id: '124' }));
    expect(found).toMatchObject({ kind: 'no_rule', reason: expect.stringContaining('repository_id is "124"') });
  });

  it('of an issuer that the policy does not name is asked for no keys', async () => {
    const other = await oidcIssuer({ audience: AUDIENCE });
    try {
      const found = await federation(idp.issuer).authenticate(await other.sign(claims));
      expect(found).toEqual({ kind: 'invalid', reason: 'it is of no issuer that the trust policy names' });
      expect(other.asked.size + idp.asked.size).toBe(0);
    } finally {
      await other.close();
    }
  });

  it('cannot claim to be of a trusted issuer', async () => {
    const other = await oidcIssuer({ audience: AUDIENCE });
    try {
      const found = await federation(idp.issuer).authenticate(await other.sign({ ...claims, iss: idp.issuer }));
      expect(found).toEqual({ kind: 'invalid', reason: 'its signature does not fit' });
    } finally {
      await other.close();
    }
  });
});
