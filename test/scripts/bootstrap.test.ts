import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Project, project } from './project.ts';

const lock = (version: string) =>
  JSON.stringify({
    packages: {
      '': { name: 'sluice' },
      'node_modules/left': { version },
      'node_modules/only-on-another-platform': { version: '1.0.0', optional: true },
    },
  });

/** Installs as npm does, and says what it was given. */
const NPM = `
const fs = require('node:fs');
fs.appendFileSync('npm.log', JSON.stringify({ arguments: process.argv.slice(2), path: process.env.PATH, names: Object.keys(process.env) }) + '\\n');
if (process.env.FAKE_NPM_FAILS) { console.error('npm error code ECONNRESET'); process.exit(1); }
fs.rmSync('node_modules', { recursive: true, force: true });
fs.mkdirSync('node_modules/.bin', { recursive: true });
fs.mkdirSync('node_modules/node/bin', { recursive: true });
fs.mkdirSync('node_modules/left');
fs.writeFileSync('node_modules/left/package.json', '{}');
fs.writeFileSync('node_modules/node/package.json', '{"version":"24.0.0"}');
fs.writeFileSync('node_modules/node/installArchSpecificPackage.js', "require('node:fs').symlinkSync(" + JSON.stringify(process.execPath) + ", 'bin/node')");
fs.writeFileSync('node_modules/.package-lock.json', fs.readFileSync('package-lock.json'));
if (!process.env.npm_config_ignore_scripts) fs.symlinkSync(process.execPath, 'node_modules/.bin/node');
`;

describe('bootstrap', () => {
  let sut: Project;
  beforeEach(async () => {
    sut = await project('bootstrap.mjs');
    await sut.write('package-lock.json', lock('1.0.0'));
    await sut.program('fake/npm', NPM);
    await sut.program('fake/node', '');
  });
  afterEach(() => sut.remove());

  const start = (
    rest: readonly string[] = ['-e', 'console.log("the next command")'],
    env: Record<string, string> = {},
  ) =>
    sut.run(['--for', 'demo', '--', ...rest], {
      env: {
        PATH: [join(sut.root, 'node_modules', '.bin'), join(sut.root, 'fake'), process.env['PATH']].join(':'),
        ...env,
      },
    });
  const npmRuns = async (): Promise<{ arguments: string[]; path: string; names: string[] }[]> =>
    existsSync(join(sut.root, 'npm.log'))
      ? (await readFile(join(sut.root, 'npm.log'), 'utf8'))
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line))
      : [];

  it('installs what the lock file says on a fresh clone, says so, and runs the next command', async () => {
    const ran = await start();
    expect(ran.output).toContain('the next command');
    expect(ran.lines[0]).toBe(
      '[setup] Installing packages with npm ci (nothing is installed yet); about a minute the first time',
    );
    expect(ran.code).toBe(0);
    const [npm] = await npmRuns();
    expect(npm?.arguments[0]).toBe('ci');
    expect(npm?.arguments).toEqual(
      expect.arrayContaining(['--include=dev', '--include=optional', '--engine-strict=false']),
    );
  });

  it('runs npm with a PATH that cannot find the Node that npm deletes', async () => {
    await start(undefined, {
      npm_lifecycle_event: 'test',
      npm_config_prefix: join(sut.root, 'node_modules', 'node'),
      npm_config_cache: '/elsewhere',
    });
    const [npm] = await npmRuns();
    expect(npm?.path.split(':')[0]).toBe(join(sut.root, 'fake'));
    expect(npm?.path).not.toContain('node_modules');
    expect(npm?.names).not.toContain('npm_lifecycle_event');
    expect(npm?.names).not.toContain('npm_config_prefix');
    expect(npm?.names).toContain('npm_config_cache');
  });

  it('prints nothing of its own where a program is to read what is printed', async () => {
    await sut.write('rest.mjs', 'console.log(JSON.stringify(process.argv.slice(2)));');
    const ran = await sut.run(['--for', 'judge', '--', 'rest.mjs', '--json'], {
      env: { PATH: [join(sut.root, 'fake'), process.env['PATH']].join(':') },
    });
    expect(ran.output).toContain('[setup] Installing packages');
    expect(ran.printed).toBe('["--json"]\n');
  });

  it('installs once', async () => {
    await start();
    const second = await start();
    expect(await npmRuns()).toHaveLength(1);
    expect(second.lines).toEqual(['the next command']);
  });

  it('installs again when the lock file has changed', async () => {
    await start();
    await sut.write('package-lock.json', lock('2.0.0'));
    const second = await start();
    expect(second.lines[0]).toContain('(package-lock.json changed: left 2.0.0)');
    expect(await npmRuns()).toHaveLength(2);
  });

  it('installs again when a package was removed', async () => {
    await start();
    await rm(join(sut.root, 'node_modules', 'left'), { recursive: true });
    const second = await start();
    expect(second.lines[0]).toContain('(left is missing)');
    expect(await npmRuns()).toHaveLength(2);
  });

  it('leaves alone what somebody installed by hand from the same lock file', async () => {
    await start();
    await rm(join(sut.root, 'node_modules', '.sluice-install'));
    await start();
    expect(await npmRuns()).toHaveLength(1);
  });

  it('installs again after an installation that did not end', async () => {
    await start();
    await rm(join(sut.root, 'node_modules', '.sluice-install'));
    await rm(join(sut.root, 'node_modules', '.package-lock.json'));
    const second = await start();
    expect(second.lines[0]).toContain('(the last installation did not end)');
  });

  it("fails with npm's own words where npm fails, and does not run the next command", async () => {
    const ran = await start(undefined, { FAKE_NPM_FAILS: 'yes' });
    expect(ran.code).toBe(1);
    expect(ran.output).toContain('[setup] FAILED: npm ci failed (exit code 1):\nnpm error code ECONNRESET');
    expect(ran.output).not.toContain('the next command');
    expect(existsSync(join(sut.root, 'node_modules', '.sluice-install'))).toBe(false);
  });

  it('installs Node itself where install scripts are switched off', async () => {
    const ran = await start(['-e', 'console.log(process.version)'], { npm_config_ignore_scripts: 'true' });
    expect(ran.lines).toContain('[setup] Installing Node 24.0.0 into node_modules (its install script did not run)');
    expect(ran.lines.at(-1)).toBe(process.version);
  });

  it('hands over arguments and exit code', async () => {
    await sut.write('rest.mjs', 'console.log(JSON.stringify(process.argv.slice(2))); process.exit(7);');
    const ran = await start(['rest.mjs', 'test/domain', '--', '-t', 'a name']);
    expect(ran.lines.at(-1)).toBe('["test/domain","--","-t","a name"]');
    expect(ran.code).toBe(7);
  });

  it("puts the project's programs first on the PATH of what it runs", async () => {
    const ran = await start(['-e', 'console.log(process.env.PATH.split(":")[0])']);
    expect(ran.lines.at(-1)).toBe(join(sut.root, 'node_modules', '.bin'));
  });

  it('passes a signal on and waits for what it runs', async () => {
    await start();
    await sut.write(
      'rest.mjs',
      'process.on("SIGTERM", () => { console.log("stopping"); setTimeout(() => process.exit(0), 100); }); console.log("up"); setInterval(() => {}, 1000);',
    );
    const ran = await sut.run(['--for', 'demo', '--', 'rest.mjs'], { signal: { name: 'SIGTERM', at: 'up' } });
    expect(ran.lines).toEqual(['up', 'stopping']);
    expect(ran.code).toBe(0);
  });

  it.each([[[]], [['--for']], [['--for', 'production']], [['--for', 'test', 'extra']]])(
    'refuses the arguments %j',
    async (arguments_) => {
      const ran = await sut.run(arguments_);
      expect(ran.code).toBe(1);
      expect(ran.lines.at(-1)).toContain('usage: node scripts/bootstrap.mjs --for test|demo');
    },
  );
});
