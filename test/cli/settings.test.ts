import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { serverOf } from '../../src/cli/settings.ts';
import { readConfig } from '../../src/config.ts';
import { TOKENS } from '../http/harness.ts';
import { begin, inHome, sluice, started, world } from './support.ts';

let dir: string;
let file: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sluice-settings-'));
  file = join(dir, 'sluice/config.yaml');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const PROD = 'https://prod.example.com/';
const stored = (mode = 0o600): void => {
  mkdirSync(join(dir, 'sluice'), { recursive: true });
  writeFileSync(
    file,
    `current: prod\ncontexts:\n  prod: { url: "${PROD}", token: slc_prod_1 }\n  test: { url: "http://127.0.0.1:1/", token: slc_test_1 }\n`,
  );
  chmodSync(file, mode);
};
const from = (flags: Parameters<typeof serverOf>[0], env: Record<string, string> = {}) =>
  serverOf(flags, { XDG_CONFIG_HOME: dir, ...env }).then(
    ({ url, token }) => [url.href, token],
    (error: Error) => error.message,
  );

describe('the server and the token', () => {
  const env = { SLUICE_URL: 'http://env.example.com', SLUICE_TOKEN: 'slc_env_1' };
  const tokenFile = inHome('token', 'slc_file_1\n');

  it.each([
    ['the file, its current context', {}, {}, [PROD, 'slc_prod_1']],
    ['a context of the environment', {}, { SLUICE_CONTEXT: 'test' }, ['http://127.0.0.1:1/', 'slc_test_1']],
    ['the environment before the file', {}, env, ['http://env.example.com/', 'slc_env_1']],
    [
      'a flag before the environment',
      { url: 'http://flag.example.com' },
      env,
      ['http://flag.example.com/', 'slc_env_1'],
    ],
    ['a context by flag before the environment', { context: 'test' }, env, ['http://127.0.0.1:1/', 'slc_test_1']],
    [
      'a token file by flag before the environment',
      { 'token-file': tokenFile },
      env,
      ['http://env.example.com/', 'slc_file_1'],
    ],
    ['a token file of the environment', {}, { SLUICE_URL: PROD, SLUICE_TOKEN_FILE: tokenFile }, [PROD, 'slc_file_1']],
    ['the token of the file, for the address beside it', { url: PROD }, {}, [PROD, 'slc_prod_1']],
    [
      'never the token of the file for another address',
      { url: 'https://evil.example.com' },
      {},
      ['https://evil.example.com/', null],
    ],
    ['an empty variable as none', {}, { SLUICE_URL: '', SLUICE_TOKEN: '' }, [PROD, 'slc_prod_1']],
  ])('come from %s', async (_, flags, given, wanted) => {
    stored();
    expect(await from(flags, given)).toEqual(wanted);
  });

  it.each([
    ['an unknown context', { context: 'dev' }, {}, 'known: prod, test'],
    ['an address that is none', { url: 'prod' }, {}, 'wanted the address of the server'],
    ['an address with a password', { url: 'https://a:b@prod' }, {}, 'holds a user name or a password'],
    [
      'a token with a line break in it',
      {},
      { SLUICE_URL: PROD, SLUICE_TOKEN: 'slc_a\nslc_b' },
      'SLUICE_TOKEN: wanted one token',
    ],
  ])('are refused with %s', async (_, flags, given, words) => {
    stored();
    expect(await from(flags, given)).toContain(words);
  });

  it('are asked for by name where there are none', async () => {
    expect(await from({})).toContain('no server is known');
  });

  it('are not taken out of a file that others can read', async () => {
    stored(0o644);
    expect(await from({})).toContain('open to others (mode 644)');
    const ran = await sluice(null, ['list'], { as: null, env: { XDG_CONFIG_HOME: dir } });
    expect([ran.code, ran.stderr]).toEqual([2, expect.stringContaining('chmod 600')]);
    expect(ran.stderr).not.toContain('slc_prod');
  });

  it('are not quoted out of a file that is not YAML', async () => {
    mkdirSync(join(dir, 'sluice'), { recursive: true });
    writeFileSync(file, 'contexts: {{ token: slc_secret_1', { mode: 0o600 });
    expect(await from({})).toBe(`${file} is not YAML; correct or remove it, then sluice login`);
  });
});

describe('login', () => {
  const env = () => ({ XDG_CONFIG_HOME: dir });

  it('stores what the server has accepted, for its owner only, and keeps the other contexts', async () => {
    stored();
    const w = await world();
    const ran = await sluice(null, ['login', w.url, '--context', 'ci'], {
      as: null,
      env: env(),
      input: `${TOKENS.deployer}\n`,
    });
    expect([ran.code, ran.stdout]).toEqual([0, expect.stringContaining('role deployer')]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, 'utf8')).toContain('slc_prod_1');
    const listed = await sluice(null, ['contexts'], { as: null, env: env() });
    expect(listed.stdout).toMatch(/\* +ci +http:\/\/127\.0\.0\.1/);
    await started(w.fake);
    expect((await sluice(null, ['list', '-o', 'name'], { as: null, env: env() })).stdout).toBe('ro_1\n');
    expect((await sluice(null, ['contexts', 'prod'], { as: null, env: env() })).code).toBe(0);
    expect((await sluice(null, ['logout', '--context', 'ci'], { as: null, env: env() })).code).toBe(0);
    expect(await from({})).toEqual([PROD, 'slc_prod_1']);
    expect(readFileSync(file, 'utf8')).not.toContain(TOKENS.deployer);
  });

  it('stores nothing that the server refuses', async () => {
    const w = await world();
    const ran = await sluice(null, ['login', w.url], { as: null, env: env(), input: 'slc_wrong_0123456789\n' });
    expect([ran.code, ran.stderr]).toEqual([8, expect.stringContaining('unknown, expired or revoked')]);
    expect(ran.stderr).toContain(`login to ${w.url}`);
    expect(() => statSync(file)).toThrow('ENOENT');
  });

  it('takes no token from the command line, where every process can read it', async () => {
    const ran = await sluice(null, ['list', '--token', 'slc_secret_0123456789'], { as: null });
    expect([ran.code, ran.stderr]).toEqual([2, expect.stringContaining('SLUICE_TOKEN')]);
    expect(ran.stderr).not.toContain('slc_secret');
  });
});

describe('doctor', () => {
  it('finds nothing wrong where nothing is, and tells the role', async () => {
    const w = await world({ version: '0.1.7' });
    const { code, stdout } = await sluice(w.url, ['doctor'], { as: 'approver' });
    expect(code).toBe(0);
    for (const part of ['answers', 'server 0.1.7', 'everything it needs', 'role approver'])
      expect(stdout).toContain(part);
    const audited = await sluice(w.url, ['audit', 'list', '-o', 'json'], { as: 'admin' });
    expect(audited.stdout).not.toContain('refused');
  });

  it('names what the server misses, and the clock that is wrong', async () => {
    const missing = [{ part: 'queue', message: 'Redis does not answer; look at REDIS_URL' }];
    const w = await world({ ready: async () => missing, version: '0.9.0' });
    const { code, stdout } = await sluice(w.url, ['doctor', '-o', 'json']);
    const { findings } = JSON.parse(stdout) as { findings: { part: string; level: string; message: string }[] };
    expect(code).toBe(1);
    expect(findings).toContainEqual(
      expect.objectContaining({ part: 'ready: queue', level: 'fail', message: missing[0]?.message }),
    );
    expect(findings).toContainEqual(expect.objectContaining({ part: 'versions', level: 'warn' }));
  });

  it('warns of a metrics provider that does not answer, and fails for nothing else', async () => {
    const w = await world({ version: '0.1.7' });
    expect((await sluice(w.url, ['doctor'])).stdout).toContain('answered by prometheus of cluster default');
    w.fake.metricsAway('Prometheus at http://prometheus:9090 did not answer within 5 s');
    const { code, stdout } = await sluice(w.url, ['doctor']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/▲ metrics +provider prometheus of cluster default: Prometheus at http:\/\/prometheus:9090/);
    expect(stdout).toContain('no step passes');
    expect(stdout).toContain('rollbacks go on');
  });

  it.each([
    ['a port that nobody listens on', 'http://127.0.0.1:9', 10, 'Nothing listens on 127.0.0.1:9'],
    ['a name that nobody has', 'http://sluice.invalid', 10, 'No address is known for sluice.invalid'],
  ])('says what to do about %s', async (_, url, code, advice) => {
    const ran = await sluice(url, ['doctor']);
    expect([ran.code, ran.stdout]).toEqual([code, expect.stringContaining(advice)]);
  });

  it('says that a token is not valid', async () => {
    const w = await world();
    const ran = await sluice(w.url, ['doctor'], { as: null, env: { SLUICE_TOKEN: 'slc_wrong_0123456789' } });
    expect([ran.code, ran.stdout]).toEqual([8, expect.stringContaining('unknown, expired or revoked')]);
  });
});

describe('a token', () => {
  it('is in no output, whatever a server quotes back', async () => {
    const w = await world();
    const id = await started(w.fake);
    const asked = [
      ['list', '--service', TOKENS.admin],
      ['get', id, '-o', 'yaml'],
      ['pause', id, '--reason', `it is ${TOKENS.admin}`],
      ['doctor'],
    ];
    const all = await Promise.all(asked.map((args) => begin(w.url, args).ended));
    for (const { stdout, stderr } of all) expect(`${stdout}${stderr}`).not.toContain(TOKENS.admin);
  });
});

it('the service takes the settings of the command line for nobody’s mistake', () => {
  const env = { SLUICE_URL: 'x', SLUICE_TOKEN: 'x', SLUICE_TOKEN_FILE: 'x', SLUICE_CONTEXT: 'x', SLUICE_URLL: 'x' };
  const read = readConfig(env);
  const named = read.ok
    ? []
    : read.problems.filter((problem) => problem.startsWith('SLUICE_')).map((p) => p.split(':')[0]);
  expect(named).toEqual(['SLUICE_URLL']);
});
