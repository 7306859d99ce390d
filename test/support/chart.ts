/** The chart's files, and helm where the machine has it. */
import { accessSync, constants, readdirSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const CHART = join(ROOT, 'charts/sluice');

/** Path of a program; null: this machine has none. */
export function found(program: string): string | null {
  const paths = (process.env['PATH'] ?? '').split(delimiter).map((directory) => join(directory, program));
  return paths.find(isExecutable) ?? null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** `HELM` names it where it is not on the PATH. */
export const helm: string | null = process.env['HELM'] ?? found('helm');

export const chartFile = (name: string): string => readFileSync(join(CHART, name), 'utf8');
export const chartYaml = (name: string): unknown => parse(chartFile(name));

/** Name and text of every template. */
export const templates: readonly (readonly [name: string, text: string])[] = readdirSync(join(CHART, 'templates')).map(
  (name) => [name, chartFile(`templates/${name}`)] as const,
);

/** The values that CI renders: `ci/<name>-values.yaml`. */
export const EXAMPLES = readdirSync(join(CHART, 'ci')).map((file) => file.replace('-values.yaml', ''));

/** Every path to a leaf: "api.resources.limits.memory". Empty maps and lists are leaves. */
export function leaves(value: unknown, path = ''): string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || Object.keys(value).length === 0)
    return [path];
  return Object.entries(value).flatMap(([key, part]) => leaves(part, path === '' ? key : `${path}.${key}`));
}
