/** Signing in by an OpenID provider: the two halves over HTTP, what may go wrong or be forged, and the whole of it in Chromium. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PrincipalRole } from '../../src/app/ports.ts';
import { type OidcIssuer, oidcIssuer } from '../support/oidc-issuer.ts';
import { violations, visits } from './visits.ts';
import type { World, WorldOptions } from './world.ts';
import { CLIENT_ID, pageWorld, TOKENS } from './world.ts';

let idp: OidcIssuer;
const worlds: World[] = [];
beforeEach(async () => {
  idp = await oidcIssuer({ audience: CLIENT_ID, clientSecret: 'top/secret of+ours' });
});
afterEach(async () => {
  await Promise.all(worlds.splice(0).map((world) => world.stop()));
  await idp.close();
});
const signOn = { clientSecret: 'top/secret of+ours' };
async function open(options: WorldOptions = {}): Promise<World> {
  const world = await pageWorld({ signOn: { idp, ...signOn }, ...options });
  worlds.push(world);
  return world;
}

type Cookies = Map<string, string>;
/** One request of a browser that follows nothing by itself. */
async function go(url: string, jar: Cookies = new Map(), headers: Record<string, string> = {}) {
  const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
  const response = await fetch(url, {
    redirect: 'manual',
    headers: { ...(cookie === '' ? {} : { cookie }), ...headers },
  });
  for (const set of response.headers.getSetCookie()) {
    const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(set) ?? [];
    if (/Max-Age=0/.test(set)) jar.delete(name);
    else jar.set(name, value);
  }
  return {
    status: response.status,
    to: response.headers.get('location') ?? '',
    cookies: response.headers.getSetCookie(),
  };
}

/** Through the provider and back to our door; not yet in. */
async function answered(world: World, jar: Cookies, next = '/ui/history'): Promise<URL> {
  const begun = await go(`${world.url}/login/oidc?next=${encodeURIComponent(next)}`, jar);
  return new URL((await go(begun.to)).to);
}
const who = async (world: World, jar: Cookies) => {
  const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
  const response = await fetch(`${world.url}/ui/session`, { headers: { cookie } });
  return (await response.json()) as {
    principal: { name: string; role: PrincipalRole } | null;
    expiresAt: string | null;
  };
};

describe('signing in', () => {
  it('sends the browser to the provider with PKCE, state and nonce, and keeps them where scripts cannot read', async () => {
    const world = await open();
    const begun = await go(`${world.url}/login/oidc`);
    const url = new URL(begun.to);
    expect(begun.status).toBe(303);
    expect(`${url.origin}${url.pathname}`).toBe(`${idp.issuer}/authorize`);
    expect(Object.fromEntries(url.searchParams)).toEqual({
      response_type: 'code',
      client_id: CLIENT_ID,
      redirect_uri: `${world.url}/login/oidc/callback`,
      scope: 'openid profile email',
      state: expect.stringMatching(/^[\w-]{43}$/),
      nonce: expect.stringMatching(/^[\w-]{43}$/),
      code_challenge: expect.stringMatching(/^[\w-]{43}$/),
      code_challenge_method: 'S256',
    });
    expect(begun.cookies).toEqual([
      expect.stringMatching(/^sluice-login=[\w-]+; Max-Age=600; Path=\/; HttpOnly; SameSite=Lax$/),
    ]);
  });

  it('ends with the same cookie as a token does, and where one wanted to go', async () => {
    const world = await open();
    const jar: Cookies = new Map();
    const back = await answered(world, jar);
    const entered = await go(back.href, jar);
    expect([entered.status, entered.to]).toEqual([303, '/ui/history']);
    expect(entered.cookies).toEqual([
      'sluice-login=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax',
      expect.stringMatching(/^sluice=[\w-]+; Max-Age=28800; Path=\/; HttpOnly; SameSite=Strict$/),
    ]);
    expect(await who(world, jar)).toMatchObject({ principal: { name: 'user ana@example.com', role: 'approver' } });
    const list = await fetch(`${world.url}/rollouts`, { headers: { cookie: `sluice=${jar.get('sluice')}` } });
    expect(list.status).toBe(200);
  });

  it('works with several processes: nothing is kept between the halves', async () => {
    const first = await open();
    const second = await open({ publicUrl: first.url });
    const jar: Cookies = new Map();
    const back = await answered(first, jar);
    back.port = new URL(second.url).port;
    expect((await go(back.href, jar)).to).toBe('/ui/history');
    expect((await who(first, jar)).principal?.role).toBe('approver');
  });

  it('works with a public client, and with a provider that wants the secret in the form', async () => {
    const other = await oidcIssuer({ audience: CLIENT_ID });
    try {
      for (const [provider, clientSecret] of [
        [other, null],
        [idp, signOn.clientSecret],
      ] as const) {
        idp.discovery = { token_endpoint_auth_methods_supported: ['client_secret_post'] };
        const world = await open({ signOn: { idp: provider, clientSecret } });
        const jar: Cookies = new Map();
        expect((await go((await answered(world, jar)).href, jar)).to).toBe('/ui/history');
      }
    } finally {
      await other.close();
    }
  });

  it('is held to TLS where the public URL is https', async () => {
    const world = await open({ publicUrl: 'https://sluice.example.com' });
    const begun = await go(`${world.url}/login/oidc`);
    expect(begun.cookies[0]).toMatch(
      /^__Host-sluice-login=[\w-]+; Max-Age=600; Path=\/; HttpOnly; SameSite=Lax; Secure$/,
    );
    expect(new URL(begun.to).searchParams.get('redirect_uri')).toBe('https://sluice.example.com/login/oidc/callback');
  });

  it.each([
    'https://evil.example.com/',
    '//evil.example.com/ui/',
    '/\\evil.example.com',
    '/ui/\\evil.example.com',
    '/ui/\r\nSet-Cookie: sluice=x',
    'javascript:alert(1)',
    '/ui/login?trouble=lost',
    '/rollouts',
    '',
  ])('leads nowhere but to the page: not to %j', async (next) => {
    const world = await open();
    const jar: Cookies = new Map();
    expect((await go((await answered(world, jar, next)).href, jar)).to).toBe('/ui/');
  });

  it('is not begun by another site', async () => {
    const world = await open();
    const jar: Cookies = new Map();
    const begun = await go(`${world.url}/login/oidc?next=/ui/plan`, jar, { 'Sec-Fetch-Site': 'cross-site' });
    expect([begun.to, jar.size]).toEqual(['/ui/login?next=%2Fui%2Fplan', 0]);
  });
});

describe('an answer', () => {
  const refused = async (world: World, url: URL | string, jar: Cookies, trouble: string) => {
    const result = await go(String(url), jar);
    expect([result.status, result.to]).toEqual([303, `/ui/login?trouble=${trouble}`]);
    expect(jar.has('sluice')).toBe(false);
    expect((await who(world, jar)).principal).toBeNull();
  };

  it('that nobody here has asked for signs nobody in', async () => {
    const world = await open();
    const attackers: Cookies = new Map();
    const theirs = await answered(world, attackers);
    await refused(world, theirs, new Map(), 'lost');
    const victims: Cookies = new Map();
    await answered(world, victims);
    await refused(world, theirs, victims, 'lost');
  });

  it.each(['', 'x', 'state'])('with the state %j is not ours', async (state) => {
    const world = await open();
    const jar: Cookies = new Map();
    const back = await answered(world, jar);
    back.searchParams.set('state', state);
    await refused(world, back, jar, 'lost');
  });

  it('with two states is not ours', async () => {
    const world = await open();
    const jar: Cookies = new Map();
    const back = await answered(world, jar);
    back.searchParams.append('state', 'x');
    await refused(world, back, jar, 'lost');
  });

  it('is good once', async () => {
    const world = await open();
    const jar: Cookies = new Map();
    const back = await answered(world, jar);
    const kept = new Map(jar);
    expect((await go(back.href, jar)).to).toBe('/ui/history');
    await refused(world, back, new Map(), 'lost');
    await refused(world, back, kept, 'refused');
  });

  it('is brought to the provider only so often', async () => {
    const world = await open();
    const jar: Cookies = new Map();
    const back = await answered(world, jar);
    back.searchParams.set('code', 'guessed');
    const results = await Promise.all(Array.from({ length: 100 }, () => go(back.href, new Map(jar))));
    const brought = results.filter(({ to }) => to === '/ui/login?trouble=refused').length;
    expect(brought).toBe(idp.asked.get('/token'));
    expect(brought).toBeLessThan(100);
    expect(results.filter(({ to }) => to === '/ui/login?trouble=unavailable')).toHaveLength(100 - brought);
  });

  it('comes within ten minutes', async () => {
    let time = Date.now();
    const world = await open({ now: () => time });
    const jar: Cookies = new Map();
    const back = await answered(world, jar);
    time += 600_001;
    await refused(world, back, jar, 'lost');
  });

  it('with a cookie that was changed is not ours', async () => {
    const world = await open();
    const jar: Cookies = new Map();
    const back = await answered(world, jar);
    const sealed = jar.get('sluice-login') ?? '';
    jar.set('sluice-login', `${sealed.slice(0, -2)}${sealed.endsWith('AA') ? 'BB' : 'AA'}`);
    await refused(world, back, jar, 'lost');
  });

  it('with the session of a token for its cookie is not ours: each is sealed for its purpose', async () => {
    const world = await open();
    const response = await fetch(`${world.url}/ui/session`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Sec-Fetch-Site': 'same-origin', 'X-Sluice-CSRF': '1' },
      body: JSON.stringify({ token: TOKENS.admin }),
    });
    const session = /^sluice=([^;]+)/.exec(response.headers.get('set-cookie') ?? '')?.[1] ?? '';
    const jar: Cookies = new Map();
    const back = await answered(world, jar);
    jar.set('sluice-login', session);
    await refused(world, back, jar, 'lost');
  });

  it('of another issuer is refused (mix-up)', async () => {
    const world = await open();
    const jar: Cookies = new Map();
    const back = await answered(world, jar);
    back.searchParams.set('iss', 'https://evil.example.com');
    await refused(world, back, jar, 'refused');
    expect(idp.asked.get('/token')).toBeUndefined();
  });

  it.each<[string, (provider: OidcIssuer) => void, string]>([
    ['that declines', (p) => (p.declines = 'access_denied'), 'declined'],
    ['with another nonce', (p) => (p.forged = { nonce: 'another' }), 'refused'],
    ['without a nonce', (p) => (p.forged = { nonce: undefined }), 'refused'],
    ['for another client', (p) => (p.forged = { aud: 'another' }), 'refused'],
    [
      'for us and given to another client',
      (p) => (p.forged = { aud: [CLIENT_ID, 'another'], azp: 'another' }),
      'refused',
    ],
    ['of another issuer within', (p) => (p.forged = { iss: 'https://evil.example.com' }), 'refused'],
    ['that has expired', (p) => (p.forged = { exp: 1_000 }), 'refused'],
    ['of somebody without a role', (p) => (p.claims = { sub: 'u-2', groups: ['sales'] }), 'no_role'],
    ['whose code is refused', (p) => void p.broken.set('/token', 400), 'refused'],
    ['of a provider that breaks', (p) => void p.broken.set('/token', 502), 'unavailable'],
    ['whose keys cannot be had', (p) => void p.broken.set('/keys', 500), 'unavailable'],
  ])('%s signs nobody in', async (_, breakIt, trouble) => {
    const world = await open();
    breakIt(idp);
    const jar: Cookies = new Map();
    await refused(world, await answered(world, jar), jar, trouble);
  });
});

describe('a session', () => {
  async function signedIn(world: World): Promise<Cookies> {
    const jar: Cookies = new Map();
    await go((await answered(world, jar)).href, jar);
    return jar;
  }

  it('ends at its time', async () => {
    let time = Date.now();
    const world = await open({ now: () => time, signOn: { idp, ...signOn, trust: { session: 600_000 } } });
    const jar = await signedIn(world);
    expect((await who(world, jar)).principal?.role).toBe('approver');
    time += 600_001;
    expect((await who(world, jar)).principal).toBeNull();
  });

  it('ends with the role that the policy gave', async () => {
    const jar = await signedIn(await open());
    const later = await open({
      signOn: { idp, ...signOn, trust: { roles: [{ group: 'platform', role: 'admin', scope: null }] } },
    });
    expect((await who(later, jar)).principal).toBeNull();
  });

  it('ends by signing out, and changes nothing for other sites', async () => {
    const world = await open();
    const jar = await signedIn(world);
    const cookie = `sluice=${jar.get('sluice')}`;
    const pause = await fetch(`${world.url}/rollouts/ro_1/pause`, {
      method: 'POST',
      headers: { cookie, 'Sec-Fetch-Site': 'cross-site', 'X-Sluice-CSRF': '1' },
    });
    expect(pause.status).toBe(403);
    const left = await fetch(`${world.url}/ui/session`, {
      method: 'DELETE',
      headers: { cookie, 'Sec-Fetch-Site': 'same-origin', 'X-Sluice-CSRF': '1' },
    });
    expect([left.status, left.headers.get('set-cookie')]).toEqual([204, expect.stringMatching(/^sluice=; Max-Age=0/)]);
  });

  it('is in the audit, and so is who was refused', async () => {
    const world = await open();
    await signedIn(world);
    idp.claims = { sub: 'u-2', groups: [] };
    await signedIn(world);
    await go(`${world.url}/login/oidc/callback?state=x&code=y`);
    expect(
      world.fake.audit.rows.map(({ action, outcome, code, actor, via }) => [action, outcome, code, actor, via]),
    ).toEqual([
      ['session.login', 'done', null, 'user ana@example.com', 'page'],
      ['session.login', 'refused', 'forbidden', 'anonymous', 'page'],
      ['session.login', 'refused', 'unauthenticated', 'anonymous', 'page'],
    ]);
  });

  it('by token goes on while the provider is away', async () => {
    idp.broken.set('/.well-known/openid-configuration', 'hang');
    const world = await open();
    const response = await fetch(`${world.url}/rollouts`, { headers: { Authorization: `Bearer ${TOKENS.viewer}` } });
    expect(response.status).toBe(200);
  });
});

describe('in a browser', () => {
  const v = visits();

  it('the button is there only where there is a provider', async () => {
    const page = await v.see(v.world);
    await page.goto('/ui/login');
    await page.getByLabel('API token').waitFor();
    expect(await page.getByRole('link', { name: /Sign in with/ }).count()).toBe(0);
  });

  it('one click leads in, to where one wanted to go, and out again', async () => {
    const world = await open();
    const page = await v.see(world);
    await page.goto('/ui/history');
    await page.getByRole('link', { name: 'Sign in with Example' }).click();
    await page.getByRole('button', { name: 'Sign out' }).waitFor();
    await page.getByText('user ana@example.com').first().waitFor();
    expect(page.url()).toBe(`${world.url}/ui/history`);
    expect(await page.evaluate('document.cookie')).toBe('');
    await page.reload();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('link', { name: 'Sign in with Example' }).waitFor();
    await page.goto('/ui/');
    await page.getByLabel('API token').waitFor();
  });

  it('the command line is signed in only after a question that says what would happen, and never by the link alone', async () => {
    const world = await open();
    const heard: string[] = [];
    const loopback = createServer((req, res) => {
      heard.push(req.url ?? '');
      res.end('closed');
    });
    await new Promise<void>((resolve) => loopback.listen(0, '127.0.0.1', resolve));
    const port = String((loopback.address() as AddressInfo).port);
    const asked = new URLSearchParams({ port, challenge: 'a'.repeat(43), state: 'b'.repeat(43) });
    const page = await v.see(world);
    await page.goto(`/login/cli?${asked}`);
    await page.getByRole('link', { name: 'Sign in with Example' }).click();
    await page.getByRole('heading', { name: 'Sign in the command line?' }).waitFor();
    const words = await page.locator('#main').innerText();
    for (const part of [port, 'user ana@example.com', 'role approver', 'sluice login --oidc'])
      expect(words).toContain(part);
    expect(await violations(page)).toEqual([]);
    expect(heard).toEqual([]);
    await page.getByRole('button', { name: 'Sign in the command line' }).click();
    await page.waitForURL(`http://127.0.0.1:${port}/**`);
    expect(heard[0]).toMatch(/^\/\?code=[\w-]{43}&state=b{43}$/);
    await page.goto(`${world.url}/ui/cli?${asked}`);
    await page.getByRole('button', { name: 'No, I did not ask for this' }).click();
    await page.waitForURL(`http://127.0.0.1:${port}/**`);
    expect(heard.filter((path) => path.startsWith('/?')).at(-1)).toBe(`/?error=access_denied&state=${'b'.repeat(43)}`);
    await new Promise((resolve) => {
      loopback.close(resolve);
      loopback.closeAllConnections();
    });
  });

  it('trouble is told, and nothing keeps people out that axe knows of', async () => {
    idp.claims = { sub: 'u-2', groups: [] };
    const page = await v.see(await open());
    await page.goto('/ui/login');
    await page.getByRole('link', { name: 'Sign in with Example' }).click();
    await page.getByRole('alert').getByText('none of your groups has a role here').waitFor();
    expect(await violations(page)).toEqual([]);
    await page.goto('/ui/login?trouble=<script>');
    await page.getByLabel('API token').waitFor();
    expect(await page.getByRole('alert').count()).toBe(0);
  });
});
