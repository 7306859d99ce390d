import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { parse } from '../../src/cli/arguments.ts';
import { COMMANDS } from '../../src/cli/commands.ts';
import { VARIABLES } from '../../src/cli/environment.ts';
import { EXIT_CODES } from '../../src/cli/exit-codes.ts';
import { ROOT } from '../support/chart.ts';
import { callsIn } from '../support/pages.ts';

const page = readFileSync(join(ROOT, 'docs/cli.md'), 'utf8');

describe('docs/cli.md', () => {
  it('has the table of exit codes as it is', () => {
    const rows = [...page.matchAll(/^\| (\d+) \| (.*) \|$/gm)].map(([, code, when]) => [Number(code), when]);
    expect(rows).toEqual(Object.values(EXIT_CODES).map(({ code, when }) => [code, when]));
  });

  it('names every command and every setting', () => {
    for (const { name } of COMMANDS) expect(page).toContain(`sluice ${name}`);
    for (const name of Object.keys(VARIABLES).filter((n) => n !== 'NO_COLOR')) expect(page).toContain(name);
  });

  it('shows commands that are understood, as do the examples of the help', () => {
    const shown = [...page.matchAll(/```(?:sh|yaml)\n([\s\S]*?)```/g)].flatMap(([, block = '']) => callsIn(block));
    const inTable = [...page.matchAll(/`(sluice [^`]+)`/g)].flatMap(([, text = '']) => callsIn(text));
    const examples = COMMANDS.flatMap((command) => command.examples).flatMap(callsIn);
    expect(shown.length).toBeGreaterThan(8);
    expect(examples.length).toBeGreaterThanOrEqual(COMMANDS.length);
    for (const words of [...shown, ...inTable, ...examples]) expect(() => parse(words), words.join(' ')).not.toThrow();
  });

  it('shows YAML that is YAML', () => {
    for (const [, block = ''] of page.matchAll(/```yaml\n([\s\S]*?)```/g)) expect(() => parseYaml(block)).not.toThrow();
  });
});
