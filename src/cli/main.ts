#!/usr/bin/env node
/**
 * `sluice`: the command line. A client of the REST API that starts fast: nothing of the service is loaded, and of the
 * commands only the one that runs. The service's own roles (`sluice api`, `sluice token create`) are handed to src/main.ts.
 */
import { readFileSync } from 'node:fs';
import { parse } from './arguments.ts';
import { callOf } from './call.ts';
import { SERVICE_ROLES } from './commands.ts';
import { environment } from './environment.ts';
import type { Ending } from './exit-codes.ts';
import { EXIT_CODES } from './exit-codes.ts';
import { Failure } from './failure.ts';
import { LOADERS } from './loaders.ts';
import { printDocument } from './show/data.ts';
import type { Terminal } from './show/terminal.ts';
import { openTerminal } from './show/terminal.ts';

/** What the project is tested with; proxies need 24.5. */
const OLDEST_NODE = 24;
/** Whoever can run a container or has a checkout needs no other Node on the machine. */
const NEWER_NODE = `  install Node ${OLDEST_NODE}: nvm install ${OLDEST_NODE}, or https://nodejs.org
  or use the image: docker run --rm --entrypoint sluice IMAGE help
  or, in a checkout after npm ci, the Node that it brings: node_modules/.bin/node src/cli/main.ts help
`;

function versionOf(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return version;
}

async function run(argv: readonly string[]): Promise<Ending> {
  const wantsNoColour = argv.includes('--no-color');
  const terminal = openTerminal(environment, process.stdout, process.stderr, wantsNoColour);
  try {
    return await dispatch(argv, terminal);
  } catch (error) {
    return ended(error, argv, terminal);
  }
}

async function dispatch(argv: readonly string[], terminal: Terminal): Promise<Ending> {
  if (argv[0] === 'demo') {
    const { demo } = await import('./commands/demo.ts');
    return demo(argv.slice(1), terminal);
  }
  if (argv[0] === '__complete') {
    const { complete } = await import('./commands/complete.ts');
    return complete(argv.slice(1), terminal, environment);
  }
  const { spec, args, values } = parse(argv);
  if (values['version'] === true) {
    terminal.data(`sluice ${versionOf()}\n`);
    return 'done';
  }
  if (spec === null || values['help'] === true) {
    const { overview, helpOf } = await import('./help.ts');
    terminal.data(spec === null ? overview() : helpOf(spec));
    return spec !== null || values['help'] === true ? 'done' : 'usage';
  }
  const call = callOf({ args, values, terminal, env: environment, version: versionOf() });
  try {
    const module = await LOADERS[spec.name]?.();
    if (module === undefined) throw new Error(`the command ${spec.name} has no code`);
    return await module.run(call);
  } finally {
    call.close();
  }
}

/** What is expected is said in a sentence, with what to do; a bug with its stack. */
async function ended(error: unknown, argv: readonly string[], terminal: Terminal): Promise<Ending> {
  if (!(error instanceof Failure)) {
    terminal.note(`sluice: this is a bug: ${error instanceof Error ? error.message : String(error)}`, 'bad');
    for (const line of (error instanceof Error ? (error.stack ?? '') : '').split('\n').slice(1)) terminal.note(line);
    return 'error';
  }
  for (const [index, line] of error.message.split('\n').entries())
    terminal.note(index === 0 ? `sluice: ${line}` : line, 'bad');
  for (const line of error.advice) terminal.note(`  ${line}`);
  if (error.ending === 'usage') terminal.note('  sluice help shows the commands and their options');
  const output = outputAsked(argv);
  if (error.document !== undefined && output !== null) await printDocument(terminal, output, error.document, []);
  return error.ending;
}

/** The command may have failed before or after its options were read; this much can be told of any of them. */
function outputAsked(argv: readonly string[]): 'json' | 'yaml' | null {
  const text = argv.join(' ');
  const found = /(?:^| )(?:-o|--output)[ =]?(json|yaml)(?: |$)/.exec(text)?.[1];
  return found === 'json' || found === 'yaml' ? found : null;
}

async function main(): Promise<void> {
  if (Number(process.versions.node.split('.')[0]) < OLDEST_NODE) {
    process.stderr.write(`sluice: wanted Node ${OLDEST_NODE} or newer; found ${process.versions.node}\n${NEWER_NODE}`);
    process.exitCode = EXIT_CODES.usage.code;
    return;
  }
  const argv = process.argv.slice(2);
  if (argv[0] !== undefined && Object.hasOwn(SERVICE_ROLES, argv[0])) {
    await import('../main.ts');
    return;
  }
  process.exitCode = EXIT_CODES[await run(argv)].code;
}

await main();
