/** The `sluice` command that the action runs: its own commit's, from source, unless another is named. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = join(HERE, '../..');

/** Program and first arguments. Throws with what to do where it cannot be made ready. */
export function commandOf(path) {
  if (path !== '') return /\.[cm]?[jt]s$/.test(path) ? node(path) : [path];
  makeReady();
  return node(join(ROOT, 'src/cli/main.ts'));
}

/** Types are stripped by Node itself; older 24s say that this is an experiment. */
const node = (file) => [process.execPath, '--disable-warning=ExperimentalWarning', file];

/** A runner has the action's repository, but no packages. Waiting needs one, the reader of YAML, at the service's version. */
function makeReady() {
  if (existsSync(join(ROOT, 'node_modules/yaml'))) return;
  const { error, status, stderr } = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: HERE,
    encoding: 'utf8',
  });
  if (error !== undefined || status !== 0)
    throw new Error(
      `npm ci in the action's folder: ${error?.message ?? stderr.trim()}. Give cli-path, or put actions/setup-node before`,
    );
  if (!existsSync(join(ROOT, 'node_modules'))) symlinkSync(join(HERE, 'node_modules'), join(ROOT, 'node_modules'));
}

/**
 * `said`: each line of its standard error as it comes. A session of its own: what is sent to the group of the action does
 * not reach it a second time.
 */
export function begin([program, ...first], args, env, said) {
  const child = spawn(program, [...first, ...args], { env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, rest, last, details] = ['', '', '', []];
  const line = (text) => {
    if (text.startsWith('sluice: ')) [last, details] = [text.slice('sluice: '.length), []];
    // What is wrong stands below, fault by fault; what to do about it is indented.
    else if (last !== '' && text !== '' && !text.startsWith(' ')) details.push(text);
    said(text);
  };
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    const lines = `${rest}${text}`.split('\n');
    rest = lines.pop() ?? '';
    for (const one of lines) line(one);
  });
  const ended = new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      if (rest !== '') line(rest);
      // Without a code it was killed: the rollout goes on, as after Ctrl-C.
      resolve({ code: code ?? 130, document: documentOf(stdout), stdout, trouble: last, details });
    });
  });
  return {
    ended,
    /** Whatever the command was started by gets it too. */
    kill(signal) {
      try {
        process.kill(-child.pid, signal);
      } catch {
        child.kill(signal);
      }
    },
  };
}

function documentOf(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
