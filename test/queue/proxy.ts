/** A TCP proxy in front of a server, to cut the network without touching the server. */
import { connect, createServer, type Socket } from 'node:net';

export interface Proxy {
  readonly port: number;
  /**
   * From now on nothing passes, and nobody is told: connections stay open, new ones are accepted. What was open stays
   * swallowed for ever, as after a firewall forgot it; connections made after `thaw` pass.
   */
  freeze(): void;
  thaw(): void;
  close(): Promise<void>;
}

export async function startProxy(target: number): Promise<Proxy> {
  const sockets = new Set<Socket>();
  let swallowed = new WeakSet<Socket>();
  let frozen = false;
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1');
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      if (frozen) swallowed.add(from);
      from.on('data', (part) => {
        if (!swallowed.has(from)) to.write(part);
      });
      from.on('error', () => to.destroy());
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  });
  const port = await new Promise<number>((fulfil) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      if (address === null || typeof address === 'string') throw new Error('no port');
      fulfil(address.port);
    });
  });
  return {
    port,
    freeze() {
      frozen = true;
      swallowed = new WeakSet(sockets);
    },
    thaw() {
      frozen = false;
    },
    close: () =>
      new Promise((fulfil) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => fulfil());
      }),
  };
}
