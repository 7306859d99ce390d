/** Reads one proxy's page over HTTP, piece by piece. Never throws for what the far side or the network does. */
import type { NoValueCode } from '../../domain/observation.ts';
import type { Millis } from '../../domain/plan.ts';
import { type OnSample, scanner } from './exposition.ts';

export interface PageOptions {
  /** Names of the metrics that are kept. */
  readonly names: readonly string[];
  /** Until the whole page must have been read. */
  readonly timeout: Millis;
  /** Of the body, after decompression. */
  readonly maxBytes: number;
}

export interface PageTrouble {
  readonly code: NoValueCode;
  /** What was found, and what to do. The address is the caller's to name. */
  readonly message: string;
}

const HEADERS = { accept: 'text/plain;version=0.0.4;q=1,*/*;q=0.1' };

/** null: read to its end. Samples that came before trouble are worth nothing: a page is whole or it is none. */
export async function readPage(url: string, options: PageOptions, onSample: OnSample): Promise<PageTrouble | null> {
  const signal = AbortSignal.timeout(Math.max(1, Math.ceil(options.timeout)));
  try {
    const response = await fetch(url, { headers: HEADERS, redirect: 'manual', signal });
    if (response.status !== 200) {
      await response.body?.cancel();
      return refused(response.status);
    }
    return await scanned(response, options, onSample);
  } catch (error) {
    return unreachable(error, options.timeout, signal);
  }
}

async function scanned(response: Response, options: PageOptions, onSample: OnSample): Promise<PageTrouble | null> {
  const { names, maxBytes } = options;
  const decoder = new TextDecoder();
  const page = scanner(names, onSample);
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength;
    if (size > maxBytes)
      return malformed(`the page has more than ${maxBytes} bytes; have the proxy report fewer metrics`);
    const wrong = page.push(decoder.decode(chunk, { stream: true }));
    if (wrong !== null) return malformed(wrong);
  }
  const wrong = page.push(decoder.decode()) ?? page.end();
  return wrong === null ? null : malformed(wrong);
}

const malformed = (what: string): PageTrouble => ({
  code: 'malformed',
  message: `${what}; is this the page of the proxy?`,
});

function refused(status: number): PageTrouble {
  const said = `answered with HTTP ${status}`;
  if (status === 401 || status === 403)
    return {
      code: 'unauthorized',
      message: `${said}; allow the worker by an authorization policy for the proxy's metrics port (Linkerd: a Server for the port linkerd-admin)`,
    };
  if (status === 404) return { code: 'malformed', message: `${said}; the proxy's metrics are not at this path` };
  return { code: 'unavailable', message: `${said}; look at the proxy's log` };
}

const REMEDY =
  "let the worker's pods reach the proxies' metrics port (NetworkPolicies of both namespaces), and see that the pod has its proxy";

function unreachable(error: unknown, timeout: Millis, signal: AbortSignal): PageTrouble {
  if (signal.aborted) return { code: 'timeout', message: `did not answer within ${Math.round(timeout)} ms; ${REMEDY}` };
  return { code: 'unavailable', message: `cannot be reached (${reason(error)}); ${REMEDY}` };
}

/** The system's word for it ("ECONNREFUSED"): fetch says only that it failed, and why one level down. */
function reason(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(cause instanceof Error)) return String(cause);
  return (cause as NodeJS.ErrnoException).code ?? cause.message;
}
