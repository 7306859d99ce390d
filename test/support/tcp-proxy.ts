/** A TCP proxy that spoils connections at a chosen moment: between a client and a server that must cope with it. */
import type { AddressInfo, Socket } from 'node:net';
import { connect, createServer } from 'node:net';

/**
 * What happens to the first request that holds the mark:
 * `lose_request`: it never reaches the server, the client's connection is reset;
 * `lose_answer`: the server carries it out, the client's connection is reset before the answer;
 * `delay_request`: the client's connection is reset at once, the server gets the request a moment later.
 */
export type Spoil = 'lose_request' | 'lose_answer' | 'delay_request';

export interface TcpProxy {
  readonly port: number;
  /** Spoils the next request that contains `mark`, once. */
  spoil(how: Spoil, mark: string): void;
  /** How often a request was spoilt. */
  readonly spoilt: number;
  /** Nothing passes any more in either direction; connections stay open. Until `flow`. */
  freeze(): void;
  flow(): void;
  close(): Promise<void>;
}

const DELAY = 400;

export async function tcpProxy(target: { readonly host: string; readonly port: number }): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let armed: { how: Spoil; mark: string } | null = null;
  let spoilt = 0;
  let frozen = false;

  const server = createServer((client) => {
    const upstream = connect(target);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => sockets.delete(socket));
      if (frozen) socket.pause();
    }
    let mute = false;
    client.on('data', (chunk) => {
      if (armed === null || !chunk.includes(armed.mark)) {
        upstream.write(chunk);
        return;
      }
      const { how } = armed;
      armed = null;
      spoilt += 1;
      mute = true;
      if (how === 'lose_request') upstream.destroy();
      if (how === 'lose_answer') {
        upstream.write(chunk);
        upstream.once('data', () => client.resetAndDestroy());
        return;
      }
      client.resetAndDestroy();
      if (how === 'delay_request') setTimeout(() => upstream.write(chunk), DELAY);
    });
    upstream.on('data', (chunk) => {
      if (!mute) client.write(chunk);
    });
    upstream.on('close', () => client.destroy());
    client.on('close', () => {
      // A delayed request must still find its connection.
      if (!mute) upstream.destroy();
      else setTimeout(() => upstream.destroy(), 2 * DELAY).unref();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    spoil: (how, mark) => {
      armed = { how, mark };
    },
    get spoilt() {
      return spoilt;
    },
    freeze: () => {
      frozen = true;
      for (const socket of sockets) socket.pause();
    },
    flow: () => {
      frozen = false;
      for (const socket of sockets) socket.resume();
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
