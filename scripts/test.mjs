/**
 * All checks: type check, lint, tests. With arguments, only Vitest with those: `npm test -- test/domain`.
 * The last line is always `N passed, N failed`, with `, N skipped` where tests were skipped.
 */
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const bin = join(root, 'node_modules', '.bin');
const MINUTE = 60_000;
/** Of the whole Vitest run: a hang ends as a failure that says so. */
const DEADLINE = Number(process.env.TEST_DEADLINE_MINUTES ?? 80) * MINUTE;

const say = (line) => process.stdout.write(`${line}\n`);
const seconds = (since) => `${((Date.now() - since) / 1000).toFixed(1)} s`;
const troubles = [];

// ── type check, lint ────────────────────────────────────────────────────────────────────────────────────────────────

function check(what, command, arguments_) {
  const started = Date.now();
  const ended = spawnSync(join(bin, command), arguments_, {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    timeout: 10 * MINUTE,
  });
  if (ended.status === 0) {
    say(`${what}: ok (${seconds(started)})`);
    return;
  }
  const how = ended.error?.message ?? (ended.signal === null ? `exit code ${ended.status}` : `signal ${ended.signal}`);
  say(`${ended.stdout ?? ''}${ended.stderr ?? ''}`);
  say(`FAILED: ${what} (${how}, ${seconds(started)})`);
  troubles.push(what);
}

// ── tests ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Every test's temporary files go below this directory, and every process that a test starts has it in its environment,
 * its arguments or its working directory: so what is left behind can be told from what others run on this machine.
 */
function privateTemp() {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'sluice-test-')));
  chmodSync(dir, 0o755); // servers that refuse to run as root run as nobody
  return dir;
}

/** The exit code of Vitest; null: it had to be ended. In a process group of its own, so that all of it can be ended. */
function vitest(arguments_, report, temp) {
  return new Promise((fulfil) => {
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
    const child = spawn(join(bin, 'vitest'), ['run', ...reporters, ...arguments_], {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
      detached: true,
      env: { ...process.env, TMPDIR: temp },
    });
    const signal = (name) => {
      try {
        process.kill(-child.pid, name);
      } catch (error) {
        if (error.code !== 'ESRCH') throw error;
      }
    };
    let late = false;
    const deadline = setTimeout(() => {
      late = true;
      say(`\nthe tests did not end within ${DEADLINE / MINUTE} minutes`);
      signal('SIGTERM');
      setTimeout(() => signal('SIGKILL'), 10_000).unref();
    }, DEADLINE);
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, () => signal(name));
    child.on('error', (error) => {
      say(`vitest cannot be run: ${error.message}`);
      fulfil(null);
    });
    child.on('exit', (code) => {
      clearTimeout(deadline);
      fulfil(late ? null : code);
    });
  });
}

/** Counts and names from Vitest's JSON report; null: there is none. */
function readReport(path) {
  if (!existsSync(path)) return null;
  const { testResults } = JSON.parse(readFileSync(path, 'utf8'));
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const failures = [];
  for (const { name, status, assertionResults, message } of testResults) {
    const file = relative(root, name);
    const failed = assertionResults.filter((test) => test.status === 'failed');
    counts.passed += assertionResults.filter((test) => test.status === 'passed').length;
    counts.failed += failed.length;
    counts.skipped +=
      assertionResults.length - failed.length - assertionResults.filter((test) => test.status === 'passed').length;
    for (const test of failed) failures.push(`${file} > ${test.fullName}`);
    // A file that cannot be loaded, or whose hook fails, has no failed test of its own.
    if (status === 'failed' && failed.length === 0) {
      counts.failed += 1;
      failures.push(`${file}: ${(message || 'the file failed outside its tests').split('\n')[0]}`);
    }
  }
  return { ...counts, failures };
}

// ── what is left behind ─────────────────────────────────────────────────────────────────────────────────────────────

function leftBehind(temp) {
  return existsSync('/proc/self/environ') ? fromProc(temp) : fromPs(temp);
}

function fromProc(temp) {
  const read = (pid, name) => {
    try {
      return name === 'cwd' ? readlinkSync(`/proc/${pid}/cwd`) : readFileSync(`/proc/${pid}/${name}`, 'utf8');
    } catch (error) {
      if (['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes(error.code)) return '';
      throw error;
    }
  };
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid)
    .filter((pid) => ['cmdline', 'cwd', 'environ'].some((name) => read(pid, name).includes(temp)))
    .map((pid) => ({ pid: Number(pid), command: read(pid, 'cmdline').replaceAll('\0', ' ').trim() }))
    .filter(({ command }) => command !== ''); // ended already, not yet reaped
}

function fromPs(temp) {
  const { stdout } = spawnSync('ps', ['-A', '-o', 'pid=,args='], { encoding: 'utf8' });
  return (stdout ?? '')
    .split('\n')
    .filter((line) => line.includes(temp))
    .map((line) => ({ pid: Number.parseInt(line, 10), command: line.trim().replace(/^\d+\s+/, '') }));
}

function endAll(processes) {
  for (const { pid, command } of processes) {
    say(`left behind by the tests, ended: ${pid} ${command.slice(0, 160)}`);
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      if (error.code !== 'ESRCH') say(`  it could not be ended: ${error.message}`);
    }
  }
}

// ── main ────────────────────────────────────────────────────────────────────────────────────────────────────────────

const arguments_ = process.argv.slice(2);
if (arguments_.length === 0) {
  check('type check', 'tsc', ['-p', 'tsconfig.json', '--noEmit']);
  check('lint', 'biome', ['check', '.']);
}

const temp = privateTemp();
const path = join(temp, 'report.json');
const code = await vitest(arguments_, path, temp);
const report = readReport(path);
endAll(leftBehind(temp));
rmSync(temp, { recursive: true, force: true, maxRetries: 3 });

if (report === null)
  troubles.push(`tests (Vitest ended with ${code === null ? 'a signal' : `code ${code}`} and left no report)`);
else {
  for (const failure of report.failures) say(`FAILED: ${failure}`);
  if (report.passed + report.failed === 0) troubles.push('tests (none ran)');
  else if (code !== 0 && report.failed === 0)
    troubles.push(
      `tests (Vitest ended with ${code === null ? 'a time-out' : `code ${code}`} although no test failed: see the error above)`,
    );
}
for (const trouble of troubles) say(`FAILED: ${trouble}`);
const { passed = 0, failed = 0, skipped = 0 } = report ?? {};
say(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
process.exitCode = troubles.length > 0 || failed > 0 ? 1 : 0;
