import { describe, expect, it } from 'vitest';
import type { JudgedBlock } from '../../src/domain/evidence/ledger.ts';
import { DEFAULTS } from '../../src/domain/evidence/settings.ts';
import { begin, step } from '../../src/domain/evidence/state.ts';
import { finding } from '../../src/domain/evidence/verdict.ts';
import { block, side } from '../evidence/traffic.ts';
import { aLedger, anEvidenceSetup } from '../support/evidence.ts';
import { sluice, started, type World, world } from './support.ts';

const SETTINGS = { ...DEFAULTS, bounds: [100] };

/** More than a page holds; the share of every third is not known, and the last ones are bad. */
function judged(count = 250): readonly JudgedBlock[] {
  let state = begin(SETTINGS);
  return Array.from({ length: count }, (_, i) => {
    const share = i % 3 === 0 ? 0 : 0.01;
    const one = block(i, side(10, i < count - 15 ? 0 : 8, [0]), side(990, 1, [9]), share);
    state = step(state, SETTINGS, one);
    return { at: Date.now(), weight: 1, block: one, finding: finding(state, SETTINGS) };
  });
}

async function compared(blocks: readonly JudgedBlock[]): Promise<{ w: World; id: string }> {
  const w = await world();
  const id = await started(w.fake);
  const row = w.fake.store.row(id);
  if (row === undefined) throw new Error('the rollout that was just started is not there');
  row.ledger = aLedger(anEvidenceSetup({ settings: SETTINGS }));
  row.blocks.push(...blocks);
  return { w, id };
}

describe('replay', () => {
  it('computes every verdict of every page again, and ends with the sentence', async () => {
    const blocks = judged();
    const { w, id } = await compared(blocks);
    const [text, json] = await Promise.all([
      sluice(w.url, ['replay', id], { as: 'viewer' }),
      sluice(w.url, ['replay', id, '-o', 'json'], { as: 'viewer' }),
    ]);
    const last = blocks.at(-1)?.finding;
    expect(last?.verdict).toBe('bad');
    expect(text).toMatchObject({ code: 0, stderr: '' });
    expect(text.stdout.split('\n')).toEqual([
      last?.sentence,
      expect.stringMatching(/^250 blocks replayed, all as recorded: bad, evidence [\d.]+$/),
      '',
    ]);
    expect(JSON.parse(json.stdout)).toEqual({ ok: true, compared: true, blocks: 250, finding: last, difference: null });
  });

  it('shows the first block that gives something else, with both verdicts, and ends with 14', async () => {
    const blocks = judged().map((one, i) =>
      i >= 230 ? { ...one, finding: { ...one.finding, sentence: `all is well, ${i}` } } : one,
    );
    const { w, id } = await compared(blocks);
    const [text, json] = await Promise.all([
      sluice(w.url, ['replay', id]),
      sluice(w.url, ['replay', id, '-o', 'json']),
    ]);
    expect(text.code).toBe(14);
    expect(text.stdout).toMatch(
      /^block 230 does not give what was recorded\nrecorded .*: all is well, 230\nreplayed .*0 of 2,310 /,
    );
    expect(json.code).toBe(14);
    expect(JSON.parse(json.stdout)).toMatchObject({
      ok: false,
      blocks: 231,
      difference: { block: 230, recorded: { sentence: 'all is well, 230' } },
    });
  });

  it('says so where there is no comparison, or nothing was judged yet', async () => {
    const w = await world();
    const id = await started(w.fake);
    const none = await sluice(w.url, ['replay', id]);
    expect([none.code, none.stdout]).toEqual([0, expect.stringContaining('has no comparison with the stable version')]);
    const json = await sluice(w.url, ['replay', id, '-o', 'json']);
    expect(JSON.parse(json.stdout)).toMatchObject({ compared: false, blocks: 0, difference: null });
    const early = await compared([]);
    expect((await sluice(early.w.url, ['replay', early.id])).stdout).toContain('no block of ro_1 has been judged');
  });

  it('of no rollout is no success', async () => {
    const w = await world();
    const { code, stderr } = await sluice(w.url, ['replay', 'ro_404']);
    expect([code, stderr]).toEqual([12, expect.stringContaining('ro_404')]);
  });
});
