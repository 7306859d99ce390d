/** `sluice login`: by a token, which is tried on the server before it is stored, or by the browser (--oidc). */

import { PATIENCE } from '../call.ts';
import type { Call } from '../command.ts';
import { writeConfigFile } from '../config-file.ts';
import { given } from '../environment.ts';
import type { Ending } from '../exit-codes.ts';
import { usage } from '../failure.ts';
import { userAgent } from '../pipeline.ts';
import { roleOf } from '../role.ts';
import { askSecret } from '../secret.ts';
import type { Context } from '../settings.ts';
import { addressOf, configPath, localTime, readConfigFile, tokenText } from '../settings.ts';
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
  const store = (context: Context): void =>
    writeConfigFile(path, { current: name, contexts: { ...file.contexts, [name]: context } });
  if (call.flag('oidc')) return byBrowser(call, url, store, `context ${name} in ${path}`);
  if (call.flag('no-browser')) throw usage('--no-browser: is for --oidc');
  const token = await tokenFor(call);
  const wire = openWire(url, token, userAgent(call.version, env), env);
  try {
    const api = openApi(
      persistent(wire, { patience: PATIENCE.look, onTrouble: (words) => terminal.note(words, 'warn') }),
    );
    await api.listOf('rollouts', new URLSearchParams(), 1, `login to ${url.href}`);
    const role = await roleOf(wire);
    store({ url: url.href, token });
    terminal.line(
      `The token is valid${role === null ? '' : ` (role ${role})`}; stored as context ${name} in ${path}`,
      'good',
    );
    return 'done';
  } finally {
    wire.close();
  }
}

async function byBrowser(
  { terminal, env, version, values, flag }: Call,
  url: URL,
  store: (context: Context) => void,
  where: string,
): Promise<Ending> {
  if (values['token-file'] !== undefined) throw usage('--oidc and --token-file: wanted one of them; found both');
  const { signInByBrowser } = await import('../browser-login.ts');
  const wire = openWire(url, null, userAgent(version, env), env);
  try {
    const made = await signInByBrowser(wire, { terminal, env, browser: !flag('no-browser') });
    store({ url: url.href, token: made.token, expiresAt: made.expiresAt });
    terminal.line(
      `Signed in as ${made.name} (role ${made.role}) until ${localTime(made.expiresAt)}; stored as ${where}`,
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
