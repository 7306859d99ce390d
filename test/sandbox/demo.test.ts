import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { parseArguments } from '../../src/sandbox/demo/arguments.ts';
import type { Result } from '../../src/sandbox/demo/releases.ts';
import { asExpected, RELEASES, summary } from '../../src/sandbox/demo/releases.ts';
import { bar, createScreen } from '../../src/sandbox/demo/screen.ts';
import type { RolloutView } from '../../src/sandbox/demo/service.ts';
import { since, startTraffic } from '../../src/sandbox/traffic.ts';

describe("the demo's command line", () => {
  it('runs Istio on the Postgres queue and stays up by default', () => {
    expect(parseArguments([])).toEqual({ kind: 'run', arguments: { mesh: 'istio', once: false, redis: false } });
  });
  it('takes every flag', () => {
    expect(parseArguments(['--mesh', 'gateway-api', '--once', '--redis'])).toEqual({
      kind: 'run',
      arguments: { mesh: 'gateway-api', once: true, redis: true },
    });
    expect(parseArguments(['--mesh=linkerd-smi'])).toMatchObject({ arguments: { mesh: 'linkerd-smi' } });
    expect(parseArguments(['--help', '--once'])).toEqual({ kind: 'help' });
  });
  it.each([
    [['--twice'], /--twice/],
    [['extra'], /extra/],
    [['--mesh'], /mesh/],
    [['--mesh', 'consul'], /unknown mesh "consul"; known: istio, linkerd-smi, gateway-api/],
    [['--once=no'], /once/],
  ])('refuses %o', (args, words) => {
    expect(parseArguments(args)).toEqual({ kind: 'wrong', message: expect.stringMatching(words) });
  });
});

describe("the demo's verdict", () => {
  const users = { requests: 100, failed: 3, slow: 1, by: {} };
  const result = (index: number, status: string, faultToZeroMs: number | null): Result => ({
    release: RELEASES[index] as Result['release'],
    rollout: { status } as RolloutView,
    users,
    faultToZeroMs,
  });
  const good = [
    result(0, 'succeeded', null),
    result(1, 'rolled_back', 4234),
    result(2, 'rolled_back', 2349),
    result(3, 'rolled_back', null),
    result(4, 'rolled_back', 1000),
  ];

  it('is one object with everything that a program asks for', () => {
    expect(summary('istio', good)).toEqual({
      good: 'succeeded',
      'bad-thresholds': 'rolled_back',
      bad: 'rolled_back',
      'slow-thresholds': 'rolled_back',
      slow: 'rolled_back',
      mesh: 'istio',
      requests: { good: 100, 'bad-thresholds': 100, bad: 100, 'slow-thresholds': 100, slow: 100 },
      failedRequests: { good: 3, 'bad-thresholds': 3, bad: 3, 'slow-thresholds': 3, slow: 3 },
      slowRequests: { good: 1, 'bad-thresholds': 1, bad: 1, 'slow-thresholds': 1, slow: 1 },
      secondsFaultToZero: { 'bad-thresholds': 4.2, bad: 2.3, 'slow-thresholds': null, slow: 1 },
    });
  });

  it('is good only if every release ended as it should', () => {
    expect(asExpected(good)).toBe(true);
    expect(asExpected(good.slice(0, 4))).toBe(false);
    expect(asExpected([result(0, 'rolled_back', null), ...good.slice(1)])).toBe(false);
    expect(asExpected([...good.slice(0, 4), result(4, 'succeeded', null)])).toBe(false);
    expect(asExpected([...good.slice(0, 4), result(4, 'aborted', null)])).toBe(false);
  });
});

describe("the demo's screen", () => {
  it('writes plain lines where the output is no terminal, and nothing that moves', () => {
    let text = '';
    const screen = createScreen({ write: (part: string) => (text += part) });
    screen.live('moving');
    screen.line('steady', 'bad');
    screen.table([
      ['release', 'n'],
      ['good', '12'],
    ]);
    expect(text).toBe('steady\nrelease  n\ngood     12\n');
  });

  it('replaces the moving line of a terminal by the next steady one', () => {
    let text = '';
    const screen = createScreen({ isTTY: true, columns: 10, write: (part: string) => (text += part) });
    screen.live('0123456789abc');
    screen.line('steady');
    expect(text).toBe('\r\u001b[K012345678\r\u001b[Ksteady\n');
  });

  it.each([
    [0, '[--------------------]   0 %'],
    [25, '[#####---------------]  25 %'],
    [100, '[####################] 100 %'],
  ])('draws %i %%', (weight, wanted) => expect(bar(weight)).toBe(wanted));
});

describe('traffic', () => {
  const serve = async (handle: (n: number) => { status: number; by?: string; delay?: number }) => {
    let count = 0;
    const server = createServer((_, response) => {
      count += 1;
      const { status, by, delay = 0 } = handle(count);
      setTimeout(() => response.writeHead(status, by === undefined ? {} : { 'x-served-by': by }).end(), delay);
    });
    await new Promise<void>((fulfil) => server.listen(0, '127.0.0.1', fulfil));
    const { port } = server.address() as AddressInfo;
    const close = () => {
      server.closeAllConnections();
      return new Promise<void>((fulfil) => server.close(() => fulfil()));
    };
    return { url: `http://127.0.0.1:${port}`, count: () => count, close };
  };
  const options = { host: 'myapp', path: '/', requestsPerSecond: 100, slowAfter: 80, patience: 2_000 };

  it('keeps its rate and counts what was answered, by who answered', async () => {
    const server = await serve((n) =>
      n % 4 === 0
        ? { status: 500, by: 'v2' }
        : n % 4 === 1
          ? { status: 200, by: 'v2', delay: 120 }
          : { status: 200, by: 'v1' },
    );
    const traffic = startTraffic({ ...options, url: server.url });
    await sleep(1_500);
    traffic.setRate(0);
    await sleep(300);
    const users = traffic.users();
    expect(users.requests).toBe(server.count());
    expect(users.requests).toBeGreaterThan(75);
    expect(users.requests).toBeLessThan(165);
    expect(users.failed).toBe(Math.floor(server.count() / 4));
    expect(users.by['v1']?.failed).toBe(0);
    expect((users.by['v1']?.requests ?? 0) + (users.by['v2']?.requests ?? 0)).toBe(users.requests);
    expect(users.by['v2']?.slow ?? 0).toBeGreaterThanOrEqual(Math.floor(server.count() / 4) - 1);
    expect(traffic.timeline().reduce((sum, second) => sum + second.requests, 0)).toBe(users.requests);
    await traffic.stop();
    await server.close();
  });

  it('counts a refusal as a failed request, and no other answer below 500', async () => {
    const statuses = [200, 301, 401, 403, 404, 429, 500, 503];
    const server = await serve((n) => ({ status: statuses[(n - 1) % statuses.length] ?? 200, by: 'v2' }));
    const traffic = startTraffic({ ...options, url: server.url });
    await expect.poll(() => Object.keys(traffic.failures()).length, { timeout: 5_000 }).toBe(4);
    await traffic.stop();
    await server.close();
    expect(Object.keys(traffic.failures()).sort()).toEqual(['v2 401', 'v2 403', 'v2 500', 'v2 503']);
    const { failed, by } = traffic.users();
    expect(by['v2']?.failed).toBe(failed);
  });

  it('counts a refused connection as a failed request that nobody answered', async () => {
    const server = await serve(() => ({ status: 200 }));
    await server.close();
    const traffic = startTraffic({ ...options, url: server.url });
    await sleep(400);
    await traffic.stop();
    const { requests, failed, by } = traffic.users();
    expect(requests).toBeGreaterThan(5);
    expect(failed).toBe(requests);
    expect(traffic.failures()).toEqual({ ECONNREFUSED: failed });
    expect(Object.keys(by)).toEqual(['nobody']);
  });

  it('is bounded, and stays on this machine', async () => {
    expect(() => startTraffic({ ...options, url: 'http://192.0.2.1:80' })).toThrow('127.0.0.1 only');
    expect(() => startTraffic({ ...options, url: 'http://127.0.0.1:1', requestsPerSecond: 5_000 })).toThrow(
      '500 requests',
    );
  });

  it('tells what users saw between two looks', () => {
    const before = { requests: 5, failed: 1, slow: 0, by: { v1: { requests: 5, failed: 1, slow: 0 } } };
    const now = {
      requests: 9,
      failed: 2,
      slow: 1,
      by: { v1: { requests: 7, failed: 1, slow: 0 }, v2: { requests: 2, failed: 1, slow: 1 } },
    };
    expect(since(now, before)).toEqual({
      requests: 4,
      failed: 1,
      slow: 1,
      by: { v1: { requests: 2, failed: 0, slow: 0 }, v2: { requests: 2, failed: 1, slow: 1 } },
    });
  });
});
