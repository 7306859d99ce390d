import { describe, expect, it } from 'vitest';
import { pageOf } from '../../src/cli/commands/summary.ts';
import { evaluation } from '../support/usecases-fake.ts';
import { drive, driveBack, SHORT, sluice, started, world } from './support.ts';

const rowsOf = (markdown: string): string[][] =>
  markdown
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .map((line) => line.slice(2, -2).split(' | '));

describe('summary', () => {
  it('has the sentence on top, then a row for each step with what each check said', async () => {
    const w = await world();
    const id = await started(w.fake);
    await driveBack(w.fake, id);
    const { code, stdout } = await sluice(w.url, ['summary', id]);
    expect(code).toBe(0);
    const [title, , sentence] = stdout.split('\n');
    expect(title).toBe('### myapp (default/production): rolled_back');
    expect(sentence).toMatch(/^\*\*Rolled back at 5 % after .*\*\*$/);
    expect(rowsOf(stdout)).toEqual([
      ['step', 'canary', 'standing', 'errors'],
      ['---', '---', '---', '---'],
      ['1', '5 %', 'left', '✖ fail: canary error rate 5 %'],
      ['2', '50 %', 'not reached', ''],
      ['promotion', '100 %', 'not reached', ''],
    ]);
    expect(stdout).toContain(`[${id}](${w.url}/ui/rollouts/${id})`);
  });

  it('keeps the verdict of a step that is over', async () => {
    const w = await world();
    const id = await started(w.fake, SHORT);
    await drive(w.fake, id);
    const { stdout } = await sluice(w.url, ['summary', id]);
    expect(rowsOf(stdout).slice(2)).toEqual([
      ['1', '50 %', 'passed', '✔ pass'],
      ['promotion', '100 %', 'passed', expect.any(String)],
    ]);
  });

  it('lets nothing that others say become a link, a tag or a cell', async () => {
    const w = await world();
    const id = await started(w.fake);
    const rollout = await w.fake.toFirstStep(id);
    const said = 'a | b\n[c](https://example.com) <img src=x>';
    await w.fake.tick(id, { measurements: [{ ...evaluation(rollout, 'inconclusive'), reason: said }] });
    const { stdout } = await sluice(w.url, ['summary', id]);
    expect(stdout).toContain('? inconclusive: a \\| b \\[c\\](https://example.com) \\<img src=x\\>');
  });

  it('gives programs the sentence, the page, the step and the time that it took', async () => {
    const w = await world();
    const id = await started(w.fake);
    await driveBack(w.fake, id);
    const { stdout } = await sluice(w.url, ['summary', id, '-o', 'json']);
    expect(JSON.parse(stdout)).toMatchObject({
      id,
      status: 'rolled_back',
      sentence: expect.stringMatching(/^Rolled back at 5 %/),
      page: `${w.url}/ui/rollouts/${id}`,
      step: 1,
      tookMs: expect.any(Number),
      steps: [{ step: 1, weight: 5, standing: 'left', verdicts: [{ check: 'errors', verdict: 'fail' }] }, {}, {}],
    });
  });

  it.each([
    ['/rollouts/ro_1', 'https://sluice.example.com/ui/rollouts/ro_1'],
    ['https://other.example.com/sluice/rollouts/ro_1', 'https://other.example.com/sluice/ui/rollouts/ro_1'],
  ])('leads from %s to the page %s', (self, page) => {
    expect(pageOf(self, new URL('https://sluice.example.com'))).toBe(page);
  });
});
