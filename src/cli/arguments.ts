/** argv -> the command and what it was given. Every complaint names what is known. */
import { parseArgs } from 'node:util';
import type { CommandSpec, OptionSpec, Values } from './command.ts';
import { COMMANDS, GLOBAL, OUTPUT } from './commands.ts';
import { usage } from './failure.ts';

export interface Parsed {
  /** null: none was named. */
  readonly spec: CommandSpec | null;
  readonly args: readonly string[];
  readonly values: Values;
}

export const optionsOf = (spec: CommandSpec): readonly OptionSpec[] => [
  ...spec.options,
  ...(spec.outputs.length === 0 ? [] : [{ ...OUTPUT, oneOf: spec.outputs }]),
  ...GLOBAL,
];

/** All options of all commands: they may stand before the command's name, too. A name means the same everywhere (tested). */
const EVERY = new Map([...COMMANDS.flatMap(({ options }) => options), OUTPUT, ...GLOBAL].map((o) => [o.name, o]));

export function parse(argv: readonly string[]): Parsed {
  const { values, positionals } = read(argv);
  const { spec, rest } = commandOf(positionals);
  if (spec === null) return { spec, args: rest, values };
  checkOptions(spec, values);
  if (values['help'] !== true) checkArguments(spec, rest);
  return { spec, args: rest, values };
}

function read(argv: readonly string[]): { readonly values: Values; readonly positionals: readonly string[] } {
  const options = Object.fromEntries(
    [...EVERY.values()].map(({ name, value, short, multiple }) => [
      name,
      {
        type: value === undefined ? ('boolean' as const) : ('string' as const),
        ...(short === undefined ? {} : { short }),
        ...(multiple === undefined ? {} : { multiple }),
      },
    ]),
  );
  try {
    return parseArgs({
      args: [...argv],
      options: { ...options, version: { type: 'boolean' } },
      allowPositionals: true,
    });
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    const unknown = /^Unknown option '(-{1,2}[^']*)'/.exec(message)?.[1];
    if (unknown === undefined) throw usage(code?.startsWith('ERR_PARSE_ARGS') === true ? message : String(error));
    if (unknown === '--token')
      throw usage(
        'a token on the command line is seen by every process of the machine',
        'Give it by SLUICE_TOKEN, by --token-file, or once by sluice login',
      );
    const near = nearest(unknown.replace(/^-+/, ''), [...EVERY.keys()]);
    throw usage(`unknown option ${unknown}${near === null ? '' : `; did you mean --${near}?`}`);
  }
}

function commandOf(positionals: readonly string[]): { readonly spec: CommandSpec | null; readonly rest: string[] } {
  const [first, second, ...rest] = positionals;
  if (first === undefined) return { spec: null, rest: [] };
  const grouped = COMMANDS.filter(({ name }) => name.startsWith(`${first} `));
  if (grouped.length > 0) {
    const spec = grouped.find(({ name }) => name === `${first} ${second}`);
    if (spec !== undefined) return { spec, rest };
    const found = second === undefined ? 'found none' : `found ${JSON.stringify(second)}`;
    throw usage(`wanted one of the commands ${grouped.map(({ name }) => name).join(', ')}; ${found}`);
  }
  const spec = COMMANDS.find(({ name }) => name === first);
  if (spec !== undefined) return { spec, rest: positionals.slice(1) };
  const names = COMMANDS.map(({ name }) => name);
  const near = nearest(first, names);
  throw usage(
    `unknown command ${JSON.stringify(first)}${near === null ? '' : `; did you mean "${near}"?`}`,
    `Known: ${names.join(', ')}, demo`,
  );
}

function checkOptions(spec: CommandSpec, values: Values): void {
  const own = new Map(optionsOf(spec).map((option) => [option.name, option]));
  for (const [name, value] of Object.entries(values)) {
    const option = own.get(name);
    if (option === undefined) {
      const known = [...own.keys()].map((known) => `--${known}`).join(', ');
      throw usage(`${spec.name} has no option --${name}; known: ${known}`);
    }
    const { oneOf } = option;
    if (oneOf === undefined) continue;
    const given = [value].flat().flatMap((part) => (option.multiple === true ? String(part).split(',') : String(part)));
    const wrong = given.find((part) => !oneOf.includes(part));
    if (wrong !== undefined) throw usage(`--${name}: wanted ${oneOf.join(', ')}; found ${JSON.stringify(wrong)}`);
  }
}

function checkArguments(spec: CommandSpec, args: readonly string[]): void {
  const missing = spec.args.find((arg, index) => arg.optional !== true && args[index] === undefined);
  if (missing !== undefined) throw usage(`${spec.name}: wanted ${missing.name}`, `For example: ${spec.examples[0]}`);
  const surplus = args[spec.args.length];
  if (surplus !== undefined) throw usage(`${spec.name}: unexpected argument ${JSON.stringify(surplus)}`);
}

/** The known name that needs the fewest changes of one letter; null: none is near. */
export function nearest(given: string, known: readonly string[]): string | null {
  const ranked = known.map((name) => ({ name, far: distance(given, name) })).toSorted((a, b) => a.far - b.far);
  const best = ranked[0];
  return best !== undefined && best.far <= Math.max(1, Math.floor(best.name.length / 3)) ? best.name : null;
}

function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
