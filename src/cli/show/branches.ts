/** The branches of a tree, the last one with its own corner. Pure. */
import type { Line } from './line.ts';
import { toned } from './line.ts';

export interface Row {
  readonly line: Line;
  readonly below: readonly Line[];
}

export function branches(rows: readonly Row[], unicode: boolean): readonly Line[] {
  const branch = unicode ? '├─ ' : '|- ';
  const last = unicode ? '└─ ' : '`- ';
  const down = unicode ? '│  ' : '|  ';
  return rows.flatMap(({ line, below }, index): Line[] => {
    const end = index === rows.length - 1;
    return [
      [toned('quiet', end ? last : branch), ...line],
      ...below.map((part): Line => [toned('quiet', end ? '   ' : down), ...part]),
    ];
  });
}
