import { existsSync, readFileSync } from 'node:fs';
import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Project, project } from './project.ts';

const passed = (fullName: string) => ({ status: 'passed', fullName });
const report = (files: readonly object[]) => JSON.stringify({ testResults: files });

/** Writes what FAKE_REPORT holds where Vitest would, and ends with FAKE_CODE. */
const VITEST = `
const fs = require('node:fs');
const out = process.argv.find((a) => a.startsWith('--outputFile.json=')).slice('--outputFile.json='.length);
console.log('vitest was run with ' + process.argv.slice(2).filter((a) => !a.startsWith('--')).join(' '));
if (process.env.FAKE_REPORT) fs.writeFileSync(out, process.env.FAKE_REPORT);
if (process.env.FAKE_ORPHAN) require('node:child_process').spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60000)'], { detached: true, stdio: 'ignore' }).unref();
if (process.env.FAKE_HANG) setInterval(() => {}, 1000);
else process.exitCode = Number(process.env.FAKE_CODE ?? 0);
`;
const CHECK = (name: string) =>
  `console.log('${name} was run'); process.exitCode = process.env.FAKE_${name.toUpperCase()} ? 2 : 0;`;

/** Gone, or dead and not yet reaped. */
async function ended(pid: number): Promise<boolean> {
  for (const end = Date.now() + 3_000; Date.now() < end; await sleep(20)) {
    try {
      process.kill(pid, 0);
      if (existsSync(`/proc/${pid}/cmdline`) && readFileSync(`/proc/${pid}/cmdline`, 'utf8') === '') return true;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'ESRCH';
    }
  }
  return false;
}

describe('npm test', () => {
  let sut: Project;
  beforeEach(async () => {
    sut = await project('test.mjs');
    await sut.program('node_modules/.bin/vitest', VITEST);
    await sut.program('node_modules/.bin/tsc', CHECK('tsc'));
    await sut.program('node_modules/.bin/biome', CHECK('biome'));
  });
  afterEach(() => sut.remove());

  const good = (root: string) =>
    report([
      {
        name: join(root, 'test/a.test.ts'),
        status: 'passed',
        message: '',
        assertionResults: [passed('a'), passed('b')],
      },
    ]);

  it('runs type check, lint and tests, and ends with the count', async () => {
    const ran = await sut.run([], { env: { FAKE_REPORT: good(sut.root) } });
    expect(ran.lines[0]).toMatch(/^type check: ok \(/);
    expect(ran.lines[1]).toMatch(/^lint: ok \(/);
    expect(ran.lines.at(-1)).toBe('2 passed, 0 failed');
    expect(ran.code).toBe(0);
  });

  it('runs only Vitest where it is given arguments', async () => {
    const ran = await sut.run(['test/domain'], { env: { FAKE_REPORT: good(sut.root), FAKE_TSC: 'fails' } });
    expect(ran.lines).toEqual(['vitest was run with run test/domain', '2 passed, 0 failed']);
    expect(ran.code).toBe(0);
  });

  it.each([
    ['type check', { FAKE_TSC: 'fails' }, 'tsc was run'],
    ['lint', { FAKE_BIOME: 'fails' }, 'biome was run'],
  ])('fails where the %s fails, prints its output, and still runs the tests', async (what, env, output) => {
    const ran = await sut.run([], { env: { FAKE_REPORT: good(sut.root), ...env } });
    expect(ran.code).toBe(1);
    expect(ran.lines).toContain(output);
    expect(ran.lines.at(-2)).toBe(`FAILED: ${what}`);
    expect(ran.lines.at(-1)).toBe('2 passed, 0 failed');
  });

  it('names each failed test and each file that could not be loaded, and counts both', async () => {
    const text = report([
      {
        name: join(sut.root, 'test/a.test.ts'),
        status: 'failed',
        message: '',
        assertionResults: [passed('a'), { status: 'failed', fullName: 'a thing works' }],
      },
      {
        name: join(sut.root, 'test/b.test.ts'),
        status: 'failed',
        message: 'Cannot find module\nstack',
        assertionResults: [],
      },
    ]);
    const ran = await sut.run(['test'], { env: { FAKE_REPORT: text, FAKE_CODE: '1' } });
    expect(ran.code).toBe(1);
    expect(ran.lines.slice(-3)).toEqual([
      'FAILED: test/a.test.ts > a thing works',
      'FAILED: test/b.test.ts: Cannot find module',
      '1 passed, 2 failed',
    ]);
  });

  it('says how many were skipped', async () => {
    const text = report([
      {
        name: 'a',
        status: 'passed',
        message: '',
        assertionResults: [passed('a'), { status: 'skipped', fullName: 'b' }, { status: 'todo', fullName: 'c' }],
      },
    ]);
    const ran = await sut.run(['test'], { env: { FAKE_REPORT: text } });
    expect(ran.lines.at(-1)).toBe('1 passed, 0 failed, 2 skipped');
  });

  it('fails where no test ran', async () => {
    const ran = await sut.run(['test/none'], { env: { FAKE_REPORT: report([]) } });
    expect(ran.lines.slice(-2)).toEqual(['FAILED: tests (none ran)', '0 passed, 0 failed']);
    expect(ran.code).toBe(1);
  });

  it('fails where Vitest fails although no test did', async () => {
    const ran = await sut.run(['test'], { env: { FAKE_REPORT: good(sut.root), FAKE_CODE: '1' } });
    expect(ran.lines.at(-2)).toBe(
      'FAILED: tests (Vitest ended with code 1 although no test failed: see the error above)',
    );
    expect(ran.code).toBe(1);
  });

  it('fails where Vitest leaves no report', async () => {
    const ran = await sut.run(['test'], { env: { FAKE_CODE: '139' } });
    expect(ran.lines.slice(-2)).toEqual([
      'FAILED: tests (Vitest ended with code 139 and left no report)',
      '0 passed, 0 failed',
    ]);
    expect(ran.code).toBe(1);
  });

  it('ends a run that hangs', async () => {
    const ran = await sut.run(['test'], { env: { FAKE_HANG: 'yes', TEST_DEADLINE_MINUTES: '0.01' } });
    expect(ran.output).toContain('the tests did not end within 0.01 minutes');
    expect(ran.lines.at(-1)).toBe('0 passed, 0 failed');
    expect(ran.code).toBe(1);
  });

  it('ends, and names, a process that the tests left behind', async () => {
    const ran = await sut.run(['test'], { env: { FAKE_REPORT: good(sut.root), FAKE_ORPHAN: 'yes' } });
    const line = ran.lines.find((text) => text.startsWith('left behind by the tests, ended: '));
    const pid = Number(/ended: (\d+) /.exec(line ?? '')?.[1]);
    expect(line).toContain('setTimeout');
    expect(await ended(pid)).toBe(true);
  });

  it('passes Ctrl-C on to Vitest', async () => {
    const ran = await sut.run(['test'], {
      env: { FAKE_HANG: 'yes' },
      signal: { name: 'SIGINT', at: 'vitest was run' },
    });
    expect(ran.code).toBe(1);
    expect(ran.lines.at(-1)).toBe('0 passed, 0 failed');
  });
});

describe('npm test with the real Vitest', () => {
  it('reads its report: passed, failed, skipped, and a file that cannot be loaded', async () => {
    const sut = await project('test.mjs');
    await symlink(fileURLToPath(new URL('../../node_modules', import.meta.url)), join(sut.root, 'node_modules'));
    await sut.write('package.json', '{"type":"module"}');
    await sut.write(
      'test/some.test.ts',
      `import { describe, expect, it } from 'vitest';
       describe('some', () => {
         it('pass', () => expect(1).toBe(1));
         it('fail', () => expect(1).toBe(2));
         it.skip('wait', () => {});
         it.todo('come');
       });`,
    );
    await sut.write('test/broken.test.ts', `import './absent.ts';`);
    await sut.write(
      'test/hook.test.ts',
      `import { beforeAll, expect, it } from 'vitest'; beforeAll(() => { throw new Error('no server'); }); it('needs it', () => expect(1).toBe(1));`,
    );
    const ran = await sut.run(['--root', sut.root]);
    await sut.remove();
    expect(ran.lines.at(-1)).toBe('1 passed, 3 failed, 3 skipped');
    expect(ran.lines).toContain('FAILED: test/some.test.ts > some fail');
    expect(ran.lines).toContainEqual(expect.stringMatching(/^FAILED: test\/broken\.test\.ts: .*absent/));
    expect(ran.lines).toContainEqual(expect.stringMatching(/^FAILED: test\/hook\.test\.ts: /));
    expect(ran.code).toBe(1);
  });
});
