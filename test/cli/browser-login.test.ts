/** `sluice login --oidc` as a real process, against the whole application over real Postgres and a provider of people. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import request from 'supertest';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Trust } from '../../src/app/trust/trust.ts';
import { application } from '../../src/application.ts';
import { openerOf } from '../../src/cli/browser-login.ts';
import { serverOf } from '../../src/cli/settings.ts';
import { NOTHING_JOINED } from '../../src/domain/person.ts';
import { EXCHANGES_OF_ONE } from '../../src/http/exchanges.ts';
import { type Composed, composed } from '../support/composed.ts';
import { type OidcIssuer, oidcIssuer } from '../support/oidc-issuer.ts';
import { quietLog } from '../support/quiet.ts';
import { begin, type Running, sluice } from './support.ts';

const CLIENT = 'sluice';
const SESSION = 3_600_000;
let idp: OidcIssuer;
let world: Composed;
let app: ReturnType<typeof application>;
const server = createServer((req, res) => app(req, res));
let url: string;
let dir: string;

const trustBy = (issuer: string): Trust & { clientSecret: null } => ({
  login: {
    issuer,
    clientId: CLIENT,
    label: 'Example',
    scopes: ['openid'],
    groupsClaim: 'groups',
    persons: ['{email}'],
    trustUnverifiedEmail: false,
    session: SESSION,
    roles: [{ group: 'sre', role: 'approver', scope: null }],
  },
  ci: null,
  identities: NOTHING_JOINED,
  clientSecret: null,
});

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  idp = await oidcIssuer({ audience: CLIENT });
  world = await composed(
    (path, body) => request(server).post(path).set('Authorization', `Bearer ${world.tokens.admin}`).send(body),
    { publicUrl: url, trust: trustBy(idp.issuer) },
  );
  const sessionKey = 'a key for tests, long enough for all of them';
  const config = { slack: null, trustedProxies: [], metricsOpen: false, publicUrl: url, sessionKey, clusters: [] };
  app = application('all', config, world.service, quietLog);
});
afterAll(async () => {
  await new Promise((resolve) => server.close(resolve));
  await world?.close();
  await idp?.close();
});
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sluice-browser-login-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const env = () => ({ XDG_CONFIG_HOME: dir });
const login = (...more: string[]): Running => begin(null, ['login', url, '--oidc', ...more], { as: null, env: env() });
const run = (...args: string[]) => sluice(null, args, { as: null, env: env() });
const stored = () => JSON.parse(readFileSync(join(dir, 'sluice/config.yaml'), 'utf8').replaceAll(/^#.*$/gm, ''));

/** Where the command leads the browser. */
async function address(running: Running): Promise<URL> {
  let said = '';
  running.child.stderr?.on('data', (chunk) => {
    said += chunk;
  });
  await running.said('It asks whether');
  const found = /http\S+\/login\/cli\?\S+/.exec(said)?.[0];
  if (found === undefined) throw new Error(`no address in ${said}`);
  return new URL(found);
}

type Jar = Map<string, string>;
async function go(to: string | URL, jar: Jar, init: RequestInit = {}): Promise<Response> {
  const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
  const headers = { ...(init.headers as Record<string, string>), ...(cookie === '' ? {} : { cookie }) };
  const response = await fetch(to, { redirect: 'manual', ...init, headers });
  for (const set of response.headers.getSetCookie()) {
    const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(set) ?? [];
    if (value === '') jar.delete(name);
    else jar.set(name, value);
  }
  return response;
}
const leadsTo = (response: Response): string => response.headers.get('location') ?? '';

/** Through the provider, until the page's session is there. */
async function signedIn(next: string): Promise<Jar> {
  const jar: Jar = new Map();
  const begun = await go(`${url}/login/oidc?next=${encodeURIComponent(next)}`, jar);
  const answered = await go(leadsTo(begun), new Map());
  const entered = await go(leadsTo(answered), jar);
  expect(leadsTo(entered)).toBe(next);
  return jar;
}

const OURS = { 'Sec-Fetch-Site': 'same-origin', 'X-Sluice-CSRF': '1', 'Content-Type': 'application/json' };
const ask = (jar: Jar, body: object, headers: Record<string, string> = OURS) =>
  go(`${url}/login/cli`, jar, { method: 'POST', headers, body: JSON.stringify(body) });

/** What the page does when somebody says yes, or no: where it would lead the browser. */
async function said(running: Running, allow: boolean): Promise<URL> {
  const at = await address(running);
  const page = leadsTo(await go(at, new Map()));
  expect(page).toMatch(/^\/ui\/cli\?/);
  const jar = await signedIn(page);
  const answer = await ask(jar, { ...Object.fromEntries(new URL(page, url).searchParams), allow });
  expect(answer.status).toBe(200);
  return new URL(((await answer.json()) as { location: string }).location);
}

const audit = async () =>
  (await world.service.audit.list({}, 'newest', 1, null)).items.map(({ action, outcome, code, actor, via }) => [
    action,
    outcome,
    code,
    actor,
    via,
  ]);

describe('sluice login --oidc', () => {
  it('signs in as whoever said yes in the browser, for as long as that session lasts, and every command uses it', async () => {
    const running = login();
    const back = await said(running, true);
    expect([back.hostname, back.pathname]).toEqual(['127.0.0.1', '/']);
    const closing = await fetch(back);
    expect([closing.status, await closing.text()]).toEqual([200, expect.stringContaining('is signed in')]);
    const ended = await running.ended;
    expect([ended.code, ended.stdout]).toEqual([
      0,
      expect.stringMatching(/Signed in as user ana@example\.com \(role approver\) until \d{4}-\d\d-\d\d \d\d:\d\d/),
    ]);
    expect(await audit()).toEqual([['session.login', 'done', null, 'user ana@example.com', 'cli']]);

    const { contexts } = stored();
    expect(statSync(join(dir, 'sluice/config.yaml')).mode & 0o777).toBe(0o600);
    expect(contexts.default).toMatchObject({ url: `${url}/`, token: expect.stringMatching(/^slc_session_/) });
    const left = Date.parse(contexts.default.expiresAt) - Date.now();
    expect(left).toBeLessThanOrEqual(SESSION);
    expect(left).toBeGreaterThan(SESSION - 300_000);
    for (const secret of [contexts.default.token, back.searchParams.get('code') ?? '?'])
      expect(`${ended.stdout}${ended.stderr}`).not.toContain(secret);

    expect((await run('list')).code).toBe(0);
    const refused = await run('audit', 'list');
    expect([refused.code, refused.stderr]).toEqual([8, expect.stringContaining('user ana@example.com')]);
    expect((await run('contexts')).stdout).toContain(contexts.default.expiresAt.slice(0, 4));
    expect((await run('logout')).stdout).toContain('may use it until');
  });

  it('says that the session has ended, and sends nothing, once it has', async () => {
    const running = login('--context', 'prod');
    await fetch(await said(running, true));
    await running.ended;
    const { contexts } = stored();
    const old = { ...contexts.prod, expiresAt: '2020-01-31T12:00:00.000Z' };
    writeFileSync(join(dir, 'sluice/config.yaml'), JSON.stringify({ current: 'prod', contexts: { prod: old } }));
    const { code, stderr } = await run('list');
    expect([code, stderr]).toEqual([8, expect.stringContaining('the session of context prod has ended at 2020-01-31')]);
    expect(stderr).toContain(`sluice login --oidc ${url}/ --context prod`);
    expect((await run('contexts')).stdout).toContain('ended at 2020-01-31');
    // A token beside it is somebody's own business.
    const token = { SLUICE_TOKEN: world.tokens.viewer };
    await expect(serverOf({}, { XDG_CONFIG_HOME: dir, ...token })).resolves.toMatchObject({
      token: world.tokens.viewer,
    });
  });

  it('stores nothing where somebody says no', async () => {
    const running = login();
    const back = await said(running, false);
    expect(back.searchParams.get('error')).toBe('access_denied');
    await fetch(back);
    const { code, stderr } = await running.ended;
    expect([code, stderr]).toEqual([8, expect.stringContaining('declined')]);
    expect(() => stored()).toThrow();
  });

  it('hears only what holds its state, and that once', async () => {
    const running = login();
    const back = await said(running, true);
    for (const [path, state] of [
      ['/', 'x'],
      ['/', ''],
      ['/other', back.searchParams.get('state') ?? ''],
    ] as const) {
      const forged = new URL(back);
      forged.pathname = path;
      forged.searchParams.set('state', state);
      expect((await fetch(forged)).status).toBe(404);
    }
    await fetch(back);
    expect((await running.ended).code).toBe(0);
    await expect(fetch(back)).rejects.toThrow();
  });

  it('opens nothing where there is no display, or where it is told not to', async () => {
    expect(openerOf('linux', {})).toBeNull();
    expect(openerOf('linux', { WAYLAND_DISPLAY: 'wayland-0' })).toEqual(['xdg-open']);
    expect(openerOf('darwin', {})).toEqual(['open']);
    const running = begin(null, ['login', url, '--oidc', '--no-browser'], {
      as: null,
      env: { ...env(), DISPLAY: ':0' },
    });
    await running.said('Open this address in a browser on this computer:');
    const beside = await run('login', url, '--no-browser');
    expect([beside.code, beside.stderr]).toEqual([2, expect.stringContaining('is for --oidc')]);
  });

  it('says so where the server has no provider', async () => {
    const whole = app;
    const config = {
      slack: null,
      trustedProxies: [],
      metricsOpen: false,
      publicUrl: url,
      sessionKey: null,
      clusters: [],
    };
    app = application('all', config, { ...world.service, signOn: null }, quietLog);
    const { code, stderr } = await run('login', url, '--oidc');
    app = whole;
    expect([code, stderr]).toEqual([13, expect.stringContaining('has no OpenID provider')]);
  });
});

describe('the server', () => {
  const verifier = randomBytes(32).toString('base64url');
  const challenge = createHash('sha256').update(verifier).digest('base64url');
  const asked = { port: '45678', host: '127.0.0.1', challenge, state: 'a'.repeat(43) };
  const codeFor = async (jar: Jar): Promise<string> => {
    const { location } = (await (await ask(jar, { ...asked, allow: true })).json()) as { location: string };
    return new URL(location).searchParams.get('code') ?? '';
  };
  const bring = (body: object) =>
    fetch(`${url}/login/cli/token`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'User-Agent': 'sluice-cli/0.1.0' },
      body: JSON.stringify(body),
    });
  const problem = async (response: Response) => {
    const { code } = (await response.json()) as { code: string };
    return [response.status, response.headers.get('content-type'), code];
  };
  const UNAUTHENTICATED = [401, 'application/problem+json', 'unauthenticated'];

  it('takes a code once, and only with what its challenge was made of', async () => {
    const jar = await signedIn('/ui/');
    const code = await codeFor(jar);
    const first = await bring({ code, verifier });
    expect([first.status, first.headers.get('cache-control')]).toEqual([200, 'no-store']);
    expect(await problem(await bring({ code, verifier }))).toEqual(UNAUTHENTICATED);
    expect(await audit()).toEqual([['session.login', 'refused', 'unauthenticated', 'anonymous', 'cli']]);

    const other = await codeFor(jar);
    expect(await problem(await bring({ code: other, verifier: 'b'.repeat(43) }))).toEqual(UNAUTHENTICATED);
    // Whoever guessed has used it up.
    expect(await problem(await bring({ code: other, verifier }))).toEqual(UNAUTHENTICATED);
  });

  it('of two who bring one code at the same time hears one', async () => {
    const code = await codeFor(await signedIn('/ui/'));
    const answers = await Promise.all(Array.from({ length: 6 }, () => bring({ code, verifier })));
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 401, 401, 401, 401, 401]);
  });

  it('takes a code for a minute, and keeps none that can be read', async () => {
    const code = await codeFor(await signedIn('/ui/'));
    const { rows } = await world.sql.query(
      'select hash, extract(epoch from expires_at - now())::float8 as left from login_code order by expires_at desc limit 1',
    );
    expect(rows[0].hash).toEqual(createHash('sha256').update(code).digest());
    expect(rows[0].left).toBeLessThanOrEqual(60);
    await world.sql.query("update login_code set expires_at = now() - interval '1 second'");
    expect(await problem(await bring({ code, verifier }))).toEqual(UNAUTHENTICATED);
  });

  it('gives no code to whoever is not there by the provider', async () => {
    const nobody = await ask(new Map(), { ...asked, allow: true });
    expect(await problem(nobody)).toEqual(UNAUTHENTICATED);
    const jar: Jar = new Map();
    await go(`${url}/ui/session`, jar, {
      method: 'POST',
      headers: OURS,
      body: JSON.stringify({ token: world.tokens.admin }),
    });
    expect(jar.has('sluice')).toBe(true);
    expect(await problem(await ask(jar, { ...asked, allow: true }))).toEqual(UNAUTHENTICATED);
  });

  it.each([
    ['another site', { ...OURS, 'Sec-Fetch-Site': 'cross-site' }],
    ['a form', { 'Sec-Fetch-Site': 'same-origin', 'Content-Type': 'application/json' }],
  ])('gives no code to %s', async (_, headers) => {
    const jar = await signedIn('/ui/');
    const response = await ask(jar, { ...asked, allow: true }, headers);
    expect(await problem(response)).toEqual([403, 'application/problem+json', 'cross_site']);
  });

  it.each([
    { host: 'localhost' },
    { host: 'evil.example.com' },
    { host: '127.0.0.1.evil.example.com' },
    { host: '127.0.0.1@evil.example.com' },
    { host: '169.254.169.254' },
    { port: '80' },
    { port: '70000' },
    { port: '1e4.5' },
    { port: '45678@evil.example.com' },
    { challenge: 'short' },
    { challenge: '' },
    { state: 'short' },
    { state: `${'a'.repeat(43)}&code=x` },
    { redirect_uri: 'https://evil.example.com' },
  ])('leads nowhere but to this computer: not with %j', async (part) => {
    const wrong = { ...asked, ...part } as Record<string, string>;
    const begun = await go(`${url}/login/cli?${new URLSearchParams(wrong)}`, new Map());
    expect(await problem(begun)).toEqual([400, 'application/problem+json', 'invalid_parameter']);
    const answer = await ask(await signedIn('/ui/'), { ...wrong, allow: true });
    expect(await problem(answer)).toEqual([422, 'application/problem+json', 'invalid_body']);
  });

  it('knows both loopback addresses', async () => {
    const jar = await signedIn('/ui/');
    const { location } = (await (await ask(jar, { ...asked, host: '[::1]', allow: true })).json()) as {
      location: string;
    };
    expect(new URL(location).host).toBe('[::1]:45678');
  });

  it('ends the session at its time, and with the role that the policy gave', async () => {
    const { token } = (await (await bring({ code: await codeFor(await signedIn('/ui/')), verifier })).json()) as {
      token: string;
    };
    const list = () => fetch(`${url}/rollouts`, { headers: { Authorization: `Bearer ${token}` } });
    expect((await list()).status).toBe(200);
    const whole = app;
    const { signOn } = world.service;
    const config = {
      slack: null,
      trustedProxies: [],
      metricsOpen: false,
      publicUrl: url,
      sessionKey: 'a key for tests, long enough for all of them',
      clusters: [],
    };
    const people = { principalOf: () => null, lasts: SESSION };
    app = application(
      'all',
      config,
      { ...world.service, signOn: signOn === null ? null : { ...signOn, people } },
      quietLog,
    );
    expect((await list()).status).toBe(401);
    app = whole;
    expect((await list()).status).toBe(200);
  });
});

it('codes of one network are limited before anything is looked at, and then write nothing into the audit', async () => {
  const rows = async () => (await world.sql.query('select count(*)::int as n from audit')).rows[0].n as number;
  const before = await rows();
  let looked = 0;
  const body = { code: 'x'.repeat(43), verifier: 'y'.repeat(43) };
  for (;;) {
    const { status } = await request(server).post('/login/cli/token').send(body);
    if (status === 429) break;
    expect(status).toBe(401);
    looked += 1;
  }
  expect(looked).toBeGreaterThanOrEqual(EXCHANGES_OF_ONE.burst / 2);
  expect((await rows()) - before).toBeLessThanOrEqual(looked);
});
