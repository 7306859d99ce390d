/** `sluice logout`. */
import type { Call } from '../command.ts';
import { writeConfigFile } from '../config-file.ts';
import type { Ending } from '../exit-codes.ts';
import { usage } from '../failure.ts';
import { configPath, readConfigFile } from '../settings.ts';

export async function run(call: Call): Promise<Ending> {
  const path = configPath(call.env);
  const { current, contexts } = await readConfigFile(path);
  const name = call.text('context') ?? current;
  if (name === null || !Object.hasOwn(contexts, name))
    throw usage(
      `logout: no context ${JSON.stringify(name ?? 'default')} in ${path}; known: ${Object.keys(contexts).join(', ') || 'none'}`,
    );
  const left = Object.fromEntries(Object.entries(contexts).filter(([other]) => other !== name));
  writeConfigFile(path, { current: current === name ? null : current, contexts: left });
  call.terminal.line(
    `The token of ${name} is forgotten here; the server still knows it until it is revoked (sluice token revoke)`,
  );
  return 'done';
}
