import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };
import { ROOT } from '../support/chart.ts';
import type { World } from './world.ts';
import { pageWorld } from './world.ts';

const PAGE = join(ROOT, 'src/page');
const files = readdirSync(PAGE, { recursive: true, encoding: 'utf8' }).filter((path) =>
  /\.(js|css|html|svg)$/.test(path),
);
const text = (path: string): string => readFileSync(join(PAGE, path), 'utf8');

let world: World;
beforeAll(async () => {
  world = await pageWorld();
});
afterAll(() => world.stop());

describe("the page's files", () => {
  it('are served with their type, asked for again each time, and not sent twice', async () => {
    const types: Readonly<Record<string, string>> = { js: 'text/javascript', css: 'text/css', svg: 'image/svg+xml' };
    for (const path of files.filter((file) => file !== 'index.html')) {
      const url = `${world.url}/ui/assets/${path}`;
      const response = await fetch(url);
      expect([path, response.status]).toEqual([path, 200]);
      expect(response.headers.get('content-type')).toBe(`${types[path.split('.').at(-1) ?? '']}; charset=utf-8`);
      expect(response.headers.get('cache-control')).toBe('no-cache');
      expect(response.headers.get('x-content-type-options')).toBe('nosniff');
      expect(await response.text()).toBe(text(path));
      const again = await fetch(url, { headers: { 'If-None-Match': response.headers.get('etag') ?? '' } });
      expect([path, again.status]).toEqual([path, 304]);
    }
  });

  it.each(['/ui', '/ui/', '/ui/rollouts/ro_1', '/ui/plan', '/ui/history?service=a', '/ui/login', '/ui/nothing-here'])(
    'are reached at %s, under a policy that lets nothing inline and nothing from elsewhere in',
    async (path) => {
      const response = await fetch(`${world.url}${path}`);
      expect(response.status).toBe(200);
      expect(await response.text()).toBe(text('index.html'));
      expect(response.headers.get('content-security-policy')).toBe(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
      );
      expect(response.headers.get('referrer-policy')).toBe('no-referrer');
    },
  );

  it('are all there is: no other file of the machine can be had', async () => {
    for (const path of [
      'nothing.js',
      'index.html',
      'types.d.ts',
      '..%2f..%2fpackage.json',
      '../../package.json',
      '%2e%2e/config.ts',
      'charts',
      '',
    ])
      expect([path, (await fetch(`${world.url}/ui/assets/${path}`)).status]).toEqual([
        path,
        path === '../../package.json' || path === '%2e%2e/config.ts' ? expect.any(Number) : 404,
      ]);
    expect(await (await fetch(`${world.url}/ui/assets/%2e%2e/config.ts`)).text()).not.toContain('DATABASE_URL');
  });

  it('begin at /, where people who know only the host arrive', async () => {
    const response = await fetch(world.url, { redirect: 'manual' });
    expect([response.status, response.headers.get('location')]).toEqual([302, '/ui/']);
  });

  it('hold nothing inline, no HTML made from text, and no address of another host', () => {
    const html = text('index.html');
    expect(html).not.toMatch(/<script(?![^>]*src=)|<style|style=|\son\w+=/);
    for (const path of files) {
      const source = text(path);
      expect([
        path,
        /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function/.exec(source),
      ]).toEqual([path, null]);
      const hosts = [...source.matchAll(/https?:\/\/[\w.]+/g)]
        .map(([url]) => url)
        .filter((url) => url !== 'http://www.w3.org');
      expect([path, hosts]).toEqual([path, []]);
    }
  });

  it('import only what is there', () => {
    for (const path of files.filter((file) => file.endsWith('.js')))
      for (const [, specifier = ''] of text(path).matchAll(/^(?:import|export) .*?from '([^']+)'/gm))
        expect([path, specifier, existsSync(join(PAGE, path, '..', specifier))]).toEqual([path, specifier, true]);
  });

  it('have types, by their comments, and keep to those of the API', () => {
    const tsc = join(ROOT, 'node_modules/.bin/tsc');
    expect(execFileSync(tsc, ['-p', 'tsconfig.page.json'], { cwd: ROOT, encoding: 'utf8' })).toBe('');
  });

  it('are copied beside the compiled program, as the image is built', () => {
    const copy = packageJson.scripts.build.split(' && ').at(-1) ?? '';
    expect(copy).toBe('cp -R src/page dist/');
    const dir = mkdtempSync(join(tmpdir(), 'sluice-page-'));
    try {
      execFileSync('cp', ['-R', PAGE, `${dir}/`]);
      for (const path of files) expect([path, existsSync(join(dir, 'page', path))]).toEqual([path, true]);
    } finally {
      rmSync(dir, { recursive: true });
    }
    expect(readFileSync(join(ROOT, 'Dockerfile'), 'utf8')).toContain('RUN npm run build');
  });
});
