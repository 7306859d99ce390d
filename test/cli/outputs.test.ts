import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { planFor } from '../support/usecases-fake.ts';
import { begin, drive, driveBack, SHORT, sluice, started, tell, type World, world } from './support.ts';

/** The harness closes its servers after each test: one test, one world. */
const rolledBack = async (): Promise<{ w: World; id: string }> => {
  const w = await world();
  const id = await started(w.fake);
  await driveBack(w.fake, id);
  return { w, id };
};

describe('-o', () => {
  it.each([
    ['get', ['status', 'outcome', 'weight']],
    ['wait', ['status', 'outcome', 'weight']],
    ['explain', ['sentence', 'measurements', 'writes', 'next']],
    ['history', ['items']],
  ])('json and yaml of %s are the same document, alone on stdout', async (command, keys) => {
    const { w, id } = await rolledBack();
    const [json, yaml] = await Promise.all([
      sluice(w.url, [command, id, '-o', 'json']),
      sluice(w.url, [command, id, '--output=yaml']),
    ]);
    const document = JSON.parse(json.stdout) as Record<string, unknown>;
    expect(parse(yaml.stdout)).toEqual(document);
    expect(Object.keys(document)).toEqual(expect.arrayContaining(keys));
  });

  it('name gives ids, one a line, and nothing else', async () => {
    const w = await world();
    for (const service of ['carts', 'orders', 'users']) await started(w.fake, planFor(service));
    const { stdout, stderr } = await sluice(w.url, ['list', '-o', 'name']);
    expect([stdout, stderr]).toEqual(['ro_3\nro_2\nro_1\n', '']);
    expect((await sluice(w.url, ['get', 'ro_2', '-o', 'name'])).stdout).toBe('ro_2\n');
    const paused = await sluice(w.url, ['abort', 'ro_2', '-o', 'name']);
    expect(paused.stdout).toBe('ro_2\n');
  });

  it('json of a refusal is the problem itself, with the sentence beside it', async () => {
    const w = await world();
    const { stdout, stderr } = await sluice(w.url, ['get', 'ro_404', '-o', 'json']);
    expect(JSON.parse(stdout)).toMatchObject({ code: 'rollout_not_found', status: 404 });
    expect(stderr).toContain('no rollout has the id');
  });

  it('name is refused where there are no names', async () => {
    const { code, stderr } = await sluice(null, ['history', 'ro_1', '-o', 'name'], { as: null });
    expect([code, stderr]).toEqual([2, expect.stringContaining('wanted json, yaml')]);
  });
});

describe('list', () => {
  it('passes every filter on, and pages through what is asked for', async () => {
    const w = await world();
    for (let made = 0; made < 3; made += 1) await started(w.fake, planFor(`carts-${made}`));
    await tell(w.fake, 'ro_2', { name: 'abort', reason: '' });
    const names = async (...args: string[]) =>
      (await sluice(w.url, ['list', '-o', 'name', ...args])).stdout.trimEnd().split('\n');
    expect(await names('--live')).toEqual(['ro_3', 'ro_1']);
    expect(await names('--status', 'aborted,failed', '--status', 'succeeded')).toEqual(['ro_2']);
    expect(
      await names('--service', 'carts-0', '--namespace', 'production', '--cluster', 'default', '--since', '1h'),
    ).toEqual(['ro_1']);
    expect(await names('--limit', '2')).toEqual(['ro_3', 'ro_2']);
    const { stdout, stderr } = await sluice(w.url, ['list', '--limit', '1']);
    expect(stdout).toMatch(/^ID +SERVICE.*\nro_3 +carts-2 +default\/production +pending +0\/2/);
    expect(stderr).toContain('there are more');
  });
});

describe('explain', () => {
  it('gives the sentence, what to do next, the measurements that decided, the writes, and last the queries', async () => {
    const { w, id } = await rolledBack();
    const { stdout } = await sluice(w.url, ['explain', id]);
    expect(stdout).toContain('Rolled back at 5 %');
    expect(stdout.match(/errors: canary error rate 5 %/g)).toHaveLength(2);
    expect(stdout).toContain('[value 0.05, limit 0.01, 1000 requests, last 1 m]');
    expect(stdout).toContain('errors, canary  sum(rate(istio_requests_total[1m]))');
    const sections = ['What to do next', 'What was measured', 'How it was asked'];
    expect(stdout.split('\n').filter((line) => sections.includes(line))).toEqual(sections);
    expect(stdout).toContain(`sluice retry ${id}   starts the same plan anew`);
  });
});

describe('explain of a comparison', () => {
  it('says what auto chose, and why', async () => {
    const w = await world();
    const id = await started(w.fake, { ...SHORT, analysis: {} });
    const [text, json] = await Promise.all([
      sluice(w.url, ['explain', id]),
      sluice(w.url, ['explain', id, '-o', 'json']),
    ]);
    expect(text.stdout).toMatch(/judged in robust mode by blocks of \d+ s, untried on the service's own past/);
    expect(text.stdout).toMatch(/mode +robust, chosen by auto\n/);
    expect(text.stdout).toMatch(/block +\d+ s\n/);
    const { evidence, setup } = JSON.parse(json.stdout) as Record<string, Record<string, unknown>>;
    expect([evidence?.['mode'], setup?.['mode'], setup?.['settings']]).toEqual(['auto', 'robust', undefined]);
  });
});

describe('the promotion', () => {
  it('is called so where it was measured, and is no step more than the plan has', async () => {
    const { w, id } = await rolledBack();
    const row = w.fake.store.row(id);
    const [last, fact] = [row?.measurements.at(-1), row?.facts.at(-1)];
    if (row === undefined || last === undefined || fact === undefined) throw new Error('nothing was measured');
    row.measurements.push({ ...last, step: 2 });
    row.facts.push({ ...fact, seq: fact.seq + 1, step: 2 });
    const [explained, told] = await Promise.all([sluice(w.url, ['explain', id]), sluice(w.url, ['history', id])]);
    expect(explained.stdout).toMatch(/✖ [\d:]+ {2}step 1 {2}errors: /);
    expect(explained.stdout).toMatch(/✖ [\d:]+ {2}promotion {2}errors: /);
    expect(told.stdout).toMatch(/ promotion +ended /);
    expect(`${explained.stdout}${told.stdout}`).not.toMatch(/step 3| 3 +ended/);
  });
});

describe('history', () => {
  it('says who did what, and leaves out what was before --since', async () => {
    const w = await world();
    const id = await started(w.fake);
    w.fake.advance(-3_600_000);
    await w.fake.toFirstStep(id);
    w.fake.advance(3_600_000);
    await tell(w.fake, id, { name: 'pause', reason: 'lunch' });
    const all = await sluice(w.url, ['history', id]);
    expect(all.stdout).toMatch(/ana +1 +paused +Paused by ana at step 1 of 2 \(5 %\): lunch/);
    const late = await sluice(w.url, ['history', id, '--since', '30m', '-o', 'json']);
    const { items } = JSON.parse(late.stdout) as { items: { type: string }[] };
    expect(items.map(({ type }) => type)).toEqual(['created', 'paused']);
  });
});

describe('a command', () => {
  it('is about the step that was seen, and says how the rollout stands now', async () => {
    const w = await world();
    const id = await started(w.fake);
    await w.fake.toFirstStep(id);
    const paused = await sluice(w.url, ['pause', id, '--reason', 'lunch']);
    expect(paused.stdout).toBe(`${id}  pause: accepted; it is paused at step 1 of 2, canary weight 5 %\n`);
    expect((await sluice(w.url, ['resume', id])).code).toBe(0);
    expect((await sluice(w.url, ['promote', id, '--full', '-o', 'json'])).code).toBe(0);
    const { phase } = (await w.fake.get(id)) ?? {};
    expect(phase).toMatchObject({ name: 'progressing', go: { full: true, actor: 'token ci-admin' } });
  });

  it('may be a retry: of an ended rollout the answer is a new one', async () => {
    const { w, id } = await rolledBack();
    const { code, stdout } = await sluice(w.url, ['retry', id, '-o', 'name']);
    expect([code, stdout]).toEqual([0, 'ro_2\n']);
  });
});

describe('what others wrote', () => {
  it('cannot act on the terminal of who reads it', async () => {
    const w = await world();
    const id = await started(w.fake, { ...SHORT, labels: { image: 'a\u001b[2Jb\u202ec' } });
    const { stdout } = await sluice(w.url, ['get', id]);
    expect(stdout).toContain('image=a\\u001b[2Jb\\u202ec');
  });
});

describe('warnings of the preflight', () => {
  const WARNED = { ...SHORT, steps: [{ weight: 5, hold: '0s' }] };
  const WARNING = '▲ steps: the last step has 5 % and promotion goes straight to 100 %\n';

  it.each<[string, readonly string[]]>([
    ['as soon as it is accepted', ['--no-wait']],
    ['beside the id alone', ['--no-wait', '-o', 'name']],
    ['beside a document', ['--no-wait', '-o', 'json']],
    ['before what happens is told', ['--timeout', '0s']],
  ])('are said once by run, on stderr: %s', async (_, options) => {
    const w = await world();
    const { stdout, stderr } = await sluice(w.url, ['run', '-', ...options], { input: JSON.stringify(WARNED) });
    expect(stderr.split(WARNING)).toHaveLength(2);
    expect(stderr.startsWith(WARNING) || stderr.startsWith('ro_1')).toBe(true);
    expect(stdout).not.toContain('▲');
  });

  it('are not made up where there are none', async () => {
    const w = await world();
    const { code, stderr } = await sluice(w.url, ['run', '-', '--no-wait'], { input: JSON.stringify(SHORT) });
    expect([code, stderr]).toEqual([0, '']);
  });
});

describe('a reader that has seen enough', () => {
  it('ends no wait: its exit code still tells', async () => {
    const w = await world();
    const id = await started(w.fake, SHORT);
    const running = begin(w.url, ['wait', id]);
    await running.said('created by');
    running.child.stdout?.destroy();
    await drive(w.fake, id);
    expect((await running.ended).code).toBe(0);
  });
});
