import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { harness, TOKENS } from './harness.ts';
import { open } from './sse.ts';

const auth = { Authorization: `Bearer ${TOKENS.admin}` };

/** Talks to the server byte by byte. Answers what came back and when the server hung up. */
async function raw(
  port: number,
  talk: (write: (text: string) => void) => void,
): Promise<{ text: string; took: number }> {
  const started = performance.now();
  let text = '';
  await new Promise<void>((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => talk((part) => void (socket.writable && socket.write(part))));
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
    });
    socket.on('close', () => resolve());
    socket.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNRESET' || error.code === 'EPIPE' ? undefined : reject(error),
    );
  });
  return { text, took: performance.now() - started };
}

describe('callers that dawdle', () => {
  const timeouts = { headers: 300, request: 600, check: 50 };

  it('are hung up on when their headers take too long, however busy they look', async () => {
    const h = await harness({}, { timeouts });
    let timer: NodeJS.Timeout | undefined;
    const { text, took } = await raw(h.server.port, (write) => {
      write('GET /healthz HTTP/1.1\r\nHost: x\r\n');
      timer = setInterval(() => write('X-Slow: y\r\n'), 50);
    });
    clearInterval(timer);
    expect(took).toBeLessThan(3_000);
    expect(text).toMatch(/^HTTP\/1\.1 408 /);
    expect(text).toContain('application/problem+json');
  });

  it('are hung up on when their body takes too long', async () => {
    const h = await harness({}, { timeouts });
    let timer: NodeJS.Timeout | undefined;
    const { took } = await raw(h.server.port, (write) => {
      write(
        `POST /rollouts HTTP/1.1\r\nHost: x\r\nAuthorization: ${auth.Authorization}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n`,
      );
      timer = setInterval(() => write(' '), 50);
    });
    clearInterval(timer);
    expect(took).toBeLessThan(4_000);
    expect(h.log.filter((line) => line.level === 'error')).toEqual([]);
  });

  it('do not keep others from being served', async () => {
    const h = await harness({}, { timeouts: { headers: 5_000, request: 5_000 } });
    const sockets = Array.from({ length: 200 }, () => {
      const socket = connect(h.server.port, '127.0.0.1', () => socket.write('GET /healthz HTTP/1.1\r\n'));
      socket.on('error', () => {});
      return socket;
    });
    const started = performance.now();
    expect((await h.call('get', '/healthz')).status).toBe(200);
    expect(performance.now() - started).toBeLessThan(2_000);
    for (const socket of sockets) socket.destroy();
  });

  it('a live stream may outlast all of these limits', async () => {
    const h = await harness({ limits: { heartbeat: 100 } }, { timeouts });
    const id = await h.started();
    const stream = await open(`${h.base}/rollouts/${id}/events`, auth);
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    await h.call('post', `/rollouts/${id}/abort`);
    await h.fake.tick(id);
    await stream.closed;
    expect(stream.events.at(-1)?.event).toBe('end');
  });
});

describe('what is not HTTP', () => {
  it.each([
    ['noise', 'hello\r\n\r\n', 400],
    ['headers of 32 kB', `GET /healthz HTTP/1.1\r\nHost: x\r\nX-Big: ${'x'.repeat(32_768)}\r\n\r\n`, 431],
    ['two lengths', 'POST /rollouts HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', 400],
    [
      'a length and chunks',
      'POST /rollouts HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      400,
    ],
  ])('%s is answered and hung up on', async (_, text, status) => {
    const h = await harness();
    const answer = await raw(h.server.port, (write) => write(text));
    expect(answer.text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect((await h.call('get', '/healthz')).status).toBe(200);
  });
});

describe('the way out', () => {
  it('says that it leaves first, serves on meanwhile, then ends streams and long polls, all in time', async () => {
    const h = await harness();
    const id = await h.started();
    const streams = await Promise.all([1, 2, 3].map(() => open(`${h.base}/rollouts/${id}/events`, auth)));
    const poll = fetch(`${h.base}/rollouts/${id}?wait=60s&sinceVersion=1`, { headers: auth });
    await expect.poll(() => streams.every((s) => s.events.length === 1)).toBe(true);

    const started = performance.now();
    const closed = h.server.close(9_000, 500);
    const ready = await h.call('get', '/readyz');
    expect(ready.status).toBe(503);
    expect(ready.body.missing).toEqual([expect.objectContaining({ part: 'server' })]);
    expect(ready.headers['connection']).toBe('close');
    expect((await h.call('get', `/rollouts/${id}`)).status).toBe(200);
    expect((await h.call('get', '/healthz')).status).toBe(200);

    await Promise.all(streams.map((s) => s.closed));
    for (const stream of streams) {
      expect(stream.retries.at(-1)).toBeGreaterThanOrEqual(1000);
      expect(stream.retries.at(-1)).toBeLessThanOrEqual(4000);
      expect(stream.comments.join()).toContain('stops');
    }
    const polled = await poll;
    expect(polled.status).toBe(200);
    expect(polled.headers.get('connection')).toBe('close');
    expect(await polled.json()).toMatchObject({ id, version: 1 });
    await closed;
    expect(performance.now() - started).toBeLessThan(5_000);
    await expect(fetch(`${h.base}/healthz`)).rejects.toThrow();
  });

  it('lets a request under way finish', async () => {
    const h = await harness();
    const id = await h.started();
    const { get } = h.fake;
    Object.assign(h.fake, {
      get: async (wanted: string) => {
        await new Promise((resolve) => setTimeout(resolve, 400));
        return get(wanted);
      },
    });
    const slow = fetch(`${h.base}/rollouts/${id}`, { headers: auth });
    await new Promise((resolve) => setTimeout(resolve, 100));
    const closed = h.server.close(9_000);
    expect((await slow).status).toBe(200);
    await closed;
  });

  it('does not wait for connections that were opened and never used', async () => {
    const h = await harness();
    const socket = connect(h.server.port, '127.0.0.1');
    await new Promise((resolve) => socket.once('connect', resolve));
    await h.call('get', '/healthz');
    const started = performance.now();
    await h.server.close(9_000);
    expect(performance.now() - started).toBeLessThan(2_000);
    socket.destroy();
  });

  it('cuts what is left at the deadline', async () => {
    const h = await harness();
    Object.assign(h.fake, { list: () => new Promise(() => {}) });
    const stuck = fetch(`${h.base}/rollouts`, { headers: auth });
    const refused = expect(stuck).rejects.toThrow();
    await new Promise((resolve) => setTimeout(resolve, 100));
    const started = performance.now();
    await h.server.close(300);
    expect(performance.now() - started).toBeLessThan(2_000);
    await refused;
  });

  it('may be asked for twice', async () => {
    const h = await harness();
    await Promise.all([h.server.close(1_000), h.server.close(1_000)]);
  });
});

it('a port that is taken is an error at once', async () => {
  const h = await harness();
  await expect(harness({}, { port: h.server.port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
});
