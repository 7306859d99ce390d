/** What of the recipes is not a script: held against what the products read, and against the service itself. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { EXIT_CODES } from '../../src/cli/exit-codes.ts';
import { TERMINAL } from '../../src/domain/rollout.ts';
import { STATUSES } from '../../src/http/schemas.ts';
import { driveBack, tell, type World, world } from '../cli/support.ts';
import { TOKENS } from '../http/harness.ts';
import { ROOT } from '../support/chart.ts';
import { evaluation, planDocument } from '../support/usecases-fake.ts';

const text = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const documents = (path: string): Record<string, unknown>[] =>
  parseAllDocuments(text(path)).map((document) => {
    expect(document.errors).toEqual([]);
    return document.toJS() as Record<string, unknown>;
  });
const action = parse(text('deploy/github-action/action.yml')) as {
  inputs: Record<string, { default?: string }>;
  outputs: Record<string, unknown>;
};

describe("Spinnaker's stage", () => {
  const stage = JSON.parse(text('deploy/pipelines/spinnaker-stage.json')) as Record<string, string> & {
    customHeaders: Record<string, string>;
    payload: object;
    failFastStatusCodes: number[];
    retryStatusCodes: number[];
  };
  const list = (field: string): string[] => (stage[field] ?? '').split(',');
  const ENDS = { successStatuses: 'SUCCEEDED', canceledStatuses: 'CANCELED', terminalStatuses: 'TERMINAL' } as const;

  it('knows each end of a rollout, once, and nothing else', () => {
    const named = Object.keys(ENDS).flatMap(list);
    expect(named.toSorted()).toEqual([...TERMINAL].toSorted());
    expect(named.filter((status) => !(STATUSES as readonly string[]).includes(status))).toEqual([]);
  });

  /** What Spinnaker makes of an answer: it compares in capitals, and goes on looking where nothing fits. */
  const read = (body: Record<string, unknown>): string => {
    const at = (path = ''): unknown => body[path.replace(/^\$\./, '')];
    const status = String(at(stage['statusJsonPath'])).toUpperCase();
    expect(at(stage['progressJsonPath'])).toBeTypeOf('number');
    for (const [field, end] of Object.entries(ENDS))
      if (list(field).some((one) => one.toUpperCase() === status)) return end;
    return 'RUNNING';
  };
  const headers = () => ({
    'Content-Type': 'application/json',
    ...stage.customHeaders,
    Authorization: `Bearer ${TOKENS.deployer}`,
  });
  /** `more`: what is laid over the stage's own plan. */
  const create = (w: World, more: object = {}) =>
    fetch(w.url + new URL(stage['url'] ?? '').pathname, {
      method: stage['method'] ?? '',
      headers: headers(),
      body: JSON.stringify({ ...stage.payload, ...more }),
    });
  const monitor = async (w: World, created: Response): Promise<string> => {
    expect(stage['statusUrlResolution']).toBe('locationHeader');
    const location = new URL(created.headers.get('Location') ?? '', w.url);
    const { Authorization } = headers();
    return read((await (await fetch(location, { headers: { Authorization } })).json()) as Record<string, unknown>);
  };

  it.each([
    ['SUCCEEDED', (w: World) => approvedEnd(w)],
    ['TERMINAL', (w: World) => driveBack(w.fake, 'ro_1')],
    ['CANCELED', (w: World) => tell(w.fake, 'ro_1', { name: 'abort', reason: '' })],
  ] as const)('ends %s', async (end, happen) => {
    const w = await world();
    const created = await create(w, { analysis: planDocument()['analysis'] });
    expect(created.status).toBe(202);
    expect(await monitor(w, created)).toBe('RUNNING');
    await happen(w);
    expect(await monitor(w, created)).toBe(end);
  });

  it('starts one rollout however often it is sent', async () => {
    const w = await world();
    const [first, again] = [await create(w), await create(w)];
    expect([first.status, again.status]).toEqual([202, 202]);
    expect(again.headers.get('Idempotent-Replayed')).toBe('true');
  });

  it('gives up at once where asking again is of no use, and asks again where it is', async () => {
    const w = await world();
    const refused = await fetch(`${w.url}/rollouts`, { method: 'POST', body: '{}' });
    expect(stage.failFastStatusCodes).toContain(refused.status);
    expect(stage.retryStatusCodes.filter((code) => stage.failFastStatusCodes.includes(code))).toEqual([]);
  });
});

/** Passes every check, with the holds over. */
async function approvedEnd({ fake }: World) {
  await fake.toFirstStep('ro_1');
  for (let looks = 0; looks < 20; looks += 1) {
    fake.advance(10 * 60_000);
    const rollout = await fake.get('ro_1');
    if (rollout === null || rollout.phase.name === 'ended') return;
    await fake.tick('ro_1', { measurements: [evaluation(rollout, 'pass')] });
  }
}

describe('Argo CD', () => {
  const [application, hook] = documents('deploy/pipelines/argocd.yaml') as [
    { spec: { ignoreDifferences: unknown; syncPolicy: { syncOptions: string[] } } },
    { metadata: { annotations: Record<string, string> } },
  ];

  it('leaves the weights alone exactly as docs/operations.md says', () => {
    const block = /```yaml\n(spec:\n {2}ignoreDifferences[\s\S]*?)```/.exec(text('docs/operations.md'))?.[1] ?? '';
    const { spec } = parse(block) as typeof application;
    expect(application.spec.ignoreDifferences).toEqual(spec.ignoreDifferences);
    expect(application.spec.syncPolicy.syncOptions).toEqual(spec.syncPolicy.syncOptions);
  });

  it('runs the rollout after the sync, anew at each', () => {
    expect(hook.metadata.annotations).toEqual({
      'argocd.argoproj.io/hook': 'PostSync',
      'argocd.argoproj.io/hook-delete-policy': 'BeforeHookCreation',
    });
  });
});

describe('Flux', () => {
  const [route, production, rollout, job] = documents('deploy/pipelines/flux.yaml') as [
    { kind: string; metadata: { annotations: Record<string, string> } },
    { metadata: { name: string }; spec: { wait: boolean } },
    { spec: { wait: boolean; dependsOn: { name: string }[]; timeout: string } },
    { metadata: { annotations: Record<string, string> }; spec: Record<string, unknown> },
  ];

  it('makes the route and leaves it alone from then on', () => {
    expect(route).toMatchObject({
      kind: 'VirtualService',
      metadata: { annotations: { 'kustomize.toolkit.fluxcd.io/ssa': 'IfNotPresent' } },
    });
  });

  it('begins the rollout when both versions are ready, and is ready when it has succeeded', () => {
    expect([production.spec.wait, rollout.spec.wait]).toEqual([true, true]);
    expect(rollout.spec.dependsOn).toEqual([{ name: production.metadata.name }]);
    expect(JSON.stringify(job.spec)).toContain('"--timeout","90m"');
    expect(Number.parseInt(rollout.spec.timeout, 10)).toBeGreaterThan(90);
  });

  it('makes the Job anew where it has changed, and never because it was cleaned away', () => {
    expect(job.metadata.annotations).toEqual({ 'kustomize.toolkit.fluxcd.io/force': 'enabled' });
    expect(job.spec).not.toHaveProperty('ttlSecondsAfterFinished');
  });
});

describe("GitHub's workflow", () => {
  const source = text('deploy/pipelines/github-workflow.yml');
  const workflow = parse(source) as {
    permissions: Record<string, string>;
    jobs: { rollout: { 'timeout-minutes': number; steps: { uses?: string; with?: Record<string, string> }[] } };
  };
  const { steps } = workflow.jobs.rollout;
  const step = steps.find(({ uses }) => uses?.includes('/deploy/github-action@'));

  it('gives the action inputs that it has, and reads outputs that it has', () => {
    expect(Object.keys(action.inputs)).toEqual(expect.arrayContaining(Object.keys(step?.with ?? { none: '' })));
    const read = [...source.matchAll(/steps\.rollout\.outputs\.([\w-]+)/g)].map(([, name]) => name);
    expect(read.length).toBeGreaterThan(0);
    expect(Object.keys(action.outputs)).toEqual(expect.arrayContaining(read));
  });

  it('may have an id token, needs no secret, and lives longer than the wait', () => {
    expect(workflow.permissions).toEqual({ contents: 'read', 'id-token': 'write' });
    expect(source).not.toContain('secrets.');
    expect(workflow.jobs.rollout['timeout-minutes']).toBeGreaterThan(
      Number.parseInt(step?.with?.['timeout'] ?? '', 10),
    );
  });

  it('pins what others wrote, and lets no text of others into a shell', () => {
    for (const { uses } of steps)
      if (uses?.startsWith('actions/') === true) expect(uses).toMatch(/^actions\/\w+@[0-9a-f]{40}$/);
    for (const [, script = ''] of source.matchAll(/run: (.*)/g)) expect(script).not.toContain('${{');
  });
});

describe('docs/pipelines.md', () => {
  const page = text('docs/pipelines.md');
  const cells = (heading: string): string[] => {
    const section = page.split(`\n${heading}\n`)[1]?.split('\n## ')[0]?.split('\n### ')[0] ?? '';
    return [...section.matchAll(/^\| `([\w-]+)` \|/gm)].map(([, name = '']) => name);
  };

  it('leads to every recipe, and to nothing that is not there', () => {
    const links = [...page.matchAll(/\]\(([^)#]+)[^)]*\)/g)]
      .map(([, to = '']) => to)
      .filter((to) => !/^https:/.test(to));
    expect(links.filter((to) => !existsSync(join(ROOT, 'docs', to)))).toEqual([]);
    for (const file of readdirSync(join(ROOT, 'deploy/pipelines')))
      expect(links).toContain(`../deploy/pipelines/${file}`);
  });

  it('has every input and output of the action', () => {
    expect(cells('### Inputs')).toEqual(Object.keys(action.inputs));
    expect(cells('### Outputs')).toEqual(Object.keys(action.outputs));
  });

  it('tells a pipeline what each end of a rollout means, by codes that are', () => {
    const rows = [...page.matchAll(/^\| (\d+) \| /gm)].map(([, code]) => Number(code));
    const known = Object.values(EXIT_CODES).map(({ code }) => code as number);
    expect(rows.length).toBeGreaterThan(8);
    expect(rows.filter((code) => !known.includes(code))).toEqual([]);
  });

  it('shows YAML that is YAML', () => {
    for (const [, block = ''] of page.matchAll(/```yaml\n([\s\S]*?)```/g)) expect(() => parse(block)).not.toThrow();
  });
});
