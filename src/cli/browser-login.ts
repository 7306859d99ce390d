/**
 * Signing in by the browser: it is led to the server, whoever sits there says yes, and it comes back to an address of this
 * computer alone with a code (RFC 8252, RFC 7636). Nobody but this process knows what the code's challenge was made of.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Millis } from '../domain/plan.ts';
import type { Environment } from './environment.ts';
import { given } from './environment.ts';
import { Failure } from './failure.ts';
import type { Terminal } from './show/terminal.ts';
import { refusal } from './wire/problem.ts';
import type { Wire } from './wire/wire.ts';

export interface SignedIn {
  readonly token: string;
  /** ISO 8601. */
  readonly expiresAt: string;
  readonly name: string;
  readonly role: string;
}

/** Time to find the second factor. */
const ATTEMPT_LASTS: Millis = 600_000;
const EXCHANGE: Millis = 15_000;

/** `browser` false: the address is only shown. */
export async function signInByBrowser(
  wire: Wire,
  { terminal, env, browser }: { readonly terminal: Terminal; readonly env: Environment; readonly browser: boolean },
): Promise<SignedIn> {
  await offered(wire);
  const { createHash, randomBytes } = await import('node:crypto');
  const secret = (): string => randomBytes(32).toString('base64url');
  const [verifier, state] = [secret(), secret()];
  const { server, host, port } = await listening();
  try {
    const challenge = createHash('sha256').update(verifier).digest('base64url');
    const query = new URLSearchParams({ port: String(port), host, challenge, state });
    const address = `${wire.url.href.replace(/\/$/, '')}/login/cli?${query}`;
    const opener = browser ? openerOf(process.platform, env) : null;
    terminal.note(
      opener === null ? 'Open this address in a browser on this computer:' : 'Sign in by the browser; if none opens:',
    );
    terminal.note(`  ${address}`);
    terminal.note(`It asks whether to sign in the command line at port ${port}.`);
    if (opener !== null) await open(opener, address);
    return await answer(server, state, async (code) => exchange(wire, code, verifier));
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

/** Said before anybody is sent to a browser. */
async function offered(wire: Wire): Promise<void> {
  const asked = await wire.send({ method: 'GET', path: '/ui/session', within: EXCHANGE });
  if (asked.kind === 'silence') throw new Failure('unreachable', `${wire.url.host}: ${asked.message}`);
  const signOn = asked.status === 200 ? signOnIn(asked.text) : undefined;
  if (signOn === undefined) throw new Failure('not_offered', `${wire.url.host} has no page to sign in on`, NO_PROVIDER);
  if (signOn === null) throw new Failure('not_offered', `${wire.url.host} has no OpenID provider`, NO_PROVIDER);
}
const NO_PROVIDER = ['sluice login URL   takes an API token', 'docs/page.md says how a provider is set up'];

/** undefined: this is no answer of the page. */
function signOnIn(text: string): unknown {
  try {
    return (JSON.parse(text) as { readonly signOn?: unknown }).signOn;
  } catch {
    return undefined;
  }
}

// ── this computer's own address ─────────────────────────────────────────────────────────────────────────────────────

async function listening(): Promise<{ readonly server: Server; readonly host: string; readonly port: number }> {
  // As in wire/wire.ts: importing it by name would load much more.
  const { createServer } = process.getBuiltinModule('node:http');
  for (const [address, host] of [
    ['127.0.0.1', '127.0.0.1'],
    ['::1', '[::1]'],
  ] as const) {
    const server = createServer();
    const { promise, resolve } = Promise.withResolvers<boolean>();
    server.once('error', () => resolve(false));
    server.listen(0, address, () => resolve(true));
    if (await promise) return { server, host, port: (server.address() as AddressInfo).port };
  }
  throw new Failure('error', 'no port of this computer (127.0.0.1, ::1) can be listened at', [
    'sluice login URL   takes an API token and needs none',
  ]);
}

/** What the browser brings. Whatever does not hold our state is somebody else's, and is not heard. */
function answer(server: Server, state: string, use: (code: string) => Promise<SignedIn>): Promise<SignedIn> {
  const { promise, resolve, reject } = Promise.withResolvers<SignedIn>();
  const late = setTimeout(
    () => reject(new Failure('unauthorised', 'nobody has signed in within ten minutes; nothing was stored')),
    ATTEMPT_LASTS,
  );
  const take = async (query: URLSearchParams, res: ServerResponse): Promise<void> => {
    const [code, error] = [query.get('code'), query.get('error')];
    try {
      if (error !== null || code === null)
        throw new Failure('unauthorised', 'the sign-in was declined in the browser; nothing was stored');
      const made = await use(code);
      page(res, 200, 'The command line is signed in. This page can be closed.', () => resolve(made));
    } catch (failure) {
      const words = error === null ? 'The command line says why.' : 'It was declined, as you said.';
      page(res, 200, `The command line is not signed in. ${words}`, () => reject(failure as Error));
    }
  };
  let taken = false;
  server.on('request', (req: IncomingMessage, res: ServerResponse) => {
    const url = new URL(req.url ?? '/', 'http://loopback');
    const ours = req.method === 'GET' && url.pathname === '/' && url.searchParams.get('state') === state;
    if (!ours || taken) return page(res, ours ? 410 : 404, 'There is nothing here.', () => {});
    taken = true;
    void take(url.searchParams, res);
  });
  return promise.finally(() => clearTimeout(late));
}

function page(res: ServerResponse, status: number, words: string, then: () => void): void {
  res.writeHead(status, {
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Security-Policy': "default-src 'none'",
    'Cache-Control': 'no-store',
    'Referrer-Policy': 'no-referrer',
    Connection: 'close',
  });
  res.end(`<!doctype html><meta charset="utf-8"><title>Sluice</title><p>${words}</p>`, then);
}

async function exchange(wire: Wire, code: string, verifier: string): Promise<SignedIn> {
  const body = JSON.stringify({ code, verifier });
  const headers = { 'Content-Type': 'application/json' };
  const response = await wire.send({ method: 'POST', path: '/login/cli/token', headers, body, within: EXCHANGE });
  if (response.kind === 'silence') throw new Failure('unreachable', `${wire.url.host}: ${response.message}`);
  if (response.status !== 200) throw refusal(response, 'login');
  return JSON.parse(response.text) as SignedIn;
}

// ── the browser ─────────────────────────────────────────────────────────────────────────────────────────────────────

type Opener = readonly [command: string, ...args: string[]];

/** null: there is no display to open one on. */
export function openerOf(platform: NodeJS.Platform, env: Environment): Opener | null {
  if (platform === 'darwin') return ['open'];
  // Not by `start`, whose shell would read the & of the address.
  if (platform === 'win32') return ['rundll32', 'url.dll,FileProtocolHandler'];
  const display = given(env, 'DISPLAY') ?? given(env, 'WAYLAND_DISPLAY');
  return display === undefined ? null : ['xdg-open'];
}

/** A browser that cannot be opened is no failure: the address stands there. */
async function open([command, ...args]: Opener, address: string): Promise<void> {
  const { spawn } = await import('node:child_process');
  const child = spawn(command, [...args, address], { stdio: 'ignore', detached: true });
  child.on('error', () => {});
  child.unref();
}
