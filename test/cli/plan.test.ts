import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { aPast, aSurvey } from '../support/evidence.ts';
import { planDocument } from '../support/usecases-fake.ts';
import { inHome, sluice, world } from './support.ts';

const WRONG = `target:
  cluster: default
  namespace: production
  service: myapp
  mesh: istio
  virtualService: { name: myapp, route: api }
  stable: { host: myapp, subset: v1, deployment: myapp-v1 }
  canary: { host: myapp, subset: v2, deployment: myapp-v2 }
steps:
  - { weight: 5,  hold: 2m }
  - weight: 25
    hold: 5        # no unit
analysis:
  chekcs: []
`;
const wrong = inHome('wrong.yaml', WRONG);
const good = inHome('good.yaml', stringify(planDocument()));

const places = (text: string): string[] =>
  [...text.matchAll(/wrong\.yaml:(\d+:\d+): (\/\S+):/g)].map(([, at, pointer]) => `${at} ${pointer}`);
const WANTED = ['12:11 /steps/1/hold', '14:11 /analysis/chekcs'];

describe('plan lint', () => {
  it('points at line and column of every fault, without a server', async () => {
    const { code, stdout } = await sluice(null, ['plan', 'lint', wrong], { as: null });
    expect([code, places(stdout)]).toEqual([11, WANTED]);
  });

  it('finds the same as the server, at the same places', async () => {
    const w = await world();
    const { code, stderr } = await sluice(w.url, ['run', wrong]);
    expect([code, places(stderr)]).toEqual([11, WANTED]);
  });

  it('gives them to programs', async () => {
    const { stdout } = await sluice(null, ['plan', 'lint', wrong, '-o', 'json'], { as: null });
    const { valid, problems } = JSON.parse(stdout) as { valid: boolean; problems: unknown[] };
    expect(valid).toBe(false);
    expect(problems).toContainEqual(expect.objectContaining({ pointer: '/steps/1/hold', line: 12, column: 11 }));
  });

  it('sums up a plan that is valid, of any mesh', async () => {
    const linkerd = stringify({
      ...planDocument(),
      target: {
        cluster: 'default',
        namespace: 'production',
        service: 'myapp',
        mesh: 'linkerd-smi',
        trafficSplit: { name: 'myapp-canary' },
        stable: { service: 'myapp-v1', deployment: 'myapp-v1' },
        canary: { service: 'myapp-v2', deployment: 'myapp-v2' },
      },
    });
    const [istio, smi] = await Promise.all([
      sluice(null, ['plan', 'lint', good], { as: null }),
      sluice(null, ['plan', 'lint', '-'], { as: null, input: linkerd }),
    ]);
    expect([istio.code, istio.stdout]).toEqual([
      0,
      expect.stringContaining('myapp by istio, 5 %, 50 %; at least 7 m; 1 approval; no comparison; checks: errors'),
    ]);
    expect([smi.code, smi.stdout]).toEqual([0, expect.stringMatching(/^stdin: valid .*linkerd-smi/)]);
  });

  it('warns in words of a plan that nothing judges, and lets it pass', async () => {
    const bare = stringify(planDocument({ analysis: { evidence: { mode: 'off' }, checks: [] } }));
    const [text, json] = await Promise.all([
      sluice(null, ['plan', 'lint', '-'], { as: null, input: bare }),
      sluice(null, ['plan', 'lint', '-', '-o', 'json'], { as: null, input: bare }),
    ]);
    expect(text.code).toBe(0);
    expect(text.stdout.split('\n').slice(1)).toEqual([
      '▲ analysis: the plan has no checks and no comparison: only time and pod health decide',
      '',
    ]);
    expect(json.code).toBe(0);
    expect(JSON.parse(json.stdout)).toMatchObject({ valid: true, warnings: [{ check: 'analysis' }], problems: [] });
  });

  it('warns of a proof that proves little, and says what would be promoted', async () => {
    const evidence = { safety: { failing: '50%', ratio: 1.01 }, beta: '50%', errors: { tolerance: '50%' } };
    const weak = stringify(planDocument({ analysis: { evidence } }));
    const { code, stdout } = await sluice(null, ['plan', 'lint', '-'], { as: null, input: weak });
    expect(code).toBe(0);
    expect(stdout).toMatch(/comparison: auto; checks: outage\n/);
    expect(stdout).toContain(
      '▲ weak-proof: the proof of safety would let a canary through to 100 % that fails up to 50 %',
    );
    expect(stdout).toContain(
      '▲ weak-comparison: the comparison does not roll back a canary of whose requests up to 50 %',
    );
  });

  it.each([
    ['a text that is no YAML', 'steps: [', /stdin:1:\d+/],
    ['a key that is there twice', 'steps: []\nsteps: []\n', /stdin:2:1: .*twice/],
    ['an empty text', '', /stdin:1:1: the body is empty/],
  ])('refuses %s by its place', async (_, input, words) => {
    const { code, stderr } = await sluice(null, ['plan', 'lint', '-'], { as: null, input });
    expect([code, stderr]).toEqual([11, expect.stringMatching(words)]);
  });

  it('judges a plan with its --set and --label, and still points into the file', async () => {
    const [mended, broken] = await Promise.all([
      sluice(
        null,
        ['plan', 'lint', wrong, '--set', 'steps.1.hold=5m', '--set', 'analysis=null', '--label', 'a.b/c=1=2'],
        { as: null },
      ),
      sluice(null, ['plan', 'lint', good, '--set', 'steps.1.weight=3'], { as: null }),
    ]);
    expect(mended.stdout).toMatch(/\/analysis/);
    expect(mended.stdout).not.toMatch(/\/steps|\/labels/);
    expect([broken.code, broken.stdout]).toEqual([
      11,
      expect.stringMatching(/good\.yaml:\d+:\d+: \/steps\/1\/weight: wanted a weight above 5/),
    ]);
  });
});

describe('plan dry-run', () => {
  it('shows findings, timeline and what each check measures, and starts nothing', async () => {
    const w = await world();
    const { code, stdout } = await sluice(w.url, ['plan', 'dry-run', good]);
    expect(code).toBe(0);
    for (const part of [
      'would be accepted',
      '✔ route',
      'step 2: 50 %, hold 5 m, then approval by somebody who may promote',
      'promotion: 100 %',
      '0.002  4,321',
    ])
      expect(stdout).toContain(part);
    expect((await w.fake.list({}, 10, null)).items).toEqual([]);
  });

  it('tells gates and steps beside weights where they come, whatever they are', async () => {
    const w = await world();
    const plan = {
      ...planDocument(),
      steps: [
        { mirror: { percent: '30%' }, hold: '3m' },
        { weight: 5, hold: '2m' },
      ],
      webhooks: [
        { name: 'window', url: 'https://gates.example.com/a', gate: 'beforeStart' },
        { name: 'load', url: 'https://gates.example.com/b', gate: 'beforePromotion' },
      ],
    };
    const { code, stdout } = await sluice(w.url, ['plan', 'dry-run', '-'], { input: stringify(plan) });
    expect(code).toBe(0);
    const from = stdout.indexOf('Timeline');
    expect(stdout.slice(from, stdout.indexOf('\n\n', from)).split('\n')).toEqual([
      'Timeline  at least 5 m, without what approvals and gates take',
      expect.stringMatching(/^ {2}now {7}canary weight/),
      '            asked before anything is written: window',
      '  at once   step 1: mirror: a copy of 30 % of the requests goes to the canary, hold 3 m',
      '  +3 m      step 2: 5 %, hold 2 m',
      '            asked first: load',
      '  +5 m      promotion: 100 %',
    ]);
  });

  it('keeps times apart from what happens then, however long they are', async () => {
    const w = await world();
    const steps = [{ weight: 50, hold: '10h20s' }];
    const { stdout } = await sluice(w.url, ['plan', 'dry-run', '-'], { input: stringify(planDocument({ steps })) });
    expect(stdout.split('\n').filter((line) => /^ {2}(now|at once|\+)/.test(line))).toEqual([
      '  now        canary weight 0 %',
      '  at once    step 1: 50 %, hold 10 h 20 s',
      '  +10 h 20 s promotion: 100 %',
    ]);
  });

  it('gives every figure of the comparison its unit', async () => {
    const w = await world();
    w.fake.surveyWith(aSurvey({ history: aPast({ slow: [0.3, 0.1, 0.02] }) }));
    const plan = planDocument({ steps: [{ weight: 50, hold: '1m' }], analysis: {} });
    const { stdout } = await sluice(w.url, ['plan', 'dry-run', '-'], { input: stringify(plan) });
    expect(stdout).toMatch(/bounds +(\d+ m?s, )*\d+ m?s\n/);
    expect(stdout).toMatch(/errors +.* requests?\n/);
  });

  it('does not say below a refusal that it is judged so', async () => {
    const w = await world();
    const plan = planDocument({ analysis: { evidence: { mode: 'independent' } } });
    const { code, stdout } = await sluice(w.url, ['plan', 'dry-run', '-'], { input: stringify(plan) });
    expect(code).toBe(11);
    expect(stdout).toContain('refused: independent mode is only for a service whose past allows it');
    expect(stdout).not.toContain('judged in independent mode');
  });
});

describe('plan backtest', () => {
  const past = aPast({ hours: 1, pods: 6 });
  const planOf = (max: string) =>
    stringify(
      planDocument({
        analysis: { evidence: { mode: 'auto' }, checks: [{ name: 'errors', kind: 'error-rate', max, minSamples: 5 }] },
      }),
    );

  it('tells of metrics that do not answer at once, in the words of the server, and not as a server that is away', async () => {
    const w = await world();
    const message = 'Prometheus at http://prometheus:9090 did not answer within 6 s';
    w.fake.surveyWith({ ok: false, code: 'timeout', message });
    const { code, stderr } = await sluice(w.url, ['plan', 'backtest', '-'], { input: planOf('30%') });
    expect(code).toBe(1);
    expect(stderr).toContain(`the server answered 503: The metrics provider does not answer: ${message}`);
    expect(stderr).toContain('sluice doctor   says which metrics providers answer');
    expect(stderr).not.toContain('trying again');
  });

  it('marks what the back-test warns of, here and in a dry run', async () => {
    const w = await world();
    w.fake.surveyWith(aSurvey({ history: past, bounds: [] }));
    for (const command of ['backtest', 'dry-run']) {
      const { code, stdout } = await sluice(w.url, ['plan', command, '-'], { input: planOf('0.01%') });
      expect(code).toBe(0);
      expect(stdout).toMatch(/▲ backtest +on the past the plan rolls back \d+ of 12 healthy rollouts/);
    }
    const { stdout } = await sluice(w.url, ['plan', 'backtest', '-'], { input: planOf('30%') });
    expect(stdout).not.toContain('▲ backtest');
  });
});
