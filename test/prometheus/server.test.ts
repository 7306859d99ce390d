/** The sandbox's Prometheus: starts, finds targets that come later, and leaves nothing behind. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rmdir } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { NoPrometheus, startPrometheus } from '../../src/sandbox/prometheus-server.ts';

const answers = async (url: string): Promise<boolean> => {
  try {
    return (await fetch(`${url}/-/ready`, { signal: AbortSignal.timeout(500) })).ok;
  } catch {
    return false;
  }
};

/** Nobody listens there: what merely hangs still takes connections. */
const refuses = (url: string): Promise<boolean> =>
  fetch(url, { signal: AbortSignal.timeout(500) }).then(
    () => false,
    (error: Error) => (error.cause as { code?: string } | undefined)?.code === 'ECONNREFUSED',
  );

async function eventually(what: string, holds: () => Promise<boolean>, deadline = 20_000): Promise<void> {
  for (const until = Date.now() + deadline; Date.now() < until; await sleep(100)) if (await holds()) return;
  throw new Error(`not within ${deadline / 1000} s: ${what}`);
}

test('targets can come later, with a path and labels of their own; stop ends it', async () => {
  const paths: (string | undefined)[] = [];
  const proxy = createServer((request, response) => {
    paths.push(request.url);
    response.end('requests{own="yes"} 7\n');
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const server = await startPrometheus({ interval: 250 });
  try {
    expect(await answers(server.url)).toBe(true);
    const address = `127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    await server.scrape([{ address, path: '/stats', labels: { own: 'overruled', pod: 'a' } }]);
    await eventually('the series is there', async () => {
      const response = await fetch(`${server.url}/api/v1/query?query=requests`);
      const { data } = (await response.json()) as { data: { result: readonly { metric: object; value: unknown[] }[] } };
      if (data.result.length === 0) return false;
      expect(data.result[0]?.metric).toMatchObject({ own: 'yes', pod: 'a' });
      expect(data.result[0]?.value[1]).toBe('7');
      return true;
    });
    expect(new Set(paths)).toEqual(new Set(['/stats']));
  } finally {
    await server.stop();
    proxy.closeAllConnections();
    proxy.close();
  }
  expect(await answers(server.url)).toBe(false);
  await server.stop(); // again: nothing to do
});

test('a missing binary is named, with what to install', async () => {
  const starting = startPrometheus({ binary: 'prometheus-nonesuch' });
  await expect(starting).rejects.toThrow(NoPrometheus);
  await expect(starting).rejects.toThrow(/no "prometheus-nonesuch" on the PATH; install it/);
});

test('a Prometheus that does not start says why', async () => {
  await expect(startPrometheus({ interval: -5 })).rejects.toThrow(/ended with code 2: [\s\S]*not a valid duration/);
});

test('it hangs when it is told to, goes on when it is told to, and can be ended while it hangs', async () => {
  const server = await startPrometheus();
  server.hang(true);
  await eventually('it hangs', async () => !(await answers(server.url)));
  server.hang(false);
  await eventually('it answers', () => answers(server.url));
  server.hang(true);
  await eventually('it hangs again', async () => !(await answers(server.url)));
  await server.stop();
  // Gone, and no longer hanging: nobody takes the connection.
  expect(await refuses(server.url)).toBe(true);
});

test.each([
  ['', ''],
  [', hanging', 'server.hang(true);'],
])('it ends with the process that started it, however that ends, and its data too%s', async (_, hang) => {
  const module = new URL('../../src/sandbox/prometheus-server.ts', import.meta.url).href;
  const program = `import { startPrometheus } from ${JSON.stringify(module)};
    const server = await startPrometheus(); console.log(server.url); process.stdin.once('data', () => { ${hang} });`;
  const dir = await mkdtemp(join(tmpdir(), 'sluice-owner-'));
  const owner = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, TMPDIR: dir },
  });
  const [url] = (await once(owner.stdout.setEncoding('utf8'), 'data')) as [string];
  expect(await answers(url.trim())).toBe(true);
  expect(await readdir(dir)).toHaveLength(1);
  if (hang !== '') {
    owner.stdin.write('go on\n');
    await eventually('it hangs', async () => !(await answers(url.trim())));
  }
  owner.kill('SIGKILL');
  await eventually('the orphan is gone', () => refuses(url.trim()), 10_000);
  await eventually('its data is gone', async () => (await readdir(dir)).length === 0, 10_000);
  await rmdir(dir);
});
