/** The action's entry as a runner starts it: inputs by environment, files for what it gives, signals on cancel; against the real server. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { drive, driveBack, tell, type World, world } from '../cli/support.ts';
import { TOKENS } from '../http/harness.ts';
import { ROOT } from '../support/chart.ts';
import { type Receiver, receiver } from '../support/receiver.ts';
import { begin, type Ended, type Process, workspace } from './process.ts';

const ACTION = join(ROOT, 'deploy/github-action');
const description = parse(readFileSync(join(ACTION, 'action.yml'), 'utf8')) as {
  inputs: Record<string, { default?: string; required?: boolean }>;
  outputs: Record<string, unknown>;
  runs: { using: string; main: string };
};

interface Step extends Omit<Process, 'ended'> {
  readonly ended: Promise<Ended & { readonly outputs: Record<string, string>; readonly summary: string }>;
}

let w: World;
let runs = 0;
beforeEach(async () => {
  w = await world();
});

/** Every input that the description names is given, as the runner does it. */
function step(inputs: Record<string, string>, env: Record<string, string> = {}, action = ACTION): Step {
  runs += 1;
  const [outputFile, summaryFile] = [join(workspace, `output-${runs}`), join(workspace, `summary-${runs}`)];
  for (const file of [outputFile, summaryFile]) writeFileSync(file, '');
  for (const name of Object.keys(inputs)) expect(description.inputs).toHaveProperty([name]);
  const given = Object.entries(description.inputs).map(([name, { default: usual = '' }]) => [
    `INPUT_${name.toUpperCase()}`,
    inputs[name] ?? usual,
  ]);
  const running = begin(process.execPath, [join(action, description.runs.main)], {
    GITHUB_ACTIONS: 'true',
    GITHUB_OUTPUT: outputFile,
    GITHUB_STEP_SUMMARY: summaryFile,
    GITHUB_REPOSITORY_ID: '9',
    GITHUB_RUN_ID: String(runs),
    GITHUB_RUN_ATTEMPT: '1',
    GITHUB_JOB: 'deploy',
    ...Object.fromEntries(given),
    ...env,
  });
  const ended = running.ended.then((ran) => ({
    ...ran,
    outputs: outputsIn(readFileSync(outputFile, 'utf8')),
    summary: readFileSync(summaryFile, 'utf8'),
  }));
  return { ...running, ended };
}

/** As the runner reads the file. */
const outputsIn = (text: string): Record<string, string> =>
  Object.fromEntries([...text.matchAll(/^(.+)<<(.+)\n([\s\S]*?)\n\2$/gm)].map(([, name, , value]) => [name, value]));

/** What the runner takes for commands: nothing between stop-commands and its word. */
function commandsIn(log: string): string[] {
  const commands: string[] = [];
  let until: string | null = null;
  for (const line of log.split('\n')) {
    if (until !== null) {
      if (line === `::${until}::`) until = null;
    } else if (line.startsWith('::stop-commands::')) until = line.slice('::stop-commands::'.length);
    else if (line.startsWith('::')) commands.push(line);
  }
  return commands;
}

const good = (): Record<string, string> => ({ server: w.url, token: TOKENS.admin, plan: 'plan.yaml' });

describe('action.yml', () => {
  it('starts an entry that is there, with Node alone: no folder of packages is committed or bundled', () => {
    expect(description.runs.using).toBe('node24');
    const entry = readFileSync(join(ACTION, description.runs.main), 'utf8');
    const imports = [...entry.matchAll(/from '([^']+)'/g)].map(([, from]) => from);
    expect(imports.filter((from) => !/^(node:|\.\/)/.test(from ?? ''))).toEqual([]);
  });

  it('installs on runners the package that the command line needs, as the service has it locked', () => {
    type Lock = { packages: Record<string, unknown> };
    const lockOf = (path: string) => JSON.parse(readFileSync(join(ROOT, path), 'utf8')) as Lock;
    const [own, service] = [lockOf('deploy/github-action/package-lock.json'), lockOf('package-lock.json')];
    expect(own.packages['node_modules/yaml']).toEqual(service.packages['node_modules/yaml']);
    expect(Object.keys(own.packages)).toEqual(['', 'node_modules/yaml']);
  });
});

describe('a runner without the packages', () => {
  it('has the one that is needed installed beside the action, once, without scripts', async () => {
    const repository = mkdtempSync(join(workspace, 'repository-'));
    const folder = join(repository, 'deploy/github-action');
    cpSync(ACTION, folder, { recursive: true });
    for (const part of ['src', 'package.json']) symlinkSync(join(ROOT, part), join(repository, part));
    const bin = join(repository, 'bin');
    mkdirSync(bin);
    const npm = `#!/bin/sh\necho "$PWD $*" >> '${repository}/npm.log'\nmkdir -p node_modules/yaml\n`;
    writeFileSync(join(bin, 'npm'), npm, { mode: 0o755 });
    const env = { PATH: `${bin}:${process.env['PATH']}`, GITHUB_RUN_ID: '5' };
    for (const _ of [1, 2]) {
      const { code, log } = await step({ ...good(), wait: 'false' }, env, folder).ended;
      expect(code, log).toBe(0);
    }
    expect(readFileSync(join(repository, 'npm.log'), 'utf8')).toBe(
      `${folder} ci --ignore-scripts --no-audit --no-fund\n`,
    );
    expect(realpathSync(join(repository, 'node_modules/yaml'))).toBe(join(folder, 'node_modules/yaml'));
  });
});

describe('a step', () => {
  it('that succeeds gives every output and a summary, and no annotation', async () => {
    const running = step({ ...good(), set: 'labels.image=myapp:2.1\nlabels.team=shop' });
    await running.said('created by');
    await drive(w.fake, 'ro_1');
    const { code, log, outputs, summary } = await running.ended;
    expect(code, log).toBe(0);
    expect(Object.keys(outputs).toSorted()).toEqual(Object.keys(description.outputs).toSorted());
    expect(outputs).toMatchObject({
      id: 'ro_1',
      url: `${w.url}/ui/rollouts/ro_1`,
      status: 'succeeded',
      'exit-code': '0',
      duration: expect.stringMatching(/^\d+$/),
    });
    expect(summary).toContain('### myapp (default/production): succeeded');
    expect(summary).toContain('| 1 | 50 % | passed |');
    expect((await w.fake.get('ro_1'))?.plan.labels).toEqual({ image: 'myapp:2.1', team: 'shop' });
    expect(commandsIn(log)).toEqual([`::add-mask::${TOKENS.admin}`]);
  });

  it('that is rolled back fails with the sentence as an annotation and on top of the summary', async () => {
    const running = step({ ...good(), plan: 'long.yaml' });
    await running.said('created by');
    await driveBack(w.fake, 'ro_1');
    const { code, log, outputs, summary } = await running.ended;
    expect([code, outputs['status'], outputs['step'], outputs['exit-code']]).toEqual([3, 'rolled_back', '1', '3']);
    expect(outputs['reason']).toMatch(/^Rolled back at 5 % after/);
    expect(commandsIn(log).at(-1)).toMatch(/^::error title=Rollout rolled_back::Rolled back at 5 %25 after/);
    expect(summary.split('\n')[2]).toBe(`**${outputs['reason']}**`);
    expect(summary).toContain('| 1 | 5 % | left | ✖ fail: canary error rate 5 % |');
  });

  it('that only starts ends at once', async () => {
    const { code, outputs } = await step({ ...good(), wait: 'false' }).ended;
    expect([code, outputs['id'], outputs['status']]).toEqual([0, 'ro_1', 'pending']);
  });

  it('that waits too long fails, and says that the rollout goes on', async () => {
    const { code, outputs, log } = await step({ ...good(), timeout: '500ms' }).ended;
    expect([code, outputs['id'], outputs['status']]).toEqual([5, 'ro_1', 'pending']);
    expect(commandsIn(log).at(-1)).toMatch(/^::error title=The wait is over%2C the rollout goes on::/);
  });

  it.each([
    ['paused', 0],
    ['finished', null],
  ])('until %s meets a pause', async (until, expected) => {
    const running = step({ ...good(), plan: 'long.yaml', until });
    await running.said('created by');
    await w.fake.toFirstStep('ro_1');
    await tell(w.fake, 'ro_1', { name: 'pause', reason: 'lunch' });
    if (expected === null) {
      await running.said('lunch');
      expect(running.child.exitCode).toBeNull();
      return;
    }
    const { code, outputs, log } = await running.ended;
    expect([code, outputs['status'], outputs['exit-code']]).toEqual([expected, 'paused', '6']);
    expect(commandsIn(log).at(-1)).toMatch(/^::notice title=The rollout waits for a person::.*lunch/);
  });

  it('goes on through a restart of the server', async () => {
    const running = step(good());
    await running.said('created by');
    await w.down();
    await running.said('trying again');
    await w.up();
    await drive(w.fake, 'ro_1');
    expect((await running.ended).code).toBe(0);
  });

  it('whose token is revoked meanwhile fails with 8 and what it saw last', async () => {
    const running = step(good());
    await running.said('created by');
    await w.down();
    await w.up({ tokens: { authenticate: async () => null } });
    const { code, outputs } = await running.ended;
    expect([code, outputs['id'], outputs['status']]).toEqual([8, 'ro_1', 'pending']);
    expect(outputs['reason']).toContain('unknown, expired or revoked');
  });

  it('that is sent again within the same attempt finds its rollout, and a new attempt does not', async () => {
    const job = { GITHUB_RUN_ID: '77' };
    const inputs = { ...good(), wait: 'false' };
    const [first, again] = [await step(inputs, job).ended, await step(inputs, job).ended];
    expect([first.outputs['id'], again.outputs['id']]).toEqual(['ro_1', 'ro_1']);
    const attempt = await step(inputs, { ...job, GITHUB_RUN_ATTEMPT: '2' }).ended;
    expect([attempt.code, attempt.outputs['id']]).toEqual([9, undefined]);
    expect(commandsIn(attempt.log).at(-1)).toMatch(/^::error title=No rollout was started::/);
  });

  it.each([
    ['a token that is not known', { token: 'slc_nobody_0123456789abcdef' }, 8, 'unknown, expired or revoked'],
    ['a plan that is not valid', { plan: 'wrong.yaml' }, 11, ''],
    ['a plan that is not there', { plan: 'none.yaml' }, 2, 'there is no such file'],
    ['neither token nor audience', { token: '' }, 2, 'found neither'],
    ['token and audience', { audience: 'https://sluice.example.com' }, 2, 'found both'],
    ['a wish that is none', { 'on-cancel': 'explode' }, 2, 'on-cancel: wanted detach or abort; found "explode"'],
    ['a command that is not there', { 'cli-path': '/nowhere/sluice' }, 1, 'ENOENT'],
  ])('with %s starts nothing, and says why', async (_, inputs, expected, words) => {
    const { code, log, outputs } = await step({ ...good(), ...inputs }).ended;
    expect([code, outputs['id']]).toEqual([expected, undefined]);
    const last = commandsIn(log).at(-1) ?? '';
    expect(last).toMatch(/^::error /);
    expect(last).toContain(words);
  });

  it('with a plan that is not valid tells every fault with its place, in the annotation and in the summary', async () => {
    const { log, outputs, summary } = await step({ ...good(), plan: 'wrong.yaml' }).ended;
    expect(commandsIn(log).at(-1)).toMatch(/::[^:]*nothing was started%0Awrong\.yaml:\d+:\d+: /);
    expect(summary).toMatch(/nothing was started\nwrong\.yaml:\d+:\d+: /);
    expect(outputs['reason']).toMatch(/nothing was started$/);
  });

  it('tells ten faults at most, and how many there are beside them', async () => {
    const talker = join(workspace, 'many.mjs');
    const faults = Array.from({ length: 12 }, (_, index) => `plan.yaml:${index + 1}:1: wrong`);
    writeFileSync(
      talker,
      `console.error(${JSON.stringify(['sluice: no', ...faults, '  what to do'].join('\n'))}); process.exit(11);`,
    );
    const { summary } = await step({ ...good(), 'cli-path': talker }).ended;
    expect(summary).toContain(`no\n${faults.slice(0, 10).join('\n')}\nand 2 more\n`);
  });

  it('lets nothing that a command or a server says become a command of the runner', async () => {
    const talker = join(workspace, 'talker.mjs');
    writeFileSync(talker, "console.error('sluice: no\\n::add-path::/tmp'); process.exit(1);");
    const { code, log } = await step({ ...good(), 'cli-path': talker }).ended;
    expect([code, log]).toEqual([1, expect.stringContaining('\n::add-path::/tmp\n')]);
    expect(commandsIn(log).slice(1)).toEqual(['::error title=No rollout was started::no%0A::add-path::/tmp']);
  });

  it('keeps the token out of its log, its outputs and its summary', async () => {
    const { log, outputs, summary } = await step({ ...good(), wait: 'false' }).ended;
    expect(log.replace(`::add-mask::${TOKENS.admin}`, '')).not.toContain(TOKENS.admin);
    expect(JSON.stringify(outputs) + summary).not.toContain('slc_');
  });
});

describe('the id token of the job', () => {
  const AUDIENCE = 'https://sluice.example.com';
  let runner: Receiver;
  beforeEach(async () => {
    runner = await receiver();
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    // Less than the minute that the command wants to be left: each request has a new one made.
    runner.answer = () => {
      const claims = { n: runner.got.length, exp: Math.floor(Date.now() / 1000) + 30 };
      const value = `${part({ alg: 'RS256' })}.${part(claims)}.signature`;
      return { status: 200, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ value }) };
    };
  });
  afterEach(() => runner.close());

  const seen = new Set<string>();
  const federation = {
    authenticate: async (token: string) => {
      seen.add(token);
      const principal = {
        id: 'ci:github:1',
        name: 'github octo-org/shop run 1',
        role: 'deployer',
        kind: 'ci',
      } as const;
      return { kind: 'principal', principal } as const;
    },
  };
  const job = () => ({
    ACTIONS_ID_TOKEN_REQUEST_URL: `http://127.0.0.1:${runner.port}/token?api-version=2.0`,
    ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'of-the-runner',
  });

  it('takes the place of a stored secret, is renewed while it waits, and is shown nowhere', async () => {
    const at = await world({ federation });
    const inputs = { server: at.url, plan: 'plan.yaml', audience: AUDIENCE };
    const running = step(inputs, job());
    await running.said('created by github octo-org/shop run 1');
    const before = seen.size;
    await drive(at.fake, 'ro_1');
    const { code, log, outputs, summary } = await running.ended;
    expect([code, outputs['status']], log).toEqual([0, 'succeeded']);
    expect(seen.size).toBeGreaterThan(before);
    for (const { path, headers } of runner.got)
      expect([path, headers.authorization]).toEqual([
        `/token?api-version=2.0&audience=${encodeURIComponent(AUDIENCE)}`,
        'Bearer of-the-runner',
      ]);
    expect(log + summary + JSON.stringify(outputs)).not.toContain('eyJ');
  });

  it('is missing where the workflow has not the permission, and the annotation says which', async () => {
    const { code, log } = await step({ server: w.url, plan: 'plan.yaml', audience: AUDIENCE }).ended;
    expect(code).toBe(2);
    expect(log).toContain('id-token: write');
    expect(commandsIn(log).at(-1)).toMatch(/^::error title=No rollout was started::/);
  });
});

describe('a cancelled step', () => {
  it('leaves the rollout alone and says where it is to be seen', async () => {
    const running = step({ ...good(), plan: 'long.yaml' });
    await running.said('created by');
    running.child.kill('SIGINT');
    const { code, log, outputs } = await running.ended;
    expect([code, outputs['status']]).toEqual([130, 'pending']);
    const last = commandsIn(log).at(-1);
    expect(last).toMatch(/^::warning title=Cancelled while the rollout goes on::/);
    expect(last).toContain(`${w.url}/ui/rollouts/ro_1`);
  });

  it('aborts the rollout where it was asked to', async () => {
    const running = step({ ...good(), plan: 'long.yaml', 'on-cancel': 'abort' });
    await running.said('created by');
    running.child.kill('SIGINT');
    const { outputs, log } = await running.ended;
    expect(outputs['status']).toBe('aborted');
    expect(commandsIn(log).at(-1)).toMatch(/^::warning title=Cancelled and the rollout is taken back::/);
  });

  it('claims no abort that the server cannot have heard', async () => {
    await w.down();
    const running = step({ ...good(), 'on-cancel': 'abort' });
    await running.said('trying again');
    running.child.kill('SIGINT');
    const { code, log } = await running.ended;
    expect(code).toBe(130);
    expect(commandsIn(log).at(-1)).toMatch(/^::warning title=Cancelled before the server had answered::/);
  });

  it('is over before the runner ends it, also where the way back takes longer', async () => {
    const running = step({ ...good(), plan: 'long.yaml', 'on-cancel': 'abort' });
    await running.said('created by');
    await w.fake.toFirstStep('ro_1');
    await running.said('weight_reached');
    running.child.kill('SIGINT');
    const killer = setTimeout(() => running.child.kill('SIGKILL'), 7_500);
    const { code, outputs } = await running.ended;
    clearTimeout(killer);
    expect([code, outputs['status']]).toEqual([130, 'rolling_back']);
  });
});
