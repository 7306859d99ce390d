/** `sluice completion SHELL`. */
import type { Call } from '../command.ts';
import { completionFor } from '../completion.ts';
import type { Ending } from '../exit-codes.ts';
import { usage } from '../failure.ts';

export async function run({ args, terminal }: Call): Promise<Ending> {
  const script = completionFor(args[0] ?? '');
  if (script === null) throw usage(`completion: wanted bash, zsh or fish; found ${JSON.stringify(args[0])}`);
  terminal.data(script);
  return 'done';
}
