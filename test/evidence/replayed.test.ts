import { describe, expect, it } from 'vitest';
import type { Recorded } from '../../src/domain/evidence/replayed.ts';
import { heldAgainst } from '../../src/domain/evidence/replayed.ts';
import { DEFAULTS } from '../../src/domain/evidence/settings.ts';
import { replay } from '../../src/domain/evidence/state.ts';
import { finding } from '../../src/domain/evidence/verdict.ts';
import { block, blocks, side } from './traffic.ts';

const ALL = blocks(12, (i) => block(i, side(10, i < 6 ? 0 : 8), side(990, 1), 0.01));
const HISTORY: readonly Recorded[] = ALL.map((one, i) => ({
  block: one,
  finding: finding(replay(DEFAULTS, ALL.slice(0, i + 1)), DEFAULTS),
}));

const changed = (at: number, part: (one: Recorded) => Partial<Recorded>): readonly Recorded[] =>
  HISTORY.map((one, i) => (i === at ? { ...one, ...part(one) } : one));

describe('a recorded history, held against the judge', () => {
  it('is as recorded at every block, through the verdict and beyond', () => {
    expect(heldAgainst(DEFAULTS, HISTORY)).toEqual({
      blocks: 12,
      finding: HISTORY.at(-1)?.finding,
      difference: null,
    });
  });

  it('is what the judge says of nothing where there is no block', () => {
    expect(heldAgainst(DEFAULTS, [])).toMatchObject({ blocks: 0, finding: { verdict: 'undecided' }, difference: null });
  });

  it.each<[string, (one: Recorded) => Partial<Recorded>]>([
    ['verdict', ({ finding: f }) => ({ finding: { ...f, verdict: 'safe' } })],
    ['evidence', ({ finding: f }) => ({ finding: { ...f, evidence: f.evidence * 1.000001 } })],
    ['sentence', ({ finding: f }) => ({ finding: { ...f, sentence: 'all is well' } })],
  ])('shows the first block whose %s is another one, with both', (_, part) => {
    const history = changed(7, part);
    const { blocks: judged, difference } = heldAgainst(DEFAULTS, history);
    expect(judged).toBe(8);
    expect(difference?.block).toBe(7);
    expect(difference?.recorded).toEqual({ ...difference?.recorded, ...pick(history[7]) });
    expect(difference?.replayed).toEqual(pick(HISTORY[7]));
  });

  it('differs from the block on that was changed, was left out, or lost what the canary should have got', () => {
    const fewer = changed(7, ({ block: b }) => ({
      block: { ...b, groups: block(7, side(10, 7), side(990, 1)).groups },
    }));
    expect(heldAgainst(DEFAULTS, fewer).difference?.block).toBe(7);
    expect(heldAgainst(DEFAULTS, HISTORY.toSpliced(7, 1)).difference?.block).toBe(8);
    expect(heldAgainst({ ...DEFAULTS, alpha: 0.02 }, HISTORY).difference).not.toBeNull();
  });

  it('does not hang on the last digit of a logarithm', () => {
    const rounded = changed(7, ({ finding: f }) => ({ finding: { ...f, evidence: f.evidence * (1 + 1e-14) } }));
    expect(heldAgainst(DEFAULTS, rounded).difference).toBeNull();
  });
});

const pick = (one: Recorded | undefined) => {
  if (one === undefined) throw new Error('the test names a block that is not there');
  const { verdict, evidence, sentence } = one.finding;
  return { verdict, evidence, sentence };
};
