/** Starts a rollout, waits for it, and tells GitHub what came of it. What happens on the way there is the command's work. */
import { begin, commandOf } from './cli.mjs';
import { annotate, choice, input, mask, output, quoting, say, summary } from './runner.mjs';

/** A cancelled step has 7.5 s before SIGTERM: this much of it is for the abort, the rest for telling. */
const GRACE_MS = 4_000;
const LAST_WORDS_MS = 2_000;

const FAULTS_TOLD = 10;

const DONE = 0;
const USAGE = 2;
const TIMED_OUT = 5;
const PAUSED = 6;
/** Beside aborted: nothing of it goes on. */
const ENDED = ['succeeded', 'rolled_back', 'superseded', 'failed'];

class Wrong extends Error {}
const wrong = (message) => {
  throw new Wrong(message);
};

function settings() {
  const [server, plan, audience, token] = ['server', 'plan', 'audience', 'token'].map(input);
  if (token !== '') mask(token);
  if (server === '' || plan === '') wrong('server and plan are wanted');
  if ((audience === '') === (token === ''))
    wrong(
      `wanted audience (the id token of the job) or token (an API token); found ${token === '' ? 'neither' : 'both'}`,
    );
  return {
    server,
    plan,
    audience,
    token,
    set: input('set')
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== ''),
    wait: choice('wait', ['true', 'false'], wrong) === 'true',
    until: choice('until', ['finished', 'paused'], wrong),
    timeout: input('timeout'),
    abort: choice('on-cancel', ['detach', 'abort'], wrong) === 'abort',
    command: commandOf(input('cli-path')),
  };
}

/** The token is in the environment alone: arguments can be read by every process. */
function environment({ server, audience, token }) {
  const { SLUICE_TOKEN: _, SLUICE_TOKEN_FILE: __, SLUICE_OIDC_AUDIENCE: ___, ...env } = process.env;
  for (const name of Object.keys(env)) if (name.startsWith('INPUT_')) delete env[name];
  return {
    ...env,
    SLUICE_URL: server,
    ...(token === '' ? { SLUICE_OIDC_AUDIENCE: audience } : { SLUICE_TOKEN: token }),
  };
}

async function main() {
  const wanted = settings();
  const endQuote = quoting();
  let found;
  try {
    found = await rollout(wanted);
  } finally {
    endQuote();
  }
  report(found, wanted);
}

async function rollout({ command, plan, set, wait, until, timeout, abort, ...access }) {
  const env = environment(access);
  const cancel = cancellation();
  const run = async (args, within = null) => {
    const running = begin(command, args, env, say);
    cancel.sendTo(running);
    const late = within === null ? undefined : setTimeout(() => running.kill('SIGKILL'), within);
    try {
      return await running.ended;
    } finally {
      clearTimeout(late);
      cancel.sendTo(null);
    }
  };

  const interrupt = ['--on-interrupt', abort ? 'abort' : 'leave'];
  const sets = set.flatMap((one) => ['--set', one]);
  // In two parts: the id is known, and an output, before the waiting begins.
  let ran = await run(['run', plan, ...sets, '--no-wait', '-o', 'json', ...interrupt]);
  const started = ran.document;
  const id = idOf(started);
  if (id !== null) output('id', id);
  const limit = timeout === '' ? [] : ['--timeout', timeout];
  const pause = until === 'paused' ? ['--exit-when-paused'] : [];
  if (ran.code === DONE && id !== null && wait && !cancel.heard)
    ran = await run(['wait', id, '-o', 'json', ...limit, ...pause, ...interrupt]);
  // Cancelled while the first part ran, or between the two: an abort that is sent twice is one.
  else if (id !== null && cancel.heard && abort)
    await run(['abort', id, '--reason', 'the workflow was cancelled'], LAST_WORDS_MS);
  cancel.over();
  const told = id === null ? null : await lastWords(run, id, cancel.heard ? LAST_WORDS_MS : null);
  const seen = idOf(ran.document) === null ? started : ran.document;
  return { id, seen, ran, told, cancelled: cancel.heard };
}

const idOf = (document) =>
  typeof document?.id === 'string' && typeof document.status === 'string' ? document.id : null;

/** The first signal goes to the command, which knows what is wanted of it; after a while it is ended. */
function cancellation() {
  let running = null;
  let heard = false;
  let timer;
  const first = () => {
    if (heard) return;
    heard = true;
    running?.kill('SIGINT');
    timer = setTimeout(() => running?.kill('SIGKILL'), GRACE_MS);
  };
  process.on('SIGINT', first);
  process.on('SIGTERM', first);
  return {
    get heard() {
      return heard;
    },
    sendTo(next) {
      running = next;
    },
    over: () => clearTimeout(timer),
  };
}

/** null where nothing more can be learnt: what the command said must do then. */
async function lastWords(run, id, within) {
  const quietly = async (args) => run(args, within).catch(() => null);
  const [data, markdown] = await Promise.all([quietly(['summary', id, '-o', 'json']), quietly(['summary', id])]);
  if (data?.code !== DONE || data.document === null) return null;
  return { ...data.document, markdown: markdown?.code === DONE ? markdown.stdout : null };
}

function report({ id, seen, ran, told, cancelled }, { plan, until }) {
  const { code, trouble, details } = ran;
  const status = told?.status ?? (id === null ? '' : seen.status);
  const reason = told?.sentence ?? (trouble || seen?.outcome?.message || 'the command gave no answer');
  const whole = id === null ? [reason, ...firstOf(details)].join('\n') : reason;
  output('url', told?.page ?? '');
  output('status', status);
  output('reason', reason);
  output('step', told?.step ?? '');
  output('duration', told === null ? '' : Math.round(told.tookMs / 1000));
  output('exit-code', code);
  summary(told?.markdown ?? `### ${id ?? plan}: ${status || 'not started'}\n\n\`\`\`\n${whole}\n\`\`\`\n`);

  const where = told?.page ?? id ?? '';
  const words = where === '' ? whole : `${reason}. ${where}`;
  if (cancelled) annotate('warning', `Cancelled ${afterCancel(id, status)}`, words);
  else if (code === PAUSED) annotate('notice', 'The rollout waits for a person', words);
  else if (code === TIMED_OUT) annotate('error', 'The wait is over, the rollout goes on', words);
  else if (code !== DONE) annotate('error', id === null ? 'No rollout was started' : `Rollout ${status}`, words);
  process.exitCode = code === PAUSED && until === 'paused' ? DONE : code;
}

/** The faults of a plan; an annotation is cut off where it is long. */
const firstOf = (details) =>
  details.length <= FAULTS_TOLD
    ? details
    : [...details.slice(0, FAULTS_TOLD), `and ${details.length - FAULTS_TOLD} more`];

/** What was seen, not what was wanted: an abort may not have been heard. */
function afterCancel(id, status) {
  if (id === null) return 'before the server had answered';
  if (status === 'rolling_back' || status === 'aborted') return 'and the rollout is taken back';
  return ENDED.includes(status) ? `when the rollout was ${status}` : 'while the rollout goes on';
}

try {
  await main();
} catch (error) {
  if (error instanceof Wrong) annotate('error', 'No rollout was started', error.message);
  else annotate('error', 'The action failed', error instanceof Error ? error.message : String(error));
  process.exitCode = error instanceof Wrong ? USAGE : 1;
}
