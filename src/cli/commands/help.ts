/** `sluice help [COMMAND]`, `sluice help exit-codes`. */
import type { Call } from '../command.ts';
import { COMMANDS } from '../commands.ts';
import type { Ending } from '../exit-codes.ts';
import { usage } from '../failure.ts';
import { exitCodes, helpOf, overview } from '../help.ts';

export async function run({ args, terminal }: Call): Promise<Ending> {
  const topic = args.join(' ');
  if (topic === '') terminal.data(overview());
  else if (topic === 'exit-codes') terminal.data(exitCodes());
  else {
    const found = COMMANDS.filter(({ name }) => name === topic || name.startsWith(`${topic} `));
    if (found.length === 0)
      throw usage(
        `no help for ${JSON.stringify(topic)}; known: exit-codes, ${COMMANDS.map(({ name }) => name).join(', ')}`,
      );
    terminal.data(found.map(helpOf).join('\n'));
  }
  return 'done';
}
