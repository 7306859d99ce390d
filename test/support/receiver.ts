/** An HTTP server that keeps what it gets and answers what the test says. On 127.0.0.1 unless told otherwise. */
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Got {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Answered {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface Receiver {
  readonly url: string;
  readonly port: number;
  readonly got: readonly Got[];
  /** null: no answer at all. */
  answer: (got: Got) => Answered | null;
  close(): Promise<void>;
}

export async function receiver({ host = '127.0.0.1', port = 0 } = {}): Promise<Receiver> {
  const got: Got[] = [];
  const self = { answer: (_got: Got): Answered | null => ({ status: 204 }) };
  const server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const request = { path: req.url ?? '', headers: req.headers, body: Buffer.concat(chunks).toString() };
      got.push(request);
      const answer = receiving.answer(request);
      if (answer === null) return;
      res.writeHead(answer.status, answer.headers);
      res.end(answer.body);
    });
  });
  await new Promise<void>((resolve) => server.listen(port, host, resolve));
  const { port: open } = server.address() as AddressInfo;
  const receiving: Receiver = Object.assign(self, {
    url: `http://${host}:${open}/hook`,
    port: open,
    got,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
  return receiving;
}
