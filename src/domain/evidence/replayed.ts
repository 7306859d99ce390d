/** A recorded history held against the judge: what it says of each block, once more, and where that is not what was recorded. */
import type { Block } from './counts.ts';
import type { EvidenceSettings } from './settings.ts';
import { begin, step } from './state.ts';
import type { Finding } from './verdict.ts';
import { finding } from './verdict.ts';

export type Said = Pick<Finding, 'verdict' | 'evidence' | 'sentence'>;

export interface Recorded {
  readonly block: Block;
  /** What was said after that block. */
  readonly finding: Said;
}

export interface Replayed {
  /** Blocks that were judged again: up to the first difference, with it. */
  readonly blocks: number;
  /** After the last of them. */
  readonly finding: Finding;
  /** null: all is as recorded. */
  readonly difference: Difference | null;
}

export interface Difference {
  /** Index of the block. */
  readonly block: number;
  readonly recorded: Said;
  readonly replayed: Said;
}

/** Another version of the runtime may round a logarithm otherwise in its last digit; no verdict hangs on that. */
const LAST_DIGITS = 1e-9;
const alike = (a: number, b: number): boolean => Math.abs(a - b) <= LAST_DIGITS * Math.max(Math.abs(a), Math.abs(b));

const isSame = (a: Said, b: Said): boolean =>
  a.verdict === b.verdict && a.sentence === b.sentence && alike(a.evidence, b.evidence);

const said = ({ verdict, evidence, sentence }: Said): Said => ({ verdict, evidence, sentence });

/** `history`: every block, the oldest first. Not one may be left out: the judge remembers all of them. */
export function heldAgainst(settings: EvidenceSettings, history: readonly Recorded[]): Replayed {
  let state = begin(settings);
  for (const [done, { block, finding: recorded }] of history.entries()) {
    state = step(state, settings, block);
    const again = finding(state, settings);
    if (isSame(recorded, again)) continue;
    const difference = { block: block.index, recorded: said(recorded), replayed: said(again) };
    return { blocks: done + 1, finding: again, difference };
  }
  return { blocks: history.length, finding: finding(state, settings), difference: null };
}
