import type { ChildProcess } from 'node:child_process';
import { execFile, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { until } from '../sandbox/until.ts';

const DEMO = fileURLToPath(new URL('../../src/sandbox/demo.ts', import.meta.url));

let demo: ChildProcess | null = null;
afterEach(() => {
  demo?.kill('SIGKILL');
});

function start(...args: string[]) {
  const child = spawn(process.execPath, [DEMO, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  demo = child;
  let said = '';
  const listen = (text: string) => {
    said += text;
  };
  child.stdout.setEncoding('utf8').on('data', listen);
  child.stderr.setEncoding('utf8').on('data', listen);
  const ended = new Promise<number | null>((fulfil) => child.once('close', fulfil));
  return { child, ended, said: () => said };
}

/** Numbers of the processes that descend from `pid`. */
async function descendants(pid: number): Promise<readonly number[]> {
  const { stdout } = await promisify(execFile)('ps', ['-eo', 'pid=,ppid=']);
  const rows = stdout
    .trim()
    .split('\n')
    .map((row) => row.trim().split(/\s+/).map(Number) as [number, number]);
  const below = (parent: number): number[] =>
    rows.filter(([, ppid]) => ppid === parent).flatMap(([child]) => [child, ...below(child)]);
  return below(pid);
}

const alive = (pids: readonly number[]): number[] =>
  pids.filter((pid) => {
    try {
      process.kill(pid, 0);
      return true;
    } catch {
      return false;
    }
  });

describe('the demo', () => {
  it('ends with one line of JSON, exit code 0 and no process left', { timeout: 150_000 }, async () => {
    const { child, ended, said } = start('--once');
    await until(
      () => Promise.resolve(said()),
      (text) => text.includes('good release'),
      60_000,
    );
    const children = await descendants(child.pid as number);
    expect(children.length).toBeGreaterThan(3);
    expect(await ended, said()).toBe(0);
    const last = said().trim().split('\n').at(-1) ?? '';
    expect(JSON.parse(last)).toMatchObject({
      good: 'succeeded',
      bad: 'rolled_back',
      slow: 'rolled_back',
      mesh: 'istio',
      failedRequests: { good: 0, bad: expect.any(Number), slow: 0 },
      // How long each took is printed side by side, and not compared here: on a busy machine it tells of the machine.
      secondsFaultToZero: {
        'bad-thresholds': expect.any(Number),
        bad: expect.any(Number),
        'slow-thresholds': expect.any(Number),
        slow: expect.any(Number),
      },
    });
    expect(said()).toMatch(/SIMULATED/);
    expect(alive(children)).toEqual([]);
  });

  it('leaves no process behind when it is killed', { timeout: 90_000 }, async () => {
    const { child, said } = start('--redis');
    await until(
      () => Promise.resolve(said()),
      (text) => text.includes('step 1 of 3'),
      60_000,
    );
    const children = await descendants(child.pid as number);
    expect(children.length).toBeGreaterThan(5);
    child.kill('SIGKILL');
    await until(
      () => Promise.resolve(alive(children)),
      (left) => left.length === 0,
      20_000,
    );
  });

  it('ends everything when it is asked to, even in the middle of a release', { timeout: 90_000 }, async () => {
    const { child, ended, said } = start();
    await until(
      () => Promise.resolve(said()),
      (text) => text.includes('step 1 of 3'),
      60_000,
    );
    const children = await descendants(child.pid as number);
    const sandbox = /every request as a bubble: (http:\/\/127\.0\.0\.1:\d+)\//.exec(said())?.[1] ?? '';
    expect(await (await fetch(sandbox)).text()).toContain('SIMULATED');
    // Its own releases are not to be spoilt.
    const json = { 'content-type': 'application/json' };
    expect((await fetch(`${sandbox}/acts/kill`, { method: 'POST', headers: json, body: '{}' })).status).toBe(409);
    child.kill('SIGINT');
    expect(await ended).toBe(130);
    await until(
      () => Promise.resolve(alive(children)),
      (left) => left.length === 0,
      5_000,
    );
  });

  it('refuses what it does not know, and says what it does', { timeout: 90_000 }, async () => {
    const { ended, said } = start('--mesh', 'consul');
    expect(await ended).toBe(2);
    expect(said()).toContain('unknown mesh "consul"; known: istio, linkerd-smi, gateway-api');
  });
});
