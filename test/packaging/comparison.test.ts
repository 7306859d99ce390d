/** The figures of docs/comparison.md and of the README are those that stand where they were measured. */
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

describe('the README', () => {
  it.each([
    ['0.127', 'docs/judge.md', /harm \/ Flagger defaults, same schedule .*\| 0\.127 \|/],
    ['0.177', 'docs/judge.md', /harm \/ Kayenta, same schedule .*\| 0\.177 \|/],
    ['0.41 %', 'docs/judge.md', /0\.41 % false rollbacks/],
    ['208 ms', 'docs/benchmarks.md', /\*\*208\*\*/],
    ['5,000 rollouts', 'docs/benchmarks.md', /5,000 rollouts at 10 s are held/],
    ['20,000', 'ARCHITECTURE.md', /20,000 seeds/],
  ] as const)('says %s as %s does', (figure, where, stands) => {
    expect(pageAt('README.md').text).toContain(figure);
    expect(pageAt(where).text).toMatch(stands);
  });
});
