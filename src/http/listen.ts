/** The HTTP server under the application: time limits against callers that dawdle, and the way out. */
import type { Server } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Application } from 'express';
import type { Millis } from '../domain/plan.ts';
import { lifecycleOf } from './lifecycle.ts';
import { rawProblem } from './respond.ts';

export interface ListenOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly timeouts?: Partial<Timeouts>;
}

export interface Timeouts {
  /** For all headers of a request. */
  readonly headers: Millis;
  /** For the whole request, body included. Answers may take longer: streams do. */
  readonly request: Millis;
  /** Above the 60 s of common proxies, so that it is they who close an idle connection. */
  readonly keepAlive: Millis;
  /** How often the first two are looked at. Node's own 30 s would make each of them up to 30 s longer. */
  readonly check: Millis;
}

const TIMEOUTS: Timeouts = { headers: 10_000, request: 30_000, keepAlive: 65_000, check: 1_000 };

export interface Listening {
  readonly port: number;
  /**
   * Says that it is leaving (/readyz), keeps serving for `announce` milliseconds (for load balancers to notice), ends
   * streams and long polls, waits for the requests under way, and cuts what is left at `deadline` milliseconds from now.
   */
  close(deadline: Millis, announce?: Millis): Promise<void>;
}

export async function listen(app: Application, { host, port, timeouts }: ListenOptions): Promise<Listening> {
  const life = lifecycleOf(app);
  const { headers, request, keepAlive, check } = { ...TIMEOUTS, ...timeouts };
  const server = createServer(
    {
      headersTimeout: headers,
      requestTimeout: request,
      keepAliveTimeout: keepAlive,
      connectionsCheckingInterval: check,
      maxHeaderSize: 16 * 1024,
    },
    app,
  );
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('clientError', answerClientError);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  let closing: Promise<void> | null = null;
  return {
    port: (server.address() as AddressInfo).port,
    close(deadline, announce = 0) {
      life.leave();
      closing ??= shut(server, sockets, () => life.stop(), deadline, Math.min(announce, deadline));
      return closing;
    },
  };
}

const SWEEP: Millis = 50;

async function shut(
  server: Server,
  sockets: ReadonlySet<Socket>,
  stop: () => void,
  deadline: Millis,
  announce: Millis,
): Promise<void> {
  if (announce > 0) await new Promise((resolve) => setTimeout(resolve, announce));
  stop();
  const cut = setTimeout(() => server.closeAllConnections(), Math.max(0, deadline - announce));
  // Node looks for idle connections once, and only for those that have had a request. Those of streams become idle later;
  // those that clients open ahead of need would be held until their headers are late.
  const sweep = setInterval(() => {
    server.closeIdleConnections();
    for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
  }, SWEEP);
  try {
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeIdleConnections();
    });
  } finally {
    clearTimeout(cut);
    clearInterval(sweep);
  }
}

const REFUSALS: Readonly<Record<string, readonly [number, string, string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'request_timeout', 'the request did not arrive in time'],
  HPE_HEADER_OVERFLOW: [431, 'headers_too_large', 'the headers are larger than 16 kB'],
};

/** Not HTTP, or too slow: answered where the connection still can be, and closed. */
function answerClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable || (socket as Socket).bytesWritten > 0) {
    socket.destroy(error);
    return;
  }
  const [status, code, detail] = REFUSALS[error.code ?? ''] ?? [400, 'malformed_request', 'this is not HTTP/1.1'];
  socket.end(rawProblem(status, code, detail));
}
