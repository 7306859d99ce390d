/**
 * Which server, with which token: flags before environment before the configuration file. The address and the token of a
 * context belong together: a token out of the file is never sent to another address than the one beside it.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import type { Environment } from './environment.ts';
import { given } from './environment.ts';
import { Failure, usage } from './failure.ts';

export interface Flags {
  readonly url?: string | undefined;
  readonly 'token-file'?: string | undefined;
  readonly context?: string | undefined;
  readonly 'oidc-audience'?: string | undefined;
}

export interface Server {
  readonly url: URL;
  /** null: none was given. */
  readonly token: string | null;
  /** The token is made by GitHub Actions for this audience; null: it is `token`. */
  readonly audience: string | null;
  /** Where they came from, in words. */
  readonly from: string;
}

export interface Context {
  readonly url: string;
  readonly token: string;
  /** ISO 8601: the end of a session. Absent: the token does not say. */
  readonly expiresAt?: string;
}
export interface ConfigFile {
  readonly current: string | null;
  readonly contexts: Readonly<Record<string, Context>>;
}

export function configPath(env: Environment): string {
  const base = given(env, 'XDG_CONFIG_HOME') ?? `${given(env, 'HOME') ?? '.'}/.config`;
  return `${base}/sluice/config.yaml`;
}

export async function serverOf(flags: Flags, env: Environment): Promise<Server> {
  const audience = audienceOf(flags, env);
  if (audience === null) return { ...(await withToken(flags, env)), audience };
  const { SLUICE_TOKEN: _, SLUICE_TOKEN_FILE: __, ...others } = env;
  return { ...(await withToken(flags, others)), token: null, audience };
}

/** null: the token is given. */
function audienceOf(flags: Flags, env: Environment): string | null {
  const byFlag = flags['oidc-audience'];
  if (byFlag !== undefined && flags['token-file'] !== undefined)
    throw usage('--oidc-audience and --token-file: wanted one of them; found both');
  if (byFlag !== undefined) return byFlag;
  if (flags['token-file'] !== undefined || flags.context !== undefined) return null;
  const named = given(env, 'SLUICE_OIDC_AUDIENCE');
  if (named !== undefined && tokenOfEnvironment(env) !== undefined)
    throw usage('SLUICE_TOKEN and SLUICE_OIDC_AUDIENCE: each is a way to have a token; remove one');
  return named ?? null;
}

async function withToken(flags: Flags, env: Environment): Promise<Omit<Server, 'audience'>> {
  const fromFlags = { url: flags.url, token: tokenFile(flags['token-file'], '--token-file') };
  const named = flags.context;
  // A context that was asked for by a flag is stronger than the environment; that is what the order says.
  const fromEnv =
    named === undefined
      ? { url: given(env, 'SLUICE_URL'), token: tokenOfEnvironment(env) }
      : { url: undefined, token: undefined };
  const url = fromFlags.url ?? fromEnv.url;
  const token = fromFlags.token ?? fromEnv.token;
  if (url !== undefined && token !== undefined)
    return { url: addressOf(url), token, from: fromFlags.url === undefined ? 'the environment' : 'the command line' };

  const path = configPath(env);
  const contextName = named ?? given(env, 'SLUICE_CONTEXT');
  const context = contextOf(await readConfigFile(path), contextName, path);
  if (url !== undefined) {
    const same = context !== null && addressOf(context.url).href === addressOf(url).href;
    return {
      url: addressOf(url),
      token: token ?? (same ? tokenOf(context) : null),
      from: 'the command line or environment',
    };
  }
  if (context === null)
    throw usage(
      `no server is known: neither --url nor SLUICE_URL is given, and ${path} names none`,
      'sluice login https://sluice.example.com   stores address and token',
      'In a pipeline set SLUICE_URL and SLUICE_TOKEN',
    );
  return { url: addressOf(context.url), token: token ?? tokenOf(context), from: `${path}, context ${context.name}` };
}

/** Nothing is sent that the server would refuse for its age; by this computer's clock. */
function tokenOf({ name, url, token, expiresAt }: Context & { readonly name: string }): string {
  if (expiresAt === undefined || Date.parse(expiresAt) > Date.now()) return token;
  throw new Failure('unauthorised', `the session of context ${name} has ended at ${localTime(expiresAt)}`, [
    `sluice login --oidc ${url}${name === 'default' ? '' : ` --context ${name}`}   signs in again`,
  ]);
}

/** "2026-01-31 18:00", where this computer is. */
export function localTime(iso: string): string {
  const at = new Date(iso);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`;
}

function tokenOfEnvironment(env: Environment): string | undefined {
  const token = given(env, 'SLUICE_TOKEN');
  const file = given(env, 'SLUICE_TOKEN_FILE');
  if (token !== undefined && file !== undefined)
    throw usage('SLUICE_TOKEN: given twice, also as SLUICE_TOKEN_FILE; remove one');
  return token === undefined ? tokenFile(file, 'SLUICE_TOKEN_FILE') : tokenText(token, 'SLUICE_TOKEN');
}

/** What can stand in a header; and a line break at the end of a file is nobody's mistake. */
export function tokenText(text: string, where: string): string {
  const token = text.trim();
  if (/^[\x21-\x7e]{1,16384}$/.test(token)) return token;
  throw usage(`${where}: wanted one token like slc_...; found ${token === '' ? 'nothing' : 'other characters in it'}`);
}

function tokenFile(path: string | undefined, where: string): string | undefined {
  if (path === undefined) return undefined;
  try {
    return tokenText(readFileSync(path === '-' ? 0 : path, 'utf8'), where);
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw usage(`${where}: cannot read ${path}: ${(error as Error).message}`);
  }
}

export function addressOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !['http:', 'https:'].includes(url.protocol))
    throw usage(`wanted the address of the server, like https://sluice.example.com; found ${JSON.stringify(text)}`);
  if (url.username !== '' || url.password !== '')
    throw usage('the address of the server holds a user name or a password; give the token by SLUICE_TOKEN');
  if (url.search !== '' || url.hash !== '')
    throw usage(`wanted the bare address of the server, without ? and #; found ${JSON.stringify(text)}`);
  url.pathname = url.pathname.replace(/\/+$/, '');
  return url;
}

function contextOf(
  file: ConfigFile,
  wanted: string | undefined,
  path: string,
): (Context & { readonly name: string }) | null {
  const name = wanted ?? file.current;
  if (name === null) return null;
  const context = Object.hasOwn(file.contexts, name) ? file.contexts[name] : undefined;
  if (context !== undefined) return { ...context, name };
  if (wanted === undefined) return null;
  const known = Object.keys(file.contexts);
  throw usage(
    `${path} has no context ${JSON.stringify(name)}; known: ${known.length === 0 ? 'none' : known.join(', ')}`,
    `sluice login https://sluice.example.com --context ${name}   makes it`,
  );
}

const EMPTY: ConfigFile = { current: null, contexts: {} };

/** Refuses a file that others can read: the tokens in it must be taken for known to them. */
export async function readConfigFile(path: string): Promise<ConfigFile> {
  if (!existsSync(path)) return EMPTY;
  const { mode } = statSync(path);
  if ((mode & 0o077) !== 0)
    throw usage(
      `${path} holds tokens and is open to others (mode ${(mode & 0o777).toString(8)}): it is not used`,
      `chmod 600 ${path}`,
      'Whoever could read it may have the tokens: have them revoked and log in again',
    );
  return checked(path, await documentOf(path, readFileSync(path, 'utf8')));
}

/** `login` writes the part of YAML that is JSON, which needs no YAML reader: 20 to 50 ms of each start. People may write the rest. */
async function documentOf(path: string, text: string): Promise<unknown> {
  try {
    return JSON.parse(text.replaceAll(/^#.*$/gm, '')) as unknown;
  } catch {
    const { parse } = await import('yaml');
    try {
      return parse(text) as unknown;
    } catch {
      // The parser's message quotes the line, and the line may hold a token.
      throw usage(`${path} is not YAML; correct or remove it, then sluice login`);
    }
  }
}

function checked(path: string, found: unknown): ConfigFile {
  if (found === null) return EMPTY;
  const file = isRecord(found) ? found : {};
  const contexts = isRecord(file['contexts']) ? file['contexts'] : {};
  const entries = Object.entries(contexts).map(([name, context]): [string, Context] => {
    const url = isRecord(context) ? context['url'] : undefined;
    const token = isRecord(context) ? context['token'] : undefined;
    if (typeof url !== 'string' || typeof token !== 'string')
      throw usage(`${path}: the context ${JSON.stringify(name)} wants url and token`, 'sluice login writes both');
    const expiresAt = isRecord(context) ? context['expiresAt'] : undefined;
    const ends = typeof expiresAt === 'string' && !Number.isNaN(Date.parse(expiresAt));
    return [name, { url, token, ...(ends ? { expiresAt } : {}) }];
  });
  const { current } = file;
  return { current: typeof current === 'string' ? current : null, contexts: Object.fromEntries(entries) };
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
