/** The recipes' scripts, out of their files as they stand there, run by a shell against the real server. */
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { EXIT_CODES } from '../../src/cli/exit-codes.ts';
import { drive, driveBack, tell, type World, world } from '../cli/support.ts';
import { TOKENS } from '../http/harness.ts';
import { ROOT } from '../support/chart.ts';
import { evaluation, planDocument } from '../support/usecases-fake.ts';
import { begin, type Process, workspace } from './process.ts';

const recipe = (name: string): string => readFileSync(join(ROOT, 'deploy/pipelines', name), 'utf8');
copyFileSync(join(ROOT, 'deploy/pipelines/rollout.sh'), join(workspace, 'rollout.sh'));

interface Container {
  readonly command: string[];
  readonly args: string[];
  readonly env: { name: string; value?: string }[];
}
interface Job {
  readonly kind: string;
  readonly spec: {
    podFailurePolicy: { rules: { action: string; onExitCodes: { operator: string; values: number[] } }[] };
    template: { metadata: object; spec: { restartPolicy: string; containers: [Container] } };
  };
}
interface Task {
  readonly spec: {
    params: { name: string; default?: string }[];
    results: { name: string }[];
    steps: [{ script: string; env: { name: string; value?: string }[] }];
  };
}
interface GitLabJob {
  readonly script: string[];
  readonly after_script: string[];
  readonly variables: Record<string, string>;
  readonly id_tokens: Record<string, { aud: string }>;
}

const jobIn = (name: string): Job => {
  const found = parseAllDocuments(recipe(name)).map((document) => document.toJS() as Job);
  const job = found.find(({ kind }) => kind === 'Job');
  if (job === undefined) throw new Error(`${name} has no Job`);
  return job;
};

/** What a recipe is run with: a plan, and what its product would put into the environment. */
interface Given {
  readonly plan: 'plan.yaml' | 'long.yaml' | 'wrong.yaml';
  readonly timeout: string;
  readonly env: Readonly<Record<string, string>>;
}

const gitlab = parse(recipe('gitlab-ci.yml'))['rollout'] as GitLabJob;
const task = parse(recipe('tekton-task.yaml')) as Task;
const results = join(workspace, 'results');

/** The one script of a Jenkinsfile. */
const jenkins = (name: string): string => /script: '''([\s\S]*?)'''/.exec(recipe(name))?.[1] ?? '';
const seconds = (timeout: string): string => String(Math.ceil(Number.parseFloat(timeout)));

/** As the products do it: GitLab and Jenkins give lines to a shell that stops at the first failure. */
const RECIPES: Readonly<Record<string, (given: Given) => Process>> = {
  'GitLab CI': ({ plan, timeout, env }) => {
    const lines = gitlab.script
      .join('\n')
      .replaceAll('plan.yaml', plan)
      .replace('--timeout 90m', `--timeout ${timeout}`);
    const job = { CI_PROJECT_ID: '3', CI_JOB_ID: '17', IMAGE: 'myapp:2.1' };
    return begin('bash', ['-eo', 'pipefail', '-c', lines], { ...job, ...env });
  },
  'Jenkins with the command line': ({ plan, timeout, env }) => {
    const lines = jenkins('Jenkinsfile').replace('plan.yaml', plan).replace('--timeout 90m', `--timeout ${timeout}`);
    return begin('sh', ['-xe', '-c', lines], { BUILD_TAG: 'jenkins-shop-17', IMAGE: 'myapp:2.1', ...env });
  },
  'Jenkins with curl': ({ plan, timeout, env }) => {
    const lines = jenkins('Jenkinsfile.curl').replace('plan.yaml', plan);
    const job = { BUILD_TAG: 'jenkins-shop main-17', SLUICE_TIMEOUT: seconds(timeout) };
    return begin('sh', ['-xe', '-c', lines], { ...job, ...env });
  },
  Tekton: ({ plan, timeout, env }) => {
    const [{ script, env: wanted }] = task.spec.steps;
    const params: Record<string, string> = { plan, timeout, image: 'myapp:2.1', server: env['SLUICE_URL'] ?? '' };
    const filled = (text: string): string =>
      text
        .replaceAll(/\$\(params\.([\w-]+)\)/g, (_, name: string) => params[name] ?? `unknown parameter ${name}`)
        .replaceAll(/\$\(results\.([\w-]+)\.path\)/g, (_, name: string) => join(results, name))
        .replace('$(context.taskRun.uid)', 'uid-1');
    const given = wanted.flatMap(({ name, value }) => (value === undefined ? [] : [[name, filled(value)]]));
    return begin('sh', ['-c', filled(script)], { ...env, ...Object.fromEntries(given) });
  },
  ...Object.fromEntries(
    [
      ['Argo CD', 'argocd.yaml'],
      ['Flux', 'flux.yaml'],
    ].map(([name = '', file = '']) => [
      name,
      ({ plan, timeout, env }: Given): Process => {
        const [{ command, args }] = jobIn(file).spec.template.spec.containers;
        const filled = args.map((arg) =>
          arg.replace('/plan/plan.yaml', plan).replace('90m', timeout).replace('$(JOB_UID)', 'uid-1'),
        );
        return begin(join(workspace, command[0] ?? ''), filled, env);
      },
    ]),
  ),
};

let w: World;
let env: Record<string, string>;
beforeEach(async () => {
  w = await world();
  env = { SLUICE_URL: w.url, SLUICE_TOKEN: TOKENS.deployer };
  mkdirSync(results, { recursive: true });
});
afterEach(() => {
  rmSync(results, { recursive: true, force: true });
  for (const file of ['rollout.env', 'rollout.md']) rmSync(join(workspace, file), { force: true });
});

const begun = async (): Promise<void> => {
  await expect.poll(async () => (await w.fake.get('ro_1')) !== null, { timeout: 20_000 }).toBe(true);
};

describe.each(Object.keys(RECIPES))('%s', (name) => {
  const run = (given: Partial<Given> = {}): Process => {
    const start = RECIPES[name];
    if (start === undefined) throw new Error(name);
    return start({ plan: 'plan.yaml', timeout: '60s', env, ...given });
  };

  it('succeeds with the rollout', async () => {
    const running = run();
    await begun();
    await drive(w.fake, 'ro_1');
    const { code, log } = await running.ended;
    expect(code, log).toBe(0);
  });

  it('ends with 3 where it was rolled back, and says why', async () => {
    const running = run({ plan: 'long.yaml' });
    await begun();
    await driveBack(w.fake, 'ro_1');
    const { code, log } = await running.ended;
    expect([code, log]).toEqual([3, expect.stringContaining('Rolled back at 5 % after')]);
  });

  it('ends with 4 where a person aborted it', async () => {
    const running = run({ plan: 'long.yaml' });
    await begun();
    await tell(w.fake, 'ro_1', { name: 'abort', reason: 'wrong image' });
    const { code, log } = await running.ended;
    expect([code, log]).toEqual([4, expect.stringContaining('wrong image')]);
  });

  it('ends with 5 when the wait is over, and says that the rollout goes on', async () => {
    const { code, log } = await run({ timeout: '1s' }).ended;
    expect([code, log]).toEqual([5, expect.stringMatching(/goes on/)]);
    expect((await w.fake.get('ro_1'))?.phase.name).toBe('pending');
  });

  it('waits on through a pause', async () => {
    const running = run();
    await begun();
    await w.fake.toFirstStep('ro_1');
    await tell(w.fake, 'ro_1', { name: 'pause', reason: 'lunch' });
    await running.said('paused');
    await tell(w.fake, 'ro_1', { name: 'resume' });
    await drive(w.fake, 'ro_1');
    expect((await running.ended).code).toBe(0);
  });

  it('ends with 8 where its token is not known, and starts nothing', async () => {
    const { code, log } = await run({ env: { ...env, SLUICE_TOKEN: 'slc_nobody_0123456789abcdef' } }).ended;
    expect([code, log]).toEqual([8, expect.stringContaining('unknown, expired or revoked')]);
    expect(await w.fake.get('ro_1')).toBeNull();
  });

  it('ends with 11 where the plan is not valid', async () => {
    expect((await run({ plan: 'wrong.yaml' }).ended).code).toBe(11);
  });

  it('goes on through a restart of the server', async () => {
    const running = run();
    // What the first look says: from now on it waits.
    await running.said(name === 'Jenkins with curl' ? 'pending' : 'created by');
    await w.down();
    await running.said('again');
    await w.up();
    await drive(w.fake, 'ro_1');
    const { code, log } = await running.ended;
    expect(code, log).toBe(0);
  });

  it('that is run again in the same run of the pipeline finds its rollout', async () => {
    const first = run();
    await begun();
    await drive(w.fake, 'ro_1');
    await first.ended;
    expect((await run().ended).code).toBe(0);
    expect(await w.fake.get('ro_2')).toBeNull();
  });

  it('never shows the token', async () => {
    const { log } = await run({ timeout: '1s' }).ended;
    expect(log).not.toContain(TOKENS.deployer);
  });
});

describe("GitLab's job", () => {
  it('takes the id token as the token, and leaves a summary behind whatever the end', async () => {
    expect(Object.keys(gitlab.id_tokens)).toEqual(['SLUICE_TOKEN']);
    expect(gitlab.variables).toHaveProperty('SLUICE_URL');
    const running = RECIPES['GitLab CI']?.({ plan: 'long.yaml', timeout: '60s', env });
    await begun();
    await driveBack(w.fake, 'ro_1');
    expect((await running?.ended)?.code).toBe(3);
    // A shell of its own, as GitLab has it.
    const after = begin('bash', ['-eo', 'pipefail', '-c', gitlab.after_script.join('\n')], env);
    expect((await after.ended).code).toBe(0);
    expect(readFileSync(join(workspace, 'rollout.md'), 'utf8')).toContain('**Rolled back at 5 % after');
    expect(readFileSync(join(workspace, 'rollout.env'), 'utf8')).toBe('SLUICE_ROLLOUT=ro_1\n');
  });

  it('has nothing to summarise where nothing was started', async () => {
    const after = begin('bash', ['-eo', 'pipefail', '-c', gitlab.after_script.join('\n')], env);
    expect([(await after.ended).code, existsSync(join(workspace, 'rollout.md'))]).toEqual([0, false]);
  });
});

describe("Tekton's task", () => {
  it('leaves every result that it declares, also where the rollout went back', async () => {
    const running = RECIPES['Tekton']?.({ plan: 'long.yaml', timeout: '60s', env });
    await begun();
    await driveBack(w.fake, 'ro_1');
    await running?.ended;
    const left = task.spec.results.map(({ name }) => [name, readFileSync(join(results, name), 'utf8')]);
    expect(Object.fromEntries(left)).toEqual({
      id: 'ro_1',
      status: 'rolled_back',
      url: `${w.url}/ui/rollouts/ro_1`,
      'exit-code': '3',
    });
  });

  it('gives nothing to its script but by environment', () => {
    const [{ script }] = task.spec.steps;
    expect(script).not.toContain('$(params');
  });
});

describe.each(['argocd.yaml', 'flux.yaml'])('the Job of %s', (file) => {
  it('is tried again only where an answer is missing: every other exit code is the answer', () => {
    const { podFailurePolicy, template } = jobIn(file).spec;
    const again: readonly string[] = ['done', 'error', 'unreachable', 'interrupted', 'terminated'];
    const answers = Object.entries(EXIT_CODES).flatMap(([name, { code }]) => (again.includes(name) ? [] : [code]));
    expect(podFailurePolicy.rules).toEqual([
      { action: 'FailJob', onExitCodes: { operator: 'In', values: answers.toSorted((a, b) => a - b) } },
    ]);
    // What a podFailurePolicy wants.
    expect(template.spec.restartPolicy).toBe('Never');
  });

  it('has no proxy of either mesh beside it', () => {
    expect(jobIn(file).spec.template.metadata).toEqual({
      labels: { 'sidecar.istio.io/inject': 'false' },
      annotations: { 'linkerd.io/inject': 'disabled' },
    });
  });
});

describe('rollout.sh', () => {
  const curl = (over: Record<string, string> = {}, args = ['long.yaml', 'run-1']): Process =>
    begin('sh', ['rollout.sh', ...args], { ...env, SLUICE_TIMEOUT: '60', ...over });

  it('gives the id alone on standard output, for scripts', async () => {
    const id = begin('sh', ['-c', 'sh rollout.sh plan.yaml run-1 2>/dev/null'], { ...env, SLUICE_TIMEOUT: '1' });
    expect(await id.ended).toMatchObject({ code: 5, log: 'ro_1\n' });
  });

  it('ends with 6 at an approval where it was asked to', async () => {
    const approved = { steps: [{ weight: 50, hold: '0s', approval: 'required' }] };
    writeFileSync(join(workspace, 'approval.json'), JSON.stringify(planDocument(approved)));
    const running = curl({ SLUICE_UNTIL: 'paused' }, ['approval.json', 'run-1']);
    await begun();
    await w.fake.toFirstStep('ro_1');
    await expect
      .poll(async () => {
        const rollout = await w.fake.get('ro_1');
        if (rollout?.phase.name !== 'paused' && rollout !== null)
          await w.fake.tick('ro_1', { measurements: [evaluation(rollout, 'pass')] });
        return (await w.fake.get('ro_1'))?.phase.name;
      })
      .toBe('paused');
    expect((await running.ended).code).toBe(6);
  });

  it('ends with 7 where the stable version could not be restored', async () => {
    const running = curl();
    await begun();
    await w.fake.toFirstStep('ro_1');
    await tell(w.fake, 'ro_1', { name: 'abort', reason: '' });
    await tell(w.fake, 'ro_1', { name: 'give_up', reason: 'by hand' });
    expect((await running.ended).code).toBe(7);
  });

  it('ends with 9 where another rollout is in its way', async () => {
    const first = curl();
    await first.said('ro_1');
    expect((await curl({}, ['long.yaml', 'run-2']).ended).code).toBe(9);
    first.child.kill('SIGTERM');
  });

  it('ends with 10 where the server never answered', async () => {
    await w.down();
    expect((await curl({ SLUICE_TIMEOUT: '1' }).ended).code).toBe(10);
  });

  it('leaves the rollout alone when it is ended', async () => {
    const running = curl();
    await running.said('ro_1');
    running.child.kill('SIGTERM');
    expect((await running.ended).code).toBe(143);
    expect((await w.fake.get('ro_1'))?.phase.name).toBe('pending');
  });
});
