/**
 * Who may call a server on the loopback: its own page, and programs of this machine. Other sites that a browser on this
 * machine has open may not, neither directly nor by a name of theirs that leads here (DNS rebinding).
 */
import type { IncomingHttpHeaders } from 'node:http';

export interface Call {
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
}

/** null: it may. Otherwise status and words. */
export function refusalOf({ method, headers }: Call, port: number): { status: number; words: string } | null {
  const { host = '', origin } = headers;
  const own = [`127.0.0.1:${port}`, `localhost:${port}`];
  if (!own.includes(host))
    return { status: 403, words: `wanted the host ${own.join(' or ')}; found ${host || 'none'}` };
  // Browsers name the origin with every POST; a program at a terminal names none.
  if (origin !== undefined && origin !== `http://${host}`)
    return { status: 403, words: `wanted calls of this server's own page; found one of ${origin}` };
  if (method === 'GET' || method === 'HEAD') return null;
  const type = headers['content-type']?.split(';')[0]?.trim().toLowerCase();
  // Forms of other sites cannot send it.
  if (type !== 'application/json')
    return { status: 415, words: `wanted Content-Type: application/json; found ${type ?? 'none'}` };
  return null;
}
