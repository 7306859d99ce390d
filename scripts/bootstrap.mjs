/**
 * First step of `npm test`, `npm run demo` and `npm run bench`: brings a fresh clone to where the next command can run, and says what it
 * does. Plain JavaScript without dependencies, for any Node from 20 on: nothing is installed yet when it starts.
 *
 *   node scripts/bootstrap.mjs --for test|demo|bench|judge -- <script> [arguments]
 *
 * What follows `--` is then run by the project's own Node. It cannot be the next command of the npm script: a shell that
 * has found `node` once does not look again, and would go on with the old one.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  accessSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const WANTED_NODE = 24;
const OLDEST_NODE = 20;
const MINUTE = 60_000;

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const modules = join(root, 'node_modules');
const marker = join(modules, '.sluice-install');
const ownNode = join(modules, '.bin', 'node');

/** Where a program is to read what is printed, it is not ours to print there. */
const forPrograms = process.argv.includes('--json');
const say = (line) => (forPrograms ? process.stderr : process.stdout).write(`[setup] ${line}\n`);

/** Trouble that the reader can do something about: printed without a stack. */
class Trouble extends Error {}

// ── packages ────────────────────────────────────────────────────────────────────────────────────────────────────────

const lockText = () => readFileSync(join(root, 'package-lock.json'), 'utf8');
const hash = (text) => createHash('sha256').update(text).digest('hex');

/** null: what is installed is what the lock file says; otherwise why not. */
function whyInstall() {
  if (!existsSync(modules)) return 'nothing is installed yet';
  const text = lockText();
  const wanted = Object.entries(JSON.parse(text).packages).filter(
    ([path, { optional, link }]) => path !== '' && !optional && !link,
  );
  const lost = wanted.find(([path]) => !existsSync(join(root, path, 'package.json')));
  if (lost !== undefined) return `${short(lost[0])} is missing`;
  if (existsSync(marker) && readFileSync(marker, 'utf8').trim() === hash(text)) return null;
  // No marker: somebody ran npm by hand. npm's own record says whether that was this lock file.
  const record = join(modules, '.package-lock.json');
  if (!existsSync(record)) return 'the last installation did not end';
  const installed = JSON.parse(readFileSync(record, 'utf8')).packages;
  const other = wanted.find(([path, { version }]) => installed[path]?.version !== version);
  if (other !== undefined) return `package-lock.json changed: ${short(other[0])} ${other[1].version}`;
  writeFileSync(marker, `${hash(text)}\n`);
  return null;
}

const short = (path) => path.replace('node_modules/', '');

async function installPackages(why) {
  say(`Installing packages with npm ci (${why}); about a minute the first time`);
  const started = Date.now();
  // Vitest and others ask for a newer Node than the one that installs them; the project's own Node runs them.
  const flags = [
    '--include=dev',
    '--include=optional',
    '--engine-strict=false',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
    '--fetch-timeout=60000', // a stalled download: npm's own 5 minutes are long
    '--fetch-retries=5',
  ];
  const ran = await runNpm(['ci', ...flags], {
    cwd: root,
    timeout: 20 * MINUTE,
    patience: 'Still installing packages',
  });
  if (!ran.ok) throw new Trouble(`npm ci failed (${ran.how}):\n${ran.output}`);
  writeFileSync(marker, `${hash(lockText())}\n`);
  say(`Installed in ${Math.round((Date.now() - started) / 1000)} s`);
}

/**
 * npm with a Node from outside node_modules: npm scripts put node_modules/.bin first on the PATH, and `npm ci` begins by
 * deleting the Node it finds there.
 */
async function runNpm(arguments_, options) {
  const outside = pathOutside();
  let borrowed = null;
  if (findProgram('node', outside) === null) {
    borrowed = mkdtempSync(join(tmpdir(), 'sluice-node-'));
    copyFileSync(process.execPath, join(borrowed, 'node'));
    outside.unshift(borrowed);
  }
  const npm = findProgram('npm', outside);
  const cli = process.env.npm_execpath;
  const viaCli = npm === null && cli !== undefined && /npm-cli\.[cm]?js$/.test(cli);
  if (npm === null && !viaCli)
    throw new Trouble('npm was not found on the PATH. It comes with Node.js: https://nodejs.org/en/download');
  const command = viaCli ? findProgram('node', outside) : npm;
  try {
    return await run(command, viaCli ? [cli, ...arguments_] : arguments_, {
      ...options,
      env: { ...plainEnvironment(), PATH: outside.join(delimiter) },
    });
  } finally {
    if (borrowed !== null) rmSync(borrowed, { recursive: true, force: true });
  }
}

const pathOutside = () =>
  (process.env.PATH ?? '').split(delimiter).filter((dir) => dir !== '' && !dir.includes('node_modules'));

/**
 * Without what an outer `npm test` tells its scripts; its settings (npm_config_*) stay. Not those that point into
 * node_modules: an npm that was itself run by the Node in there takes that for its home and misses the machine's npmrc.
 */
const plainEnvironment = () =>
  Object.fromEntries(
    Object.entries(process.env).filter(
      ([name, value]) =>
        !/^(npm_(lifecycle|package|command|execpath|node_execpath)|INIT_CWD$|NODE$|NODE_OPTIONS$)/.test(name) &&
        !(name.startsWith('npm_config_') && value.includes('node_modules')),
    ),
  );

// ── Node ────────────────────────────────────────────────────────────────────────────────────────────────────────────

const major = (version) => Number(/^v?(\d+)\./.exec(version)?.[1] ?? 0);

const isWanted = async (node) => {
  const ran = await run(node, ['--version'], { timeout: MINUTE });
  return ran.ok && major(ran.output.trim()) >= WANTED_NODE;
};

/** The package `node` brings its binary by an install script; those are often switched off (npm's ignore-scripts, later npm versions). */
async function provideNode() {
  if (existsSync(ownNode) && (await isWanted(ownNode))) return;
  const home = join(modules, 'node');
  if (existsSync(join(home, 'installArchSpecificPackage.js'))) {
    say(
      `Installing Node ${JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')).version} into node_modules (its install script did not run)`,
    );
    const outside = pathOutside();
    const ran = await run(process.execPath, ['installArchSpecificPackage.js'], {
      cwd: home,
      timeout: 10 * MINUTE,
      env: {
        ...plainEnvironment(),
        PATH: [dirname(process.execPath), ...outside].join(delimiter),
        npm_config_ignore_scripts: 'false',
      },
    });
    const binary = join(home, 'bin', 'node');
    if (ran.ok && (await isWanted(binary))) return link(binary);
    say(`That failed (${ran.how}): ${lastLines(ran.output, 3)}`);
  }
  if (major(process.versions.node) >= WANTED_NODE) {
    say(`Using this machine's Node ${process.versions.node}`);
    return link(process.execPath);
  }
  throw new Trouble(
    `Node ${WANTED_NODE} is needed to run Sluice, and neither npm's package of it works on this machine (${process.platform} ${process.arch}) nor is this Node (${process.versions.node}) new enough. Install it: https://nodejs.org/en/download`,
  );
}

function link(binary) {
  mkdirSync(dirname(ownNode), { recursive: true });
  rmSync(ownNode, { force: true });
  symlinkSync(binary, ownNode);
}

// ── servers ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Programs that npm does not bring. Where there are several names for one, any of them will do. */
const SERVERS = {
  redis: { programs: ['redis-server'], debian: 'redis-server', brew: 'redis', what: 'Redis' },
  prometheus: { programs: ['prometheus', 'promtool'], debian: 'prometheus', brew: 'prometheus', what: 'Prometheus' },
  // The tests of the page drive a real browser. (Ubuntu's package of that name is a snap, which containers cannot run.)
  chromium: {
    programs: [['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']],
    debian: 'chromium',
    brew: 'chromium',
    what: 'Chromium',
  },
};

/** PATH of an ordinary account often lacks the last ones. */
const SERVER_PLACES = ['/usr/bin', '/usr/sbin', '/usr/local/bin', '/usr/local/sbin', '/opt/homebrew/bin'];

const serverPath = () => [...(process.env.PATH ?? '').split(delimiter), ...SERVER_PLACES];

const missing = (names) =>
  names.filter((name) =>
    SERVERS[name].programs.some((program) => [program].flat().every((one) => findProgram(one, serverPath()) === null)),
  );

async function provideServers(names, isEnough) {
  const absent = missing(names);
  if (absent.length === 0) return;
  const what = absent.map((name) => SERVERS[name].what).join(' and ');
  const packages = absent.map((name) => SERVERS[name].debian);
  const asRoot = await rootCommand();
  let failure = null;
  if (findProgram('apt-get', serverPath()) !== null && asRoot !== null) {
    say(`Installing ${what} with apt-get (${packages.join(', ')}); their services are not started`);
    const started = Date.now();
    const ran = await aptInstall(asRoot, packages);
    if (missing(names).length === 0) {
      say(`Installed in ${Math.round((Date.now() - started) / 1000)} s`);
      return;
    }
    failure = `apt-get could not install ${packages.join(', ')} (${ran.how}): ${lastLines(ran.output, 4)}`;
  }
  const advice = `${what} must be on the PATH (${absent.flatMap((name) => SERVERS[name].programs.map((program) => [program].flat().join(' or '))).join(', ')}). Debian, Ubuntu: sudo apt-get install -y --no-install-recommends ${packages.join(' ')}. macOS: brew install ${absent.map((name) => SERVERS[name].brew).join(' ')}.`;
  const text = failure === null ? advice : `${failure}\n${advice}`;
  if (!isEnough) throw new Trouble(text);
  say(`${text} Going on without: only some tests were asked for.`);
}

/** How to run a command as root without being asked; null: there is no way. */
async function rootCommand() {
  if (process.getuid?.() === 0) return [];
  const sudo = findProgram('sudo', serverPath());
  return sudo !== null && (await run(sudo, ['-n', 'true'], { timeout: 10_000 })).ok ? [sudo, '-n'] : null;
}

/**
 * Debian starts a server as soon as it is installed, unless policy-rc.d says no (101): a second Prometheus on port 9090
 * is nobody's wish. The lists' lock is not waited for by apt itself; another apt-get may hold it for a while.
 */
const APT = `
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  trap 'exit 130' INT TERM HUP
  printf '#!/bin/sh\\nexit 101\\n' > "$policy"
  chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
try=0
until apt-get -q -o DPkg::Lock::Timeout=180 -o Acquire::Retries=3 update; do
  try=$((try + 1))
  [ "$try" -lt 4 ] || break
  sleep 5
done
apt-get -q -y -o DPkg::Lock::Timeout=180 -o Acquire::Retries=3 install --no-install-recommends "$@"
`;

function aptInstall(asRoot, packages) {
  const [command, ...arguments_] = [...asRoot, 'sh', '-c', APT, 'apt', ...packages];
  return run(command, arguments_, { timeout: 10 * MINUTE, patience: 'Still installing servers' });
}

// ── programs ────────────────────────────────────────────────────────────────────────────────────────────────────────

function findProgram(name, places) {
  for (const dir of places) {
    const path = join(dir, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch (error) {
      if (!['ENOENT', 'EACCES', 'ENOTDIR'].includes(error.code)) throw error;
    }
  }
  return null;
}

/** Runs a program to its end. `output`: both its streams. `patience`: said every 20 s, with the time that has passed. */
function run(command, arguments_, { timeout, patience = null, ...options }) {
  return new Promise((fulfil) => {
    const started = Date.now();
    const child = spawn(command, arguments_, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    let output = '';
    let late = false;
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (part) => {
        output += part;
      });
    }
    const limit = setTimeout(() => {
      late = true;
      child.kill('SIGTERM');
      setTimeout(() => child.kill('SIGKILL'), 10_000).unref();
    }, timeout);
    const progress = setInterval(() => {
      if (patience !== null) say(`${patience} (${Math.round((Date.now() - started) / 1000)} s)`);
    }, 20_000);
    const end = (ok, how) => {
      clearTimeout(limit);
      clearInterval(progress);
      fulfil({ ok, how: late ? `not finished after ${timeout / MINUTE} min` : how, output });
    };
    child.on('error', (error) => end(false, error.message));
    child.on('close', (code, signal) => end(code === 0, signal === null ? `exit code ${code}` : `signal ${signal}`));
  });
}

const lastLines = (text, count) => text.trim().split('\n').slice(-count).join(' | ');

/** Runs the rest with the project's Node and becomes its exit code. A signal is passed on, and the rest decides. */
function handOver(rest) {
  const path = [
    join(modules, '.bin'),
    ...(process.env.PATH ?? '').split(delimiter).filter((dir) => dir !== ''),
    ...SERVER_PLACES,
  ];
  const child = spawn(ownNode, rest, {
    stdio: 'inherit',
    env: { ...process.env, PATH: [...new Set(path)].join(delimiter) },
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      // Ctrl-C reaches the whole foreground group by itself.
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    });
  }
  child.on('error', (error) => fail(new Trouble(`${ownNode} cannot be run: ${error.message}`)));
  child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 143)));
}

// ── main ────────────────────────────────────────────────────────────────────────────────────────────────────────────

function fail(error) {
  process.stderr.write(`\n[setup] FAILED: ${error instanceof Trouble ? error.message : error.stack}\n`);
  process.exit(1);
}

async function main(argv) {
  const split = argv.indexOf('--');
  const own = split === -1 ? argv : argv.slice(0, split);
  const rest = split === -1 ? [] : argv.slice(split + 1);
  const purpose = own[0] === '--for' ? own[1] : undefined;
  if (own.length !== 2 || !['test', 'demo', 'bench', 'judge'].includes(purpose))
    throw new Trouble('usage: node scripts/bootstrap.mjs --for test|demo|bench|judge -- <script> [arguments]');
  if (process.platform === 'win32')
    throw new Trouble(
      'Sluice runs on Linux and macOS. On Windows use WSL: https://learn.microsoft.com/windows/wsl/install',
    );
  if (major(process.versions.node) < OLDEST_NODE)
    throw new Trouble(
      `Node ${OLDEST_NODE} or newer is needed to install Sluice (this is ${process.versions.node}): https://nodejs.org/en/download`,
    );
  const why = whyInstall();
  if (why !== null) await installPackages(why);
  await provideNode();
  // What is asked for beyond the script itself is a part of the tests, or the demo's options.
  const wanted = {
    bench: ['redis'],
    // Simulated, all of it.
    judge: [],
    test: ['redis', 'prometheus', 'chromium'],
    demo: rest.includes('--redis') ? ['redis', 'prometheus'] : ['prometheus'],
  };
  await provideServers(wanted[purpose], purpose === 'test' && rest.length > 1);
  if (rest.length > 0) handOver(rest);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  fail(error);
}
