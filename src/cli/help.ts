/** The help, from the same table that parses. Pure. */
import { optionsOf } from './arguments.ts';
import type { CommandSpec, OptionSpec } from './command.ts';
import { COMMANDS, DEMO, GLOBAL, OUTPUT, SERVICE_ROLES } from './commands.ts';
import { VARIABLES } from './environment.ts';
import { EXIT_CODES } from './exit-codes.ts';

const columns = (rows: readonly (readonly [string, string])[]): string[] => {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, what]) => `  ${name.padEnd(width)}  ${what}`);
};

const titleOf = ({ name, args }: CommandSpec): string =>
  [name, ...args.map((arg) => (arg.optional === true ? `[${arg.name}]` : arg.name))].join(' ');

const optionTitle = ({ name, short, value }: OptionSpec): string =>
  `${short === undefined ? '    ' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`;

export function overview(): string {
  return [
    'Sluice: progressive delivery for Istio and Linkerd',
    '',
    'Usage: sluice COMMAND [options]',
    '',
    ...columns([
      ...COMMANDS.map((spec): [string, string] => [titleOf(spec), spec.summary]),
      [DEMO.name, DEMO.summary] as const,
    ]),
    '',
    'For all of them:',
    ...columns([OUTPUT, ...GLOBAL].map((option): [string, string] => [optionTitle(option), option.summary])),
    '    --version',
    '',
    'Environment (flags before environment before the configuration file):',
    ...columns(Object.entries(VARIABLES)),
    '',
    'The service itself (its own settings: sluice api --help):',
    ...columns(Object.entries(SERVICE_ROLES)),
    '',
    'sluice help COMMAND shows more, with examples; sluice help exit-codes how commands end.',
    '',
  ].join('\n');
}

export function helpOf(spec: CommandSpec): string {
  const { summary, details, examples } = spec;
  return [
    `sluice ${titleOf(spec)}: ${summary}`,
    ...(details === undefined ? [] : ['', ...details]),
    '',
    'Examples:',
    ...examples.map((example) => `  ${example}`),
    '',
    'Options:',
    ...columns(
      optionsOf(spec).map((option): [string, string] => [optionTitle(option), `${option.summary}${choices(option)}`]),
    ),
    '',
  ].join('\n');
}

const choices = ({ oneOf, summary }: OptionSpec): string =>
  oneOf === undefined || oneOf.every((one) => summary.includes(one)) ? '' : `: ${oneOf.join(', ')}`;

export function exitCodes(): string {
  const rows = Object.values(EXIT_CODES).map(({ code, when }): [string, string] => [String(code).padStart(3), when]);
  return ['How commands end (the exit code):', '', ...columns(rows), ''].join('\n');
}
