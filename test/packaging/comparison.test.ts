/** The figures of docs/comparison.md are those of docs/judge.md. */
import { describe, expect, it } from 'vitest';
import { pageAt } from '../support/pages.ts';

interface Table {
  /** Of the judges, in order. */
  readonly columns: readonly string[];
  /** Scenario -> its cells, in order. */
  readonly rows: ReadonlyMap<string, readonly string[]>;
}

const cells = (line: string): readonly string[] =>
  line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.replaceAll('*', '').trim());

/** The tables of a page whose rows are scenarios. */
function tables(path: string): readonly Table[] {
  const groups = pageAt(path).text.split(/\n(?!\|)/);
  return groups
    .map((group) => group.split('\n').filter((line) => line.startsWith('|')))
    .filter((lines) => /^\| [BN]\d+ /.test(lines[2] ?? ''))
    .map(([head = '', , ...rows]) => ({
      columns: cells(head).slice(1),
      rows: new Map(rows.map((line) => [cells(line)[0] ?? '', cells(line).slice(1)])),
    }));
}

const [sameBad, , sameHealthy] = tables('docs/judge.md');

describe('docs/comparison.md', () => {
  const shown = tables('docs/comparison.md');

  it('shows bad and healthy scenarios', () => {
    expect(shown.map(({ rows }) => [...rows.keys()].map((name) => name.charAt(0)).join(''))).toEqual(['BBBBB', 'NNNN']);
  });

  it.each([
    ['bad', shown[0], sameBad],
    ['healthy', shown[1], sameHealthy],
  ] as const)('has the figures of the %s scenarios as they were measured', (_, own, measured) => {
    for (const [scenario, figures] of own?.rows ?? [])
      for (const [i, judge] of (own?.columns ?? []).entries()) {
        const column = measured?.columns.indexOf(judge) ?? -1;
        expect(figures[i], `${scenario}, ${judge}`).toBe(measured?.rows.get(scenario)?.[column]);
      }
  });
});
