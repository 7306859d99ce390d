/** `sluice` in a job of GitHub Actions: a runner's address that makes id tokens, and the real server that wants them. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { githubTokens } from '../../src/cli/github-token.ts';
import { serverOf } from '../../src/cli/settings.ts';
import { begin, sluice, started, world } from './support.ts';

const AUDIENCE = 'https://sluice.example.com';
const SECRET = 'of-the-runner';
let runner: Server;
let address: string;
/** Seconds that the next token lives. */
let lives: number;
let status: number;
let asked: { readonly url: string; readonly authorization: string | undefined }[];
beforeEach(async () => {
  [lives, status, asked] = [300, 200, []];
  runner = createServer((req, res) => {
    asked.push({ url: req.url ?? '', authorization: req.headers.authorization });
    const value = jwt({ n: asked.length, exp: Math.floor(Date.now() / 1000) + lives });
    res.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify({ value }));
  });
  await new Promise<void>((resolve) => runner.listen(0, '127.0.0.1', resolve));
  address = `http://127.0.0.1:${(runner.address() as AddressInfo).port}/token?api-version=2.0`;
});
afterEach(() => new Promise((resolve) => runner.close(resolve)));

const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const jwt = (claims: object): string => `${part({ alg: 'RS256' })}.${part(claims)}.${'s'.repeat(300)}`;
const numberIn = (token: string): number =>
  (JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { n: number }).n;
const job = () => ({ ACTIONS_ID_TOKEN_REQUEST_URL: address, ACTIONS_ID_TOKEN_REQUEST_TOKEN: SECRET });

/** The server takes only the newest token of the runner, as if the others had expired. */
const newestOnly = {
  authenticate: async (token: string) =>
    numberIn(token) === asked.length
      ? ({
          kind: 'principal',
          principal: { id: 'ci:github:1', name: 'github octo-org/shop run 1 attempt 1', role: 'deployer', kind: 'ci' },
        } as const)
      : ({ kind: 'invalid', reason: 'it has expired' } as const),
};

describe('a command in GitHub Actions', () => {
  it('has its id token made for the audience, and says nothing of it', async () => {
    const at = await world({ federation: newestOnly });
    const env = { ...job(), SLUICE_OIDC_AUDIENCE: AUDIENCE };
    const ran = await sluice(at.url, ['list', '-o', 'json'], { as: null, env });
    expect([ran.code, ran.stderr]).toEqual([0, '']);
    expect(asked).toEqual([
      { url: `/token?api-version=2.0&audience=${encodeURIComponent(AUDIENCE)}`, authorization: `Bearer ${SECRET}` },
    ]);
    expect(ran.stdout).not.toContain('eyJ');
  });

  it('has a new one made while it waits: they live for minutes', async () => {
    const at = await world({ federation: newestOnly });
    const id = await started(at.fake);
    lives = 30;
    const running = begin(at.url, ['wait', id, '--timeout', '1m', '--oidc-audience', AUDIENCE], {
      as: null,
      env: job(),
    });
    await expect.poll(() => asked.length, { timeout: 20_000 }).toBeGreaterThanOrEqual(3);
    running.child.kill('SIGINT');
    expect((await running.ended).code).toBe(130);
  });

  it('takes an id token that the pipeline gives as SLUICE_TOKEN, as GitLab does', async () => {
    const at = await world({ federation: { authenticate: async () => newestOnly.authenticate(jwt({ n: 0 })) } });
    const ran = await sluice(at.url, ['list'], {
      as: null,
      env: { SLUICE_TOKEN: jwt({ n: 0, more: 'x'.repeat(2_000) }) },
    });
    expect([ran.code, ran.stderr]).toEqual([0, 'no rollouts\n']);
  });

  it('ends with 8 and the words of the server where no rule fits', async () => {
    const reason = 'the rule "shop" does not fit: ref is "refs/heads/dev"';
    const at = await world({ federation: { authenticate: async () => ({ kind: 'no_rule', reason }) } });
    const ran = await sluice(at.url, ['list', '--oidc-audience', AUDIENCE], { as: null, env: job() });
    expect(ran.code).toBe(8);
    expect(ran.stderr).toContain(reason);
  });

  it('ends with 2 where the job may have none', async () => {
    const ran = await sluice('http://127.0.0.1:1', ['list', '--oidc-audience', AUDIENCE], { as: null });
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain('id-token: write');
  });

  it('ends with 8 where GitHub refuses', async () => {
    status = 403;
    const ran = await sluice('http://127.0.0.1:1', ['list', '--oidc-audience', AUDIENCE], { as: null, env: job() });
    expect([ran.code, ran.stderr.includes(SECRET)]).toEqual([8, false]);
  });
});

describe('tokens of GitHub', () => {
  it('are kept until a minute before their end', async () => {
    const token = githubTokens(AUDIENCE, job());
    expect([numberIn(String(await token())), numberIn(String(await token()))]).toEqual([1, 1]);
    lives = 59;
    const short = githubTokens(AUDIENCE, job());
    expect([numberIn(String(await short())), numberIn(String(await short()))]).toEqual([2, 3]);
  });

  it('serve to their end while GitHub has trouble, and then it is told as passing', async () => {
    lives = 50;
    const token = githubTokens(AUDIENCE, job());
    expect(numberIn(String(await token()))).toBe(1);
    status = 502;
    expect(numberIn(String(await token()))).toBe(1);
    expect(await githubTokens(AUDIENCE, job())()).toMatchObject({ kind: 'silence', hopeless: false });
  });
});

describe('which token', () => {
  const url = 'https://sluice.example.com';
  const of = (flags: Parameters<typeof serverOf>[0], env: Record<string, string>) =>
    serverOf({ url, ...flags }, { XDG_CONFIG_HOME: '/nowhere', ...env }).then(
      ({ token, audience }) => [token, audience],
      (error: Error) => error.message,
    );

  it.each([
    ['the audience of the flag', { 'oidc-audience': 'a' }, { SLUICE_TOKEN: 'slc_1' }, [null, 'a']],
    ['the audience of the environment', {}, { SLUICE_OIDC_AUDIENCE: 'b' }, [null, 'b']],
    ['the flag before the environment', { 'oidc-audience': 'a' }, { SLUICE_OIDC_AUDIENCE: 'b' }, [null, 'a']],
    [
      'not both by flag',
      { 'oidc-audience': 'a', 'token-file': '/x' },
      {},
      '--oidc-audience and --token-file: wanted one of them; found both',
    ],
    [
      'not both by environment',
      {},
      { SLUICE_OIDC_AUDIENCE: 'b', SLUICE_TOKEN: 'slc_1' },
      'SLUICE_TOKEN and SLUICE_OIDC_AUDIENCE: each is a way to have a token; remove one',
    ],
  ])('is %s', async (_, flags, env, expected) => {
    expect(await of(flags, env)).toEqual(expected);
  });
});
