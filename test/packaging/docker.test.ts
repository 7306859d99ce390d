import { execFile, execFileSync, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };
import { ROOT } from '../support/chart.ts';

interface Instruction {
  readonly name: string;
  readonly rest: string;
}

/** One list of instructions per stage; continued lines joined, comments gone. */
const stages = ((): readonly Instruction[][] => {
  const text = readFileSync(join(ROOT, 'Dockerfile'), 'utf8')
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll(/\\\n\s*/g, ' ');
  const list: Instruction[][] = [[]];
  for (const line of text.split('\n').filter((l) => l.trim() !== '')) {
    const [, name = '', rest = ''] = /^(\w+)\s+(.*)$/.exec(line) ?? [];
    if (name === 'FROM') list.push([]);
    list.at(-1)?.push({ name, rest });
  }
  return list;
})();
const all = stages.flat();
const image = stages.at(-1) ?? [];
const last = (name: string): string => image.findLast((instruction) => instruction.name === name)?.rest ?? '';
const exec = (name: string): string[] => JSON.parse(last(name)) as string[];

describe('the image', () => {
  it('is of the Node version that the project is tested with', () => {
    const major = packageJson.devDependencies.node.split('.')[0];
    expect(all.find(({ name }) => name === 'ARG')?.rest).toBe(`NODE_IMAGE=node:${major}-slim`);
    for (const { rest } of all.filter(({ name }) => name === 'FROM'))
      expect(rest).toMatch(/^(\$\{NODE_IMAGE\}|manifest)( AS \w+)?$/);
  });

  it('runs as somebody who is not root, by number, and owns nothing', () => {
    expect(last('USER')).toMatch(/^[1-9]\d{3,}:[1-9]\d{3,}$/);
    for (const { rest } of image.filter(({ name }) => name === 'COPY')) expect(rest).not.toContain('--chown');
  });

  it('gives the signals to the program itself, and has a role by default', () => {
    expect(exec('ENTRYPOINT')).toEqual(['node', 'dist/main.js']);
    expect(exec('CMD')).toEqual(['all']);
    expect(last('STOPSIGNAL')).toBe('SIGTERM');
  });

  it('is installed from the lock file, with no install script of anybody', () => {
    const installs = all.filter(({ name, rest }) => name === 'RUN' && rest.includes('npm ')).map(({ rest }) => rest);
    expect(installs.filter((run) => run.includes('npm ci'))).toHaveLength(2);
    for (const run of installs.filter((r) => r.includes('npm ci'))) expect(run).toContain('--ignore-scripts');
    expect(installs.some((run) => /npm (install|i)\b/.test(run))).toBe(false);
    expect(installs.some((run) => run.includes('--omit=dev') && run.includes('--omit=optional'))).toBe(true);
  });

  it('holds the production packages, the compiled program and the migrations, and no secret', () => {
    const copied = image.filter(({ name }) => name === 'COPY').map(({ rest }) => rest.split(' ').at(-1));
    expect(copied).toEqual(['node_modules', 'dist', './', 'migrations']);
    expect(all.map(({ name }) => name)).not.toContain('ADD');
    for (const { name, rest } of all)
      if (name === 'ENV' || name === 'ARG') expect(rest).not.toMatch(/PASSWORD|TOKEN|SECRET|_URL/);
  });

  it('is built from nothing but what is copied: everything else is ignored', () => {
    const lines = readFileSync(join(ROOT, '.dockerignore'), 'utf8')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    expect(lines[0]).toBe('*');
    const kept = lines.slice(1).map((line) => line.replace(/^!/, ''));
    expect(lines.slice(1).every((line) => line.startsWith('!'))).toBe(true);
    const sources = all
      .filter(({ name, rest }) => name === 'COPY' && !rest.includes('--from'))
      .flatMap(({ rest }) => rest.split(' ').slice(0, -1));
    expect(new Set(kept)).toEqual(new Set(sources));
    for (const path of kept) expect([path, existsSync(join(ROOT, path))]).toEqual([path, true]);
  });
});

describe('the health check', () => {
  const command = JSON.parse(last('HEALTHCHECK').replace(/^.*?CMD /, '')) as string[];
  const check = (port: number): Promise<number> =>
    new Promise((resolve) => {
      const child = spawn(process.execPath, command.slice(1), { env: { PORT: String(port) }, stdio: 'ignore' });
      child.on('exit', (code) => resolve(code ?? -1));
    });

  it.each([
    [200, 0],
    [503, 1],
  ])('after an answer of %d ends with %d', async (status, code) => {
    const asked: string[] = [];
    const server = createServer((req, res) => {
      asked.push(req.url ?? '');
      res.writeHead(status).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    expect(await check((server.address() as AddressInfo).port)).toBe(code);
    expect(asked).toEqual(['/healthz']);
    server.close();
  });

  it('ends with 1 when nobody answers', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    expect(await check(port)).toBe(1);
  });
});

describe('the program as it is compiled for the image', () => {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-image-'));
  const main = join(dir, 'dist/main.js');
  const run = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
    promisify(execFile)(process.execPath, [main, ...args], { env, timeout: 20_000 }).then(
      ({ stdout }) => ({ code: 0, stdout, stderr: '' }),
      (error: { code: number; stdout: string; stderr: string }) => error,
    );
  beforeAll(() => {
    const tsc = join(ROOT, 'node_modules/.bin/tsc');
    execFileSync(tsc, ['-p', join(ROOT, 'tsconfig.build.json'), '--outDir', join(dir, 'dist')], { stdio: 'pipe' });
    rmSync(join(dir, 'dist/sandbox'), { recursive: true });
    cpSync(join(ROOT, 'package.json'), join(dir, 'package.json'));
    cpSync(join(ROOT, 'migrations'), join(dir, 'migrations'), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(dir, 'node_modules'));
  }, 120_000);
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  it('says what it can do', async () => {
    const { code, stdout } = await run(['--help']);
    expect(code).toBe(0);
    for (const word of ['api', 'worker', 'migrate', 'DATABASE_URL', 'SLACK_CHANNEL']) expect(stdout).toContain(word);
  });

  it.each(['api', 'worker', 'all', 'migrate'])('names every missing setting of %s, and ends with 2', async (role) => {
    const { code, stderr } = await run([role]);
    expect(code).toBe(2);
    expect(stderr).toContain('DATABASE_URL');
  });

  it('loads every mesh and every provider from the compiled files, and nothing of the sandbox', async () => {
    const script = `const { loadMeshes, loadProviders } = await import(${JSON.stringify(join(dir, 'dist/adapters/registry.js'))});
      await import(${JSON.stringify(join(dir, 'dist/serve.js'))});
      await import(${JSON.stringify(join(dir, 'dist/administer.js'))});
      console.log([...(await loadMeshes()).keys()].join(), [...(await loadProviders()).keys()].join());`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { cwd: dir });
    expect(stdout.trim()).toBe('gateway-api,istio,linkerd-smi direct,prometheus');
  });

  it('needs no package but those that production installs', () => {
    const allowed = new Set(Object.keys(packageJson.dependencies));
    const files = readdirSync(join(dir, 'dist'), { recursive: true, encoding: 'utf8' }).filter((file) =>
      file.endsWith('.js'),
    );
    expect(files.length).toBeGreaterThan(50);
    for (const file of files) {
      const code = readFileSync(join(dir, 'dist', file), 'utf8');
      for (const [, specifier = ''] of code.matchAll(/(?:^|[\s}])(?:from\s|import\()\s*'([^'.\n][^'\n]*)'/g)) {
        const name = specifier.startsWith('@')
          ? specifier.split('/').slice(0, 2).join('/')
          : (specifier.split('/')[0] ?? '');
        if (!name.startsWith('node:'))
          expect([file, allowed.has(name) ? name : `${name} is no dependency`]).toEqual([file, name]);
      }
    }
  });
});
