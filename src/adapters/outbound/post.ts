/**
 * One POST to an address that somebody else chose: the only way out for webhooks of plans and of channels.
 *
 * The host is checked where it is connected to. A literal address never passes a resolver, so it is checked as written
 * (the URL parser has turned 0177.0.0.1, 2130706433 and 127.1 into 127.0.0.1 by then); a name is resolved once, every address
 * that it has is checked, and the connection is made to those very addresses: a second answer of the resolver is never
 * asked for. Redirects are not followed: they are an answer like any other that is not 2xx. No proxy of the environment is used.
 */
import { lookup as systemLookup } from 'node:dns/promises';
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { isIP } from 'node:net';
import { type Tracer, UNTRACED } from '../../app/tracer.ts';
import type { Millis } from '../../domain/plan.ts';
import { type Allowed, boundsOf } from './addresses.ts';

export interface Address {
  readonly address: string;
  readonly family: number;
}

export interface OutboundOptions {
  readonly allowed: Allowed;
  /** Default: the system's resolver. */
  readonly resolve?: (host: string) => Promise<readonly Address[]>;
  /** Absent: nothing is traced. */
  readonly tracer?: Tracer;
}

export interface Post {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Of the whole: resolving, connecting, the answer. */
  readonly timeout: Millis;
}

export type Posted =
  | {
      readonly ok: true;
      readonly status: number;
      /** At most 8 KiB. */
      readonly text: string;
      /** What Retry-After says; null: nothing that makes sense. */
      readonly retryAfter: Millis | null;
    }
  | {
      readonly ok: false;
      readonly code: 'out_of_bounds' | 'timeout' | 'unreachable' | 'too_large';
      /** Names the host, never the path: it may be a secret. */
      readonly message: string;
    };

export interface Outbound {
  /** Why this URL is never asked, as far as it tells by itself; null: it may be. */
  objection(url: string): string | null;
  /** Never throws for what the far side or the network does. */
  post(url: string, post: Post): Promise<Posted>;
}

const MOST = 8 * 1024;

/** Told by the lookup, which can only fail with an error. */
class OutOfBounds extends Error {}

const everyAddress = (host: string): Promise<readonly Address[]> => systemLookup(host, { all: true });

/** Brackets are the URL's, not the address's. */
const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[|\]$/g, '');

export function openOutbound({ allowed, resolve = everyAddress, tracer = UNTRACED }: OutboundOptions): Outbound {
  const bounds = boundsOf(allowed);
  // Its own agents: no connection is kept that was opened under another name, and NODE_USE_ENV_PROXY has no say.
  const agents = { http: new HttpAgent({ keepAlive: false }), https: new HttpsAgent({ keepAlive: false }) };

  const objection = (text: string): string | null => {
    const url = URL.canParse(text) ? new URL(text) : null;
    if (url === null || !/^https?:$/.test(url.protocol)) return 'wanted an https address';
    if (url.username !== '' || url.password !== '') return 'wanted an address without user and password';
    const host = hostOf(url);
    if (isIP(host) !== 0 && !bounds.address(host, host)) return refused(host, host);
    if (url.protocol === 'http:' && !bounds.isNamed(host))
      return `wanted https: only hosts that the installation names (SLUICE_WEBHOOK_ALLOW) may be asked without TLS; found http://${url.host}`;
    return null;
  };

  const checked = async (host: string): Promise<Address[]> => {
    const found = await resolve(host);
    const outside = found.find(({ address }) => !bounds.address(address, host));
    if (outside !== undefined) throw new OutOfBounds(refused(host, outside.address));
    return [...found];
  };

  /** Node asks for one address or for all; it connects to what is answered here, and to nothing else. */
  const lookup: NonNullable<RequestOptions['lookup']> = (host, options, callback) => {
    checked(host).then(
      (found) => {
        const [first] = found;
        if (first === undefined) callback(new Error(`${host} has no address`), '', 4);
        else if (options.all === true) callback(null, found);
        else callback(null, first.address, first.family);
      },
      (error: unknown) => callback(error as NodeJS.ErrnoException, '', 4),
    );
  };

  const send = async (url: URL, { headers, body, timeout }: Post): Promise<Posted> => {
    const signal = AbortSignal.timeout(timeout);
    const tls = url.protocol === 'https:';
    try {
      const response = await new Promise<IncomingMessage>((got, failed) => {
        const bytes = Buffer.from(body);
        const sent = (tls ? httpsRequest : httpRequest)(url, {
          method: 'POST',
          agent: tls ? agents.https : agents.http,
          lookup,
          signal,
          headers: { ...headers, 'accept-encoding': 'identity', 'content-length': String(bytes.byteLength) },
        });
        sent.once('response', got);
        sent.once('error', failed);
        sent.end(bytes);
      });
      const answer = await read(response);
      if (answer === null)
        return { ok: false, code: 'too_large', message: `${url.host} answered with more than ${MOST} bytes` };
      return { ok: true, status: response.statusCode ?? 0, text: answer, retryAfter: retryAfterOf(response) };
    } catch (error) {
      if (error instanceof OutOfBounds) return { ok: false, code: 'out_of_bounds', message: error.message };
      if (signal.aborted)
        return { ok: false, code: 'timeout', message: `${url.host} did not answer within ${timeout / 1000} s` };
      const { code } = error as NodeJS.ErrnoException;
      return { ok: false, code: 'unreachable', message: `${url.host} cannot be reached (${code ?? 'no answer'})` };
    }
  };

  return {
    objection,
    async post(text, post) {
      const against = objection(text);
      if (against !== null) return { ok: false, code: 'out_of_bounds', message: against };
      const url = new URL(text);
      // The trace's headers stay here: whoever is told is not of this installation.
      return tracer.call('webhook.post', { 'server.address': url.host }, async (span) => {
        const posted = await send(url, post);
        if (!posted.ok) span.fail(posted.code);
        else if (posted.status < 200 || posted.status > 299) span.fail(`status ${posted.status}`);
        return posted;
      });
    },
  };
}

const refused = (host: string, address: string): string =>
  `${host}${host === address ? '' : ` (${address})`} is no public address, and not one that the installation allows (SLUICE_WEBHOOK_ALLOW)`;

/** null: more than is read of any answer. */
async function read(response: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.byteLength;
    if (size > MOST) {
      response.destroy();
      return null;
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** RFC 9110: seconds, or a date. */
function retryAfterOf({ headers }: IncomingMessage): Millis | null {
  const said = headers['retry-after'];
  if (said === undefined) return null;
  const time = /^\d{1,9}$/.test(said) ? Number(said) * 1000 : Date.parse(said) - Date.now();
  return Number.isFinite(time) && time >= 0 ? time : null;
}
