import { afterEach, describe, expect, it } from 'vitest';
import { PRINCIPAL_ROLES } from '../../src/app/ports.ts';
import { CSRF_HEADER, cookieOf, SESSION_LASTS } from '../../src/http/session.ts';
import { ci, plan, started } from './story.ts';
import type { World, WorldOptions } from './world.ts';
import { pageWorld, TOKENS } from './world.ts';

const worlds: World[] = [];
afterEach(async () => {
  await Promise.all(worlds.splice(0).map((world) => world.stop()));
});
async function open(options: WorldOptions = {}): Promise<World> {
  const world = await pageWorld(options);
  worlds.push(world);
  return world;
}

type Headers = Readonly<Record<string, string>>;
const ours: Headers = { 'Sec-Fetch-Site': 'same-origin', [CSRF_HEADER]: '1' };
const json: Headers = { 'Content-Type': 'application/json' };

const post = (world: World, path: string, body: unknown, headers: Headers = ours): Promise<Response> =>
  fetch(`${world.url}${path}`, { method: 'POST', headers: { ...json, ...headers }, body: JSON.stringify(body) });

/** The Cookie header of somebody who has signed in. */
async function signedIn(world: World, token = TOKENS.admin): Promise<string> {
  const response = await post(world, '/ui/session', { token });
  expect(response.status).toBe(204);
  return (response.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
}

const session = async (world: World, cookie?: string) => {
  const response = await fetch(`${world.url}/ui/session`, cookie === undefined ? {} : { headers: { Cookie: cookie } });
  return {
    response,
    body: (await response.json()) as {
      principal: unknown;
      may: object;
      expiresAt: string | null;
      links: { prometheus: object };
    },
  };
};
const list = (world: World, headers: Headers): Promise<Response> => fetch(`${world.url}/rollouts`, { headers });
const codeOf = async (response: Response): Promise<string> => {
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  return ((await response.json()) as { code: string }).code;
};

describe('signing in', () => {
  it('answers with a cookie that scripts cannot read and other sites cannot send', async () => {
    const world = await open();
    const response = await post(world, '/ui/session', { token: TOKENS.viewer });
    const cookie = response.headers.get('set-cookie') ?? '';
    expect(cookie).toMatch(/^sluice=[\w-]+; Max-Age=43200; Path=\/; HttpOnly; SameSite=Strict$/);
    expect(cookie).not.toContain(TOKENS.viewer);
    expect(Buffer.from(cookieOf(cookie, 'sluice') ?? '', 'base64url').toString('latin1')).not.toContain('slc_');
  });

  it('is held to TLS and to this very host where the public URL is https', async () => {
    const world = await open({ publicUrl: 'https://sluice.example.com' });
    const response = await post(world, '/ui/session', { token: TOKENS.viewer });
    expect(response.headers.get('set-cookie')).toMatch(
      /^__Host-sluice=[\w-]+; Max-Age=43200; Path=\/; HttpOnly; SameSite=Strict; Secure$/,
    );
  });

  it.each([
    ['a token that nobody has', { token: 'slc_nobody_0123456789' }, 401, 'unauthenticated'],
    ['a token of another maker', { token: 'ghp_0123456789' }, 401, 'unauthenticated'],
    ['no token', {}, 422, 'invalid_body'],
    ['a field that is not known', { token: TOKENS.admin, role: 'admin' }, 422, 'invalid_body'],
    ['a list', [TOKENS.admin], 422, 'invalid_body'],
  ])('is refused with %s, and no cookie', async (_, body, status, code) => {
    const world = await open();
    const response = await post(world, '/ui/session', body);
    expect([response.status, await codeOf(response), response.headers.get('set-cookie')]).toEqual([status, code, null]);
  });

  it('is refused to other sites: nobody is signed in as somebody else without noticing', async () => {
    const world = await open();
    const response = await post(world, '/ui/session', { token: TOKENS.admin }, { 'Sec-Fetch-Site': 'cross-site' });
    expect([response.status, await codeOf(response)]).toEqual([403, 'cross_site']);
  });
});

describe('a session', () => {
  it.each(PRINCIPAL_ROLES)('says who is signed in as %s and what they may do', async (role) => {
    const world = await open();
    const { response, body } = await session(world, await signedIn(world, TOKENS[role]));
    expect(body.principal).toEqual({ name: `token ana-${role}`, role, persons: [], groups: [], scope: null });
    expect(body.may).toEqual({
      start: role === 'deployer' || role === 'admin',
      pause: role !== 'viewer',
      promote: role === 'approver' || role === 'admin',
      abort: role !== 'viewer',
      giveUp: role === 'admin',
      audit: role === 'admin',
    });
    expect(response.headers.get('cache-control')).toBe('no-store');
  });

  it('tells strangers nothing', async () => {
    const { body } = await session(await open());
    expect(body).toMatchObject({
      principal: null,
      expiresAt: null,
      version: null,
      links: { prometheus: {} },
    });
    expect(Object.values(body.may)).toEqual([false, false, false, false, false, false]);
  });

  it('is as good as the token for every call, and less: a viewer stays a viewer', async () => {
    const world = await open();
    const id = await started(world.fake, plan('checkout'));
    const cookie = await signedIn(world, TOKENS.viewer);
    expect((await list(world, { Cookie: cookie })).status).toBe(200);
    const response = await post(world, `/rollouts/${id}/abort`, {}, { ...ours, Cookie: cookie });
    expect([response.status, await codeOf(response)]).toEqual([403, 'forbidden']);
  });

  it('ends at once when its token is revoked', async () => {
    const world = await open();
    const cookie = await signedIn(world);
    world.revoked.add(TOKENS.admin);
    expect((await list(world, { Cookie: cookie })).status).toBe(401);
    const { response, body } = await session(world, cookie);
    expect(body.principal).toBeNull();
    expect(response.headers.get('set-cookie')).toContain('Max-Age=0');
  });

  it('ends after a working day, whatever the browser thinks', async () => {
    let now = Date.now();
    const world = await open({ now: () => now });
    const cookie = await signedIn(world);
    now += SESSION_LASTS - 1;
    expect((await list(world, { Cookie: cookie })).status).toBe(200);
    now += 1;
    expect((await list(world, { Cookie: cookie })).status).toBe(401);
  });

  it('ends in this browser by signing out', async () => {
    const world = await open();
    const cookie = await signedIn(world);
    const response = await fetch(`${world.url}/ui/session`, { method: 'DELETE', headers: { ...ours, Cookie: cookie } });
    expect(response.headers.get('set-cookie')).toMatch(/^sluice=; Max-Age=0;/);
  });

  it('is known to every process with the same key, and to no other', async () => {
    const [one, same, other] = await Promise.all([
      open(),
      open(),
      open({ key: 'another key, also of more than 32 characters' }),
    ]);
    const cookie = await signedIn(one);
    expect((await list(same, { Cookie: cookie })).status).toBe(200);
    expect((await list(other, { Cookie: cookie })).status).toBe(401);
  });

  it('is void when a single character of it was changed', async () => {
    const world = await open();
    const cookie = await signedIn(world);
    for (let at = 'sluice='.length; at < cookie.length; at += 7) {
      const changed = cookie[at] === 'A' ? 'B' : 'A';
      const forged = `${cookie.slice(0, at)}${changed}${cookie.slice(at + 1)}`;
      expect([at, (await list(world, { Cookie: forged })).status]).toEqual([at, 401]);
    }
    for (const garbage of ['sluice=', 'sluice=AAAA', `sluice=${'A'.repeat(3000)}`, 'sluice=%00'])
      expect((await list(world, { Cookie: garbage })).status).toBe(401);
  });

  it('does not count where an Authorization header is sent: a program says who it is', async () => {
    const world = await open();
    const cookie = await signedIn(world);
    expect((await list(world, { Cookie: cookie, Authorization: 'Bearer slc_nobody_0123456789' })).status).toBe(401);
    const id = await started(world.fake, plan('checkout'));
    const response = await post(
      world,
      `/rollouts/${id}/abort`,
      {},
      { Cookie: cookie, Authorization: `Bearer ${TOKENS.deployer}` },
    );
    expect(response.status).toBe(202);
  });
});

describe('a request that changes something, with the cookie', () => {
  const own = (world: World): string => new URL(world.url).host;

  it.each<[string, (world: World) => Headers, number]>([
    ['from the page', () => ours, 202],
    [
      'from the page in a browser that says only Origin',
      (w) => ({ Origin: `http://${own(w)}`, [CSRF_HEADER]: '1' }),
      202,
    ],
    ['without the header', () => ({ 'Sec-Fetch-Site': 'same-origin' }), 403],
    ['with another value of the header', () => ({ 'Sec-Fetch-Site': 'same-origin', [CSRF_HEADER]: '0' }), 403],
    ['from another site', () => ({ ...ours, 'Sec-Fetch-Site': 'cross-site' }), 403],
    ['from another host of the site', () => ({ ...ours, 'Sec-Fetch-Site': 'same-site' }), 403],
    ['typed into the address bar', () => ({ ...ours, 'Sec-Fetch-Site': 'none' }), 403],
    ['from another port', () => ({ Origin: 'http://127.0.0.1:1', [CSRF_HEADER]: '1' }), 403],
    ['from an opaque origin', () => ({ Origin: 'null', [CSRF_HEADER]: '1' }), 403],
    ['that says nothing of where it comes from', () => ({ [CSRF_HEADER]: '1' }), 403],
    [
      'with the right origin that another header denies',
      (w) => ({ Origin: `http://${own(w)}`, ...ours, 'Sec-Fetch-Site': 'cross-site' }),
      403,
    ],
  ])('%s', async (_, headers, status) => {
    const world = await open();
    const id = await started(world.fake, plan('checkout'));
    const response = await post(
      world,
      `/rollouts/${id}/abort`,
      {},
      { ...headers(world), Cookie: await signedIn(world) },
    );
    expect(response.status).toBe(status);
    if (status === 403) expect(await codeOf(response)).toBe('cross_site');
    const rollout = await world.fake.get(id);
    expect(rollout?.phase.name === 'ended').toBe(status === 202);
  });

  it('may come by the public URL, whatever the proxy makes of Host', async () => {
    const world = await open({ publicUrl: 'https://sluice.example.com/' });
    const cookie = await signedIn(world);
    const id = await started(world.fake, plan('checkout'), ci);
    const headers = { Origin: 'https://sluice.example.com', [CSRF_HEADER]: '1', Cookie: cookie };
    expect((await post(world, `/rollouts/${id}/abort`, {}, headers)).status).toBe(202);
  });
});

describe('a cookie', () => {
  it.each([
    ['a=1; sluice=x; b=2', 'x'],
    ['sluice=x', 'x'],
    ['xsluice=y; sluice=x', 'x'],
    ['sluice=x; sluice=y', 'x'],
    ['sluice', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('of %j is %j', (header, value) => {
    expect(cookieOf(header, 'sluice')).toBe(value);
  });
});

describe('the audit', () => {
  const kept = (world: World) =>
    world.fake.audit.rows.map(({ action, outcome, code, actor, via }) => [action, outcome, code, actor, via]);

  it('has who signed in and out, who was refused, and no token', async () => {
    const world = await open();
    const cookie = await signedIn(world);
    await post(world, '/ui/session', { token: 'slc_nobody_0123456789' });
    await post(world, '/ui/session', { token: TOKENS.admin }, { 'Sec-Fetch-Site': 'cross-site' });
    const leave = (headers: Headers) => fetch(`${world.url}/ui/session`, { method: 'DELETE', headers });
    expect((await leave({ ...ours, Cookie: cookie })).status).toBe(204);
    await leave(ours);
    await leave({ 'Sec-Fetch-Site': 'cross-site', Cookie: cookie });
    expect(kept(world)).toEqual([
      ['session.login', 'done', null, 'token ana-admin', 'page'],
      ['session.login', 'refused', 'unauthenticated', 'anonymous', 'page'],
      ['session.login', 'refused', 'cross_site', 'anonymous', 'page'],
      ['session.logout', 'done', null, 'token ana-admin', 'page'],
      ['session.logout', 'refused', 'cross_site', 'anonymous', 'page'],
    ]);
    expect(JSON.stringify(world.fake.audit.rows)).not.toContain('slc_');
  });

  it('tells what was done by the page, and what another site tried with its cookie', async () => {
    const world = await open();
    const cookie = await signedIn(world);
    const made = await post(world, '/rollouts', plan('carts'), { ...ours, Cookie: cookie });
    expect(made.status).toBe(202);
    await post(world, '/rollouts/ro_1/pause', {}, { 'Sec-Fetch-Site': 'cross-site', Cookie: cookie });
    expect(kept(world).slice(1)).toEqual([
      ['rollout.start', 'done', null, 'token ana-admin', 'page'],
      ['rollout.pause', 'refused', 'cross_site', 'anonymous', 'page'],
    ]);
  });
});
