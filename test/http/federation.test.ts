import { describe, expect, it } from 'vitest';
import type { Principal } from '../../src/app/ports.ts';
import type { Federated } from '../../src/app/trust/ports.ts';
import { scopedUseCases } from '../../src/app/trust/scope.ts';
import type { Target } from '../../src/domain/plan.ts';
import { fakeUseCases, planDocument } from '../support/usecases-fake.ts';
import { harness } from './harness.ts';

const TOKEN = 'eyJhbGciOiJSUzI1NiJ9.eyJyZWYiOiJtYWluIn0.c2lnbmF0dXJl';
const bearer = { Authorization: `Bearer ${TOKEN}` };
const CI: Principal = {
  id: 'ci:github:1',
  name: 'github octo-org/shop run 123 attempt 1',
  role: 'deployer',
  kind: 'ci',
};

const answering = (found: Federated) => harness({ federation: { authenticate: async () => found } });

describe('the id token of a pipeline', () => {
  it('starts a rollout in the name of its run', async () => {
    const h = await answering({ kind: 'principal', principal: CI });
    const started = await h.call('post', '/rollouts', { as: null, headers: bearer, body: planDocument() });
    expect([started.status, started.body.createdBy]).toEqual([202, CI.name]);
    const facts = await h.call('get', `/rollouts/${started.body.id}/events`, { as: null, headers: bearer });
    expect(facts.body.items[0].actor).toBe(CI.name);
  });

  it('may no more than its role', async () => {
    const h = await answering({ kind: 'principal', principal: CI });
    const response = await h.call('post', '/rollouts/ro_1/promote', { as: null, headers: bearer, body: {} });
    expect([response.status, response.body.code]).toEqual([403, 'forbidden']);
  });

  it.each<[Federated, number, string, RegExp]>([
    [
      { kind: 'invalid', reason: 'it has expired' },
      401,
      'unauthenticated',
      /^the id token was refused: it has expired$/,
    ],
    [
      { kind: 'no_rule', reason: 'the rule "shop" does not fit: ref is "x"' },
      403,
      'forbidden',
      /^the id token is valid, but the rule "shop" does not fit: ref is "x"$/,
    ],
    [
      { kind: 'unavailable', reason: 'the issuer is away', retryAfter: 15 },
      503,
      'issuer_unavailable',
      /^the issuer is away$/,
    ],
  ])('is refused in words that do not hold it: %j', async (found, status, code, detail) => {
    const h = await answering(found);
    const response = await h.call('get', '/rollouts', { as: null, headers: bearer });
    expect([response.status, response.body.code]).toEqual([status, code]);
    expect(response.body.detail).toMatch(detail);
    expect(response.text).not.toContain('eyJ');
    if (status === 401) expect(response.headers['www-authenticate']).toContain('invalid_token');
    if (status === 503) expect(response.headers['retry-after']).toBe('15');
  });

  it('keeps nobody else out when its issuer is away', async () => {
    const h = await answering({ kind: 'unavailable', reason: 'away', retryAfter: 15 });
    expect((await h.call('get', '/rollouts')).status).toBe(200);
  });

  it('is a token that nobody has where no policy is set up', async () => {
    const h = await harness();
    const response = await h.call('get', '/rollouts', { as: null, headers: bearer });
    expect([response.status, response.body.code]).toEqual([401, 'unauthenticated']);
  });

  it('is described beside the API token', async () => {
    const h = await harness();
    const document = (await h.call('get', '/openapi.json', { as: null })).body;
    expect(document.security).toEqual([{ token: [] }, { idToken: [] }]);
    expect(document.components.securitySchemes.idToken).toMatchObject({ scheme: 'bearer', bearerFormat: 'JWT' });
  });
});

describe('a caller with a scope', () => {
  const target = planDocument()['target'] as { namespace: string; service: string };
  const open = async (scope: NonNullable<Principal['scope']>) => {
    const fake = fakeUseCases();
    const of = (t: Target) => ({
      namespace: t.namespace,
      service: t.service,
      object: (t['virtualService'] as { name: string }).name,
    });
    const usecases = scopedUseCases(fake, { sent: (document) => of((document as { target: Target }).target), of });
    const h = await harness({
      usecases,
      federation: { authenticate: async () => ({ kind: 'principal', principal: { ...CI, scope } }) },
    });
    const post = (path: string, body: object) => h.call('post', path, { as: null, headers: bearer, body });
    return { h, post };
  };

  it.each([
    [{ namespaces: [target.namespace], services: null }, true],
    [{ namespaces: null, services: [target.service] }, true],
    [{ namespaces: [target.namespace], services: [target.service] }, true],
    [{ namespaces: ['elsewhere'], services: null }, false],
    [{ namespaces: null, services: ['another'] }, false],
    [{ namespaces: [target.namespace], services: ['another'] }, false],
    [{ namespaces: [], services: null }, false],
  ])('%j changes what is within it: %s', async (scope, allowed) => {
    const { h, post } = await open(scope);
    const other = await h.started();
    for (const [path, body] of [
      ['/rollouts?dryRun=true', planDocument()],
      [`/rollouts/${other}/pause`, {}],
      [`/rollouts/${other}/resume`, {}],
      [`/rollouts/${other}/abort`, {}],
      [`/rollouts/${other}/retry`, {}],
      [`/rollouts/${other}/rollback`, {}],
      ['/rollouts', planDocument()],
    ] as const) {
      const response = await post(path, body);
      expect([path, response.status === 403]).toEqual([path, !allowed]);
      if (!allowed)
        expect(response.body.detail).toMatch(/may act only in the .*; this is \S+, by the mesh object \S+, in \S+$/);
    }
  });

  it('reads everything, as its role says', async () => {
    const { h } = await open({ namespaces: ['elsewhere'], services: null });
    const id = await h.started();
    expect((await h.call('get', `/rollouts/${id}`, { as: null, headers: bearer })).status).toBe(200);
  });
});
