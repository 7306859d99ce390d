/** `sluice login`: the token is tried on the server before it is stored. */

import { PATIENCE } from '../call.ts';
import type { Call } from '../command.ts';
import { writeConfigFile } from '../config-file.ts';
import { given } from '../environment.ts';
import type { Ending } from '../exit-codes.ts';
import { usage } from '../failure.ts';
import { userAgent } from '../pipeline.ts';
import { roleOf } from '../role.ts';
import { askSecret } from '../secret.ts';
import { addressOf, configPath, readConfigFile, tokenText } from '../settings.ts';
import { openApi } from '../wire/api.ts';
import { persistent } from '../wire/persist.ts';
import { openWire } from '../wire/wire.ts';

export async function run(call: Call): Promise<Ending> {
  const { terminal, env } = call;
  const url = addressOf(call.args[0] ?? '');
  const name = call.text('context') ?? 'default';
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(name))
    throw usage(`--context: wanted a name of letters, digits, ".", "_" and "-"; found ${JSON.stringify(name)}`);
  const path = configPath(env);
  const file = await readConfigFile(path);
  if (url.protocol === 'http:' && !isLoopback(url.hostname))
    terminal.note(`${url.href} is not encrypted: everybody on the way can read the token`, 'warn');
  const token = await tokenFor(call);
  const wire = openWire(url, token, userAgent(call.version, env), env);
  try {
    const api = openApi(
      persistent(wire, { patience: PATIENCE.look, onTrouble: (words) => terminal.note(words, 'warn') }),
    );
    await api.list(new URLSearchParams(), 1);
    const role = await roleOf(wire);
    writeConfigFile(path, { current: name, contexts: { ...file.contexts, [name]: { url: url.href, token } } });
    terminal.line(
      `The token is valid${role === null ? '' : ` (role ${role})`}; stored as context ${name} in ${path}`,
      'good',
    );
    return 'done';
  } finally {
    wire.close();
  }
}

async function tokenFor({ values, env, terminal }: Call): Promise<string> {
  const { readFileSync } = await import('node:fs');
  const file = values['token-file'];
  if (typeof file === 'string' && file !== '-') {
    try {
      return tokenText(readFileSync(file, 'utf8'), '--token-file');
    } catch (error) {
      throw (error as NodeJS.ErrnoException).code === undefined ? error : usage(`--token-file: cannot read ${file}`);
    }
  }
  const fromEnv = given(env, 'SLUICE_TOKEN');
  if (file === undefined && fromEnv !== undefined) return tokenText(fromEnv, 'SLUICE_TOKEN');
  return tokenText(await askSecret(terminal, 'API token (not shown): '), 'the token');
}

export const isLoopback = (hostname: string): boolean =>
  hostname === 'localhost' || hostname === '[::1]' || /^127\./.test(hostname);
