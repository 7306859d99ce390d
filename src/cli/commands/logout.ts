/** `sluice logout`. */
import type { Call } from '../command.ts';
import { writeConfigFile } from '../config-file.ts';
import type { Ending } from '../exit-codes.ts';
import { usage } from '../failure.ts';
import { configPath, localTime, readConfigFile } from '../settings.ts';

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
  const ends = contexts[name]?.expiresAt;
  call.terminal.line(
    ends === undefined
      ? `The token of ${name} is forgotten here; the server still knows it until it is revoked (sluice token revoke)`
      : `The session of ${name} is forgotten here; whoever has a copy of it may use it until ${localTime(ends)}`,
  );
  return 'done';
}
