/** Results as a table for people and as JSON lines for programs. */

export type Cell = string | number | null;
export type Result = Readonly<Record<string, Cell>>;

export interface Report {
  /** A line about what is being done; not part of the results. */
  say(text: string): void;
  /** One row: in the JSON lines at once, in the table at the end of its section. */
  row(section: string, result: Result): void;
  /** Prints the table of a section, and what it means. */
  table(section: string, words?: string): void;
}

/** `json`: lines of JSON on standard output and nothing else there. */
export function openReport(json: boolean, machine: object): Report {
  const sections = new Map<string, Result[]>();
  const line = (fields: object): void => void process.stdout.write(`${JSON.stringify(fields)}\n`);
  if (json) line({ section: 'machine', ...machine });
  else process.stdout.write(`${Object.values(machine).join(' · ')}\n`);
  return {
    say: (text) => void process.stderr.write(`[bench] ${text}\n`),
    row(section, result) {
      const rows = sections.get(section) ?? [];
      rows.push(result);
      sections.set(section, rows);
      if (json) line({ section, ...result });
    },
    table(section, words) {
      if (json) return;
      process.stdout.write(
        `\n${section}\n${tableOf(sections.get(section) ?? [])}${words === undefined ? '' : `${words}\n`}`,
      );
    },
  };
}

const shown = (cell: Cell | undefined): string => {
  if (cell === null || cell === undefined) return '-';
  if (typeof cell === 'string') return cell;
  if (Number.isInteger(cell)) return String(cell);
  return Math.abs(cell) >= 100 ? cell.toFixed(0) : Math.abs(cell) >= 10 ? cell.toFixed(1) : cell.toFixed(2);
};

/** Columns as wide as their widest cell; numbers to the right. */
export function tableOf(rows: readonly Result[]): string {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const widths = names.map((name) => Math.max(name.length, ...rows.map((row) => shown(row[name]).length)));
  const format = (cells: readonly string[], right: (column: number) => boolean): string =>
    `| ${cells.map((cell, i) => (right(i) ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0))).join(' | ')} |\n`;
  const head = format(names, () => false);
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|\n`;
  const body = rows.map((row) =>
    format(
      names.map((name) => shown(row[name])),
      (i) => typeof row[names[i] ?? ''] === 'number',
    ),
  );
  return head + rule + body.join('');
}
