/** `--set labels.image=myapp:2.1`, `--label team=shop`: a changed copy of the plan. Pure. */
import { usage } from './failure.ts';

type Json = Record<string, unknown>;
const isRecord = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Everything before the first = is the path; a dot within a key is written \. */
export function setField(document: unknown, given: string): unknown {
  const [path, value] = halves('set', given);
  const keys = keysOf(given);
  if (keys.some((key) => key === '' || key === '__proto__'))
    throw usage(`--set: wanted a path like labels.image or steps.0.hold; found ${JSON.stringify(path)}`);
  return replaced(document, keys, keys.at(-2) === 'labels' ? value : scalar(value), path);
}

/** The path of `labels.image=myapp:2.1`, key by key. */
export const keysOf = (given: string): readonly string[] =>
  halves('set', given)[0]
    .split(/(?<!\\)\./)
    .map((key) => key.replaceAll('\\.', '.'));

/** `at`: the field with the labels, as a path. */
export function label(document: unknown, given: string, at: readonly string[]): unknown {
  const [key, value] = halves('label', given);
  return replaced(document, [...at, key], value, [...at, key].join('.'));
}

function halves(option: string, given: string): readonly [string, string] {
  const at = given.indexOf('=');
  if (at < 1) throw usage(`--${option}: wanted NAME=VALUE; found ${JSON.stringify(given)}`);
  return [given.slice(0, at), given.slice(at + 1)];
}

/** Labels are text whatever they look like; elsewhere a number is a number, as it would be in the file. */
const scalar = (text: string): unknown =>
  /^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?)$/.test(text) ? (JSON.parse(text) as unknown) : text;

function replaced(node: unknown, [key, ...rest]: readonly string[], value: unknown, path: string): unknown {
  if (key === undefined) return value;
  if (Array.isArray(node)) {
    const index = Number(key);
    if (!Number.isInteger(index) || index < 0 || index > node.length)
      throw usage(
        `--set ${path}: wanted an index from 0 to ${node.length} (${node.length} appends); found ${JSON.stringify(key)}`,
      );
    return [...node.slice(0, index), replaced(node[index], rest, value, path), ...node.slice(index + 1)];
  }
  if (node !== undefined && node !== null && !isRecord(node))
    throw usage(`--set ${path}: ${JSON.stringify(node)} stands in the way; it has no field ${JSON.stringify(key)}`);
  return { ...node, [key]: replaced(node?.[key], rest, value, path) };
}
