import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/adapters/kubernetes/kube.ts';
import { NotNow } from '../../src/sandbox/json-call.ts';
import { refusalOf } from '../../src/sandbox/same-origin.ts';
import { GATEWAY_VARIANTS, SEEDS } from '../../src/sandbox/seeds.ts';
import { countsOf, MOST_PER_SECOND, sampler, strideOf } from '../../src/sandbox/show/bubbles.ts';
import { pageFiles } from '../../src/sandbox/show/files.ts';
import { isNews, journal } from '../../src/sandbox/show/journal.ts';
import { restarts } from '../../src/sandbox/show/restarts.ts';

describe('who may call the sandbox', () => {
  const json = { 'content-type': 'application/json' };
  it.each([
    ['its page, reading', 'GET', { host: '127.0.0.1:7', 'sec-fetch-site': 'same-origin' }],
    ['its page, acting', 'POST', { host: '127.0.0.1:7', origin: 'http://127.0.0.1:7', ...json }],
    ['its page by the other name', 'POST', { host: 'localhost:7', origin: 'http://localhost:7', ...json }],
    ['a program at a terminal', 'POST', { host: '127.0.0.1:7', 'content-type': 'Application/JSON; charset=utf-8' }],
  ])('%s', (_, method, headers) => expect(refusalOf({ method, headers }, 7)).toBeNull());

  it.each([
    ['a page of another site', 'POST', { host: '127.0.0.1:7', origin: 'https://evil.example', ...json }, 403],
    ['a page of another port', 'POST', { host: '127.0.0.1:7', origin: 'http://127.0.0.1:8', ...json }, 403],
    ['a page under the other name', 'POST', { host: '127.0.0.1:7', origin: 'http://localhost:7', ...json }, 403],
    ['a page without an origin', 'POST', { host: '127.0.0.1:7', origin: 'null', ...json }, 403],
    ['a name that was made to lead here', 'GET', { host: 'evil.example:7' }, 403],
    ['such a name, acting', 'POST', { host: 'evil.example:7', origin: 'http://evil.example:7', ...json }, 403],
    ['no name at all', 'GET', {}, 403],
    ['a form', 'POST', { host: '127.0.0.1:7', 'content-type': 'text/plain' }, 415],
    ['nothing that says what it is', 'POST', { host: '127.0.0.1:7' }, 415],
  ])('not %s', (_, method, headers, status) =>
    expect(refusalOf({ method, headers }, 7)).toMatchObject({
      status,
      words: expect.stringMatching(/wanted .* found/),
    }),
  );
});

describe('bubbles', () => {
  it('are all requests where they are few, and one in n where they are many', () => {
    expect([0, 1, MOST_PER_SECOND, MOST_PER_SECOND + 1, 240, 500].map(strideOf)).toEqual([1, 1, 1, 2, 4, 8]);
  });

  it('never pass the bound, whatever comes, and are never more than one in n', () => {
    const gaps = fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 2_000 });
    fc.assert(
      fc.property(gaps, (waits) => {
        let now = 0;
        const requests = sampler(() => now);
        for (const wait of waits) {
          now += wait;
          requests.offer({ by: 'myapp-v1', failed: false, tookMs: 1 });
        }
        const { every, shown } = requests.take();
        expect(shown.length).toBeLessThanOrEqual(Math.min(waits.length, MOST_PER_SECOND));
        expect(every).toBeGreaterThanOrEqual(1);
        expect(requests.take().shown).toEqual([]);
      }),
    );
  });

  it('of a steady stream are as many as the page says: one in n', () => {
    let now = 0;
    const requests = sampler(() => now);
    let shown = 0;
    for (let i = 1; i <= 2_400; i += 1) {
      now = (i * 1000) / 240;
      requests.offer({ by: i % 10 === 0 ? 'myapp-v2' : 'myapp-v1', failed: i % 10 === 0, tookMs: 20.4 });
      if (i % 48 !== 0) continue;
      const batch = requests.take();
      if (now > 1000) {
        expect(batch.every).toBe(4);
        shown += batch.shown.length;
      }
    }
    expect(shown).toBe((2_400 - 240) / 4);
  });

  it('say who answered; whatever is no version of the app is nobody', () => {
    const requests = sampler(() => 0);
    for (const by of ['myapp-v1', 'myapp-v2', 'nobody', 'else'])
      requests.offer({ by, failed: by === 'nobody', tookMs: 1.6 });
    expect(requests.take()).toEqual({
      every: 1,
      shown: [
        { version: 'stable', failed: false, tookMs: 2 },
        { version: 'canary', failed: false, tookMs: 2 },
        { version: 'nobody', failed: true, tookMs: 2 },
        { version: 'nobody', failed: false, tookMs: 2 },
      ],
    });
  });

  it('are counted over the last ten whole seconds, none left out', () => {
    const second = (at: number, by: Record<string, { requests: number; failed: number; slow: number }>) => ({
      at,
      requests: 0,
      failed: 0,
      slow: 0,
      by,
    });
    const one = { requests: 10, failed: 1, slow: 2 };
    const timeline = [
      second(9_000, { 'myapp-v1': one }), // too long ago
      second(10_000, { 'myapp-v1': one, 'myapp-v2': one }),
      second(19_000, { 'myapp-v1': one }),
      second(20_000, { 'myapp-v1': one }), // not over
    ];
    expect(countsOf(timeline, 20_500, 300)).toEqual({
      seconds: 10,
      slowAfterMs: 300,
      rows: [
        { version: 'stable', requests: 20, failed: 2, slow: 4 },
        { version: 'canary', requests: 10, failed: 1, slow: 2 },
        { version: 'nobody', requests: 0, failed: 0, slow: 0 },
      ],
    });
  });
});

describe("a person's edit of the route", () => {
  const seeds = Object.entries({ ...SEEDS, ...GATEWAY_VARIANTS });
  it.each(seeds)('gives the canary what was wanted, and the stable version the rest: %s', (_, seed) => {
    const kinds = ['VirtualService', 'TrafficSplit', 'HTTPRoute'];
    const route = seed.objects.find(({ kind }) => kinds.includes(String(kind))) as unknown as KubeObject;
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 100 }), (percent) => {
        const spec = seed.withCanaryAt(route, percent);
        expect(seed.canaryWeight({ ...route, spec } as KubeObject)).toBeCloseTo(percent, 9);
        // Back at rest, the object is what it was.
        expect(seed.withCanaryAt({ ...route, spec } as KubeObject, 0)).toEqual(route.spec);
      }),
    );
  });
});

describe('the journal', () => {
  it('puts what Sluice did where it happened, though it is heard of later, and forgets the oldest', () => {
    let now = 0;
    const log = journal(() => now);
    now = 1_000;
    log.you('kill', 'Killed');
    now = 3_000;
    log.sandbox('up');
    now = 4_000;
    log.sluice('ro_1', [{ at: new Date(2_000).toISOString(), type: 'weight_reached', message: 'reached', data: {} }]);
    expect(log.entries.map(({ words }) => words)).toEqual(['up', 'reached', 'Killed']);
    for (let i = 0; i < 500; i += 1) log.you('canary', `${i}`);
    expect(log.entries.length).toBe(120);
    expect(log.entries[0]?.words).toBe('499');
  });
});

describe('news of Sluice', () => {
  const fact = (type: string, message: string, verdict: string) => ({ at: '', type, message, data: { verdict } });
  it.each([
    [true, fact('weight_reached', 'canary weight 10 % was read back', '')],
    [true, fact('verdict_changed', 'check "errors": error: Prometheus did not answer', 'error')],
    [true, fact('verdict_changed', 'guard "retries": fail: too many', 'fail')],
    [false, fact('verdict_changed', 'check "errors": pass: within the limit', 'pass')],
    [false, fact('verdict_changed', 'guard "retries": unknown: too few', 'inconclusive')],
  ])('%s: %j', (news, found) => expect(isNews(found)).toBe(news));
});

describe('the process that is killed', () => {
  const NEVER = 3_600_000;

  it('comes back by itself, as often as it takes', async () => {
    const seen: string[] = [];
    let starts = 0;
    const up = Promise.withResolvers<void>();
    const process = restarts(
      {
        pid: 7,
        kill: async () => undefined,
        restart: async () => {
          starts += 1;
          if (starts < 3) throw new Error('not ready\nand more');
        },
      },
      1,
      (state, words) => {
        seen.push(state);
        if (state === 'down') expect(words).toMatch(/not ready$/);
        if (state === 'running') up.resolve();
      },
    );
    await process.kill();
    await up.promise;
    expect(seen).toEqual(['killed', 'starting', 'down', 'starting', 'down', 'starting', 'running']);
    expect([process.state, process.kills]).toEqual(['running', 1]);
    await process.stop();
  });

  it('cannot be killed twice, and is not started once everything ends', async () => {
    const process = restarts(
      { pid: 7, kill: async () => undefined, restart: () => Promise.reject(new Error('started')) },
      NEVER,
      () => undefined,
    );
    await process.kill();
    await expect(process.kill()).rejects.toThrow(NotNow);
    await process.stop();
    expect(process.state).toBe('killed');
  });
});

describe("the page's files", () => {
  it('hold nothing inline, no HTML made from text, no address of another host, and import only what is served', () => {
    const files = pageFiles();
    expect(files.get('/')?.body).toContain('SIMULATED');
    expect(files.get('/')?.body).not.toMatch(/<script(?![^>]*src=)|<style|style=|\son\w+=/);
    const own = [...files].filter(([path]) => path.startsWith('/sandbox/show/page/'));
    expect(own.length).toBeGreaterThan(5);
    for (const [path, { body }] of own) {
      expect([
        path,
        /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|https?:\/\//.exec(body),
      ]).toEqual([path, null]);
      for (const [, specifier = ''] of body.matchAll(/^(?:import|export) .*?from '([^']+)'/gm))
        expect([path, specifier, files.has(new URL(specifier, `http://a${path}`).pathname)]).toEqual([
          path,
          specifier,
          true,
        ]);
    }
    for (const [, path = ''] of (files.get('/')?.body ?? '').matchAll(/(?:href|src)="(\/[^"]+)"/g))
      expect([path, files.has(path)]).toEqual([path, true]);
    expect([...files.keys()].filter((path) => !/\.(js|css|svg)$|^\/$/.test(path))).toEqual([]);
  });
});
