/** `npm run demo`: everything started, three releases rolled out before your eyes, then left running for exploring. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { startControl } from './control.ts';
import type { Arguments } from './demo/arguments.ts';
import { HELP, parseArguments } from './demo/arguments.ts';
import type { Result, Watcher } from './demo/releases.ts';
import { asExpected, demoPlan, RELEASES, RPS, runRelease, summary } from './demo/releases.ts';
import type { Screen } from './demo/screen.ts';
import { bar, createScreen, seconds } from './demo/screen.ts';
import type { RolloutView } from './demo/service.ts';
import type { Stack } from './demo/stack.ts';
import { startStack } from './demo/stack.ts';
import { SLOW_AFTER_MS } from './sandbox.ts';
import { showPlan } from './show/plan.ts';
import { startShow } from './show/show.ts';
import type { Users } from './traffic.ts';

/** Users' first requests: the stable version must have a past before it is compared with. */
const WARM_UP_MS = 2_000;
/** Each step of a release that is started on the sandbox's page: time to break something. */
const HOLD = '15s';
const BUSY = "the demo runs its own releases: what is done here would spoil them. Its end opens this page's buttons";

/** The results, once everything is stopped. */
async function demo(chosen: Arguments, screen: Screen, signal: AbortSignal): Promise<readonly Result[]> {
  const started = Date.now();
  screen.line(
    'SIMULATED: cluster, mesh and users are simulated in this process and the demo changes nothing outside it;',
    'strong',
  );
  screen.line('Sluice, PostgreSQL and Prometheus are real, and Sluice runs unchanged.', 'strong');
  screen.line();
  const stack = await startStack({
    mesh: chosen.mesh,
    redis: chosen.redis,
    rps: RPS,
    progress: (text) => screen.line(`${seconds(Date.now() - started).padStart(7)}  ${text}`, 'quiet'),
  });
  try {
    if (!chosen.once) return await shown(stack, chosen, screen, signal);
    return await told(stack, chosen, screen, signal);
  } finally {
    screen.line('stopping', 'quiet');
    await stack.stop();
  }
}

/** The releases as lines, and what came of them. */
async function told(stack: Stack, chosen: Arguments, screen: Screen, signal: AbortSignal): Promise<readonly Result[]> {
  await sleep(WARM_UP_MS, undefined, { signal });
  const results = await releases(stack, screen, signal);
  report(screen, chosen, results);
  return results;
}

/** The same with the sandbox's page beside it, which stays. */
async function shown(stack: Stack, chosen: Arguments, screen: Screen, signal: AbortSignal): Promise<readonly Result[]> {
  const { sandbox, service } = stack;
  const show = startShow({ sandbox, service, plan: (target, image) => showPlan(target, image, HOLD), busy: BUSY });
  const control = await startControl(sandbox, show);
  try {
    screen.line();
    screen.line(`The sandbox, with every request as a bubble: ${control.url}/`, 'strong');
    const results = await told(stack, chosen, screen, signal);
    show.open();
    await explore(stack, control.url, screen, results, signal);
    return results;
  } finally {
    await show.stop();
    await control.stop();
  }
}

async function releases(stack: Stack, screen: Screen, signal: AbortSignal): Promise<readonly Result[]> {
  const results: Result[] = [];
  for (const release of RELEASES) {
    screen.line();
    screen.line(`${release.name} release: ${release.image}`, 'strong');
    results.push(await runRelease(stack, release, watcher(screen, Date.now()), signal));
  }
  return results;
}

// ── the live view ───────────────────────────────────────────────────────────────────────────────────────────────────

function watcher(screen: Screen, started: number): Watcher {
  const clock = (): string => seconds(Date.now() - started).padStart(7);
  let last = '';
  return {
    changed(rollout, users) {
      const state = `${stateOf(rollout)}|${rollout.weight.observed}|${rollout.evidence?.finding?.verdict}|${rollout.checks.map(({ verdict }) => verdict).join()}`;
      if (state === last) return;
      last = state;
      screen.line(`${clock()}  ${statusLine(rollout, users)}`);
      const { outcome } = rollout;
      if (outcome === null || (rollout.status !== 'succeeded' && rollout.status !== 'rolling_back')) return;
      screen.line(`         ${outcome.message}`, rollout.status === 'succeeded' ? 'good' : 'bad');
    },
    broke: (words) => screen.line(`${clock()}  the canary breaks: ${words}`, 'bad'),
    live: (rollout, users) => screen.live(`${clock()}  ${statusLine(rollout, users)}`),
  };
}

function stateOf({ status, step, steps }: RolloutView): string {
  if (status !== 'progressing' || step === null) return status;
  return step === steps ? 'promoting' : `step ${step + 1} of ${steps}`;
}

function statusLine(rollout: RolloutView, users: Users): string {
  const seen = (workload: string): string => {
    const { requests = 0, failed = 0 } = users.by[workload] ?? {};
    return `${requests} requests ${failed} failed`;
  };
  const verdicts = rollout.checks.map(({ name, verdict }) => `${name} ${verdict ?? '-'}`);
  if (rollout.evidence !== null) verdicts.unshift(`evidence ${rollout.evidence.finding?.verdict ?? '-'}`);
  return [
    stateOf(rollout).padEnd(12),
    bar(rollout.weight.observed ?? 0),
    ` canary ${seen('myapp-v2')}, stable ${seen('myapp-v1')}; ${verdicts.join(', ')}`,
  ].join(' ');
}

// ── what came of it ─────────────────────────────────────────────────────────────────────────────────────────────────

function report(screen: Screen, { mesh }: Arguments, results: readonly Result[]): void {
  screen.line();
  screen.table([
    [
      'release',
      'judged by',
      'outcome',
      'requests served',
      'failed (users saw)',
      `slow (over ${SLOW_AFTER_MS} ms)`,
      'fault to weight 0',
    ],
    ...results.map(({ release, rollout, users, faultToZeroMs }) => [
      release.name,
      release.judgedBy === 'both' ? 'evidence and thresholds' : `${release.judgedBy} alone`,
      rollout.status,
      String(users.requests),
      String(users.failed),
      String(users.slow),
      faultToZeroMs === null ? '-' : seconds(faultToZeroMs),
    ]),
  ]);
  screen.line(`mesh: ${mesh}`, 'quiet');
  screen.line();
}

// ── exploring ───────────────────────────────────────────────────────────────────────────────────────────────────────

async function explore(
  { sandbox, service, consoles, dir }: Stack,
  control: string,
  screen: Screen,
  results: readonly Result[],
  signal: AbortSignal,
): Promise<void> {
  const planFile = join(dir, 'plan.yaml');
  await writeFile(planFile, stringify(demoPlan(sandbox.target, 'myapp:next')));
  // One that went back by limits has measurements; the newest was judged by the comparison alone.
  const last = results.at(-1)?.rollout.id ?? '';
  const limited = results.findLast(({ release }) => release.judgedBy === 'thresholds')?.rollout.id ?? last;
  screen.line(
    `The sandbox: ${control}/   watch the requests; break the canary, Sluice, Prometheus and the route`,
    'strong',
  );
  screen.line(`The page: ${service.url}/ui/   sign in with the token ${service.token}`, 'strong');
  screen.line('Everything stays up for exploring. Copy and paste:', 'strong');
  for (const [words, command] of recipes(service.url, control, planFile, { limited, last })) {
    if (words !== '') screen.line(`# ${words}`, 'quiet');
    screen.line(command.replaceAll('$TOKEN', service.token));
  }
  screen.line();
  screen.line(
    `Kubernetes API: KUBECONFIG=${sandbox.kubeconfig}   Prometheus: ${sandbox.prometheusUrl}   the app: ${sandbox.entryUrl}/api`,
  );
  const stubs = [['Jaeger', consoles.jaeger] as const, ['Kiali', consoles.kiali] as const];
  screen.line(stubs.flatMap(([name, stub]) => (stub === null ? [] : [`a stub of ${name}: ${stub.url}/`])).join('   '));
  screen.line('Ctrl-C ends everything.', 'strong');
  await new Promise<void>((fulfil) => signal.addEventListener('abort', () => fulfil(), { once: true }));
}

/** With the Node that runs this one: the reader's own may be too old for it. */
const CLI = fileURLToPath(new URL('../cli/main.ts', import.meta.url));

function recipes(
  api: string,
  control: string,
  planFile: string,
  { limited, last }: { readonly limited: string; readonly last: string },
): readonly (readonly [string, string])[] {
  const auth = `-H 'Authorization: Bearer $TOKEN'`;
  const json = `-H 'Content-Type: application/json'`;
  const cli = `'${process.execPath}' '${CLI}'`;
  return [
    [
      'the command line: sign in; then list, explain ID, get ID --watch, help',
      `SLUICE_TOKEN=$TOKEN ${cli} login ${api} --context demo && ${cli} list`,
    ],
    ['all rollouts', `curl -s ${auth} ${api}/rollouts`],
    ['one rollout', `curl -s ${auth} ${api}/rollouts/${last}`],
    ['its events, live', `curl -sN ${auth} -H 'Accept: text/event-stream' ${api}/rollouts/${last}/events`],
    ['its evidence, block by block', `curl -s ${auth} ${api}/rollouts/${last}/evidence`],
    [
      'the measurements of one that limits sent back, with their queries',
      `curl -s ${auth} ${api}/rollouts/${limited}/measurements`,
    ],
    [
      'a bad release: first the pipeline puts it next to the stable version, then it calls for the rollout',
      `curl -s -X POST ${json} ${control}/release -d '{"image":"myapp:bad","errorRate":0.3}'`,
    ],
    ['', `curl -s -X POST ${auth} -H 'Content-Type: application/yaml' --data-binary @${planFile} ${api}/rollouts`],
    [
      'break or heal the canary while it serves',
      `curl -s -X POST ${json} ${control}/canary -d '{"errorRate":0,"latencyMs":20}'`,
    ],
    [
      'abort: the newest rollout',
      `curl -s -X POST ${auth} ${api}/rollouts/$(curl -s ${auth} '${api}/rollouts?limit=1' | grep -o '"id":"[^"]*"' | head -1 | cut -d'"' -f4)/abort`,
    ],
  ];
}

// ── the program ─────────────────────────────────────────────────────────────────────────────────────────────────────

async function main(): Promise<number> {
  const parsed = parseArguments(process.argv.slice(2));
  if (parsed.kind === 'help') {
    process.stdout.write(HELP);
    return 0;
  }
  if (parsed.kind === 'wrong') {
    process.stderr.write(`${parsed.message}\n\n${HELP}`);
    return 2;
  }
  const asked = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => asked.abort());
  try {
    const { mesh, once } = parsed.arguments;
    const results = await demo(parsed.arguments, createScreen(process.stdout), asked.signal);
    // The last line is for programs.
    if (once) process.stdout.write(`${JSON.stringify(summary(mesh, results))}\n`);
    return !once || asExpected(results) ? 0 : 1;
  } catch (error) {
    if (asked.signal.aborted) return 130;
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
}

process.exitCode = await main();
