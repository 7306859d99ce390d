/** The sandbox's page in a real browser, with everything behind it: Sluice, PostgreSQL, Prometheus, users. */
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Control } from '../../src/sandbox/control.ts';
import { startControl } from '../../src/sandbox/control.ts';
import type { RolloutView } from '../../src/sandbox/demo/service.ts';
import { TERMINAL } from '../../src/sandbox/demo/service.ts';
import type { Stack } from '../../src/sandbox/demo/stack.ts';
import { startStack } from '../../src/sandbox/demo/stack.ts';
import { showPlan } from '../../src/sandbox/show/plan.ts';
import type { Show } from '../../src/sandbox/show/show.ts';
import { startShow } from '../../src/sandbox/show/show.ts';
import { launch, visit } from '../page/browser.ts';
import { violations } from '../page/visits.ts';
import { until } from './until.ts';

/** Of steps that must not end while somebody looks, and of steps that shall. */
const [LONG, SHORT] = ['1h', '1s'];
const PATIENCE = 60_000;

let stack: Stack;
let show: Show;
let control: Control;
let browser: Browser;
let hold = LONG;
/** A busy machine makes a healthy canary slow: only the release that is to be slow is judged by that. */
let slowness: 'judged' | 'passed over' = 'passed over';
const open: Awaited<ReturnType<typeof visit>>[] = [];

function plan(target: object, image: string): object {
  const full = showPlan(target, image, hold);
  if (slowness === 'judged') return full;
  const { checks, evidence, ...rest } = full.analysis;
  const errorsAlone = {
    checks: checks.filter(({ kind }) => kind === 'error-rate'),
    evidence: { ...evidence, latency: 'off' },
    guards: 'off',
  };
  return { ...full, analysis: { ...rest, ...errorsAlone } };
}

beforeAll(async () => {
  [stack, browser] = await Promise.all([startStack({ mesh: 'istio', redis: false, rps: 150 }), launch()]);
  show = startShow({ sandbox: stack.sandbox, service: stack.service, plan, restartAfter: 500 });
  control = await startControl(stack.sandbox, show);
}, 120_000);
afterAll(async () => {
  await browser?.close();
  await show?.stop();
  await control?.stop();
  await stack?.stop();
}, 60_000);

let foreseen: RegExp | null = null;
afterEach(async () => {
  const complaints = open.flatMap((one) => one.complaints).filter((text) => foreseen?.test(text) !== true);
  await Promise.all(open.splice(0).map((one) => one.close()));
  foreseen = null;
  // What a test leaves behind must not be the next one's fault.
  stack.sandbox.setPrometheus(true);
  const left = await newest();
  if (left !== undefined && !TERMINAL.has(left.status)) {
    await stack.service.abort(left.id);
    await ends();
  }
  expect(complaints).toEqual([]);
});

async function see(options: BrowserContextOptions = {}): Promise<Page> {
  const one = await visit(browser, control.url, options);
  open.push(one);
  one.page.setDefaultTimeout(PATIENCE);
  await one.page.goto('/');
  await one.page.locator('.counts tbody tr').first().waitFor();
  return one.page;
}

const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true });
const fact = (page: Page, type: string) => page.locator(`.log [data-type="${type}"]`).first();

async function newest(): Promise<RolloutView | undefined> {
  const response = await fetch(`${stack.service.url}/rollouts?limit=1`, {
    headers: { authorization: `Bearer ${stack.service.token}` },
  });
  const { items } = (await response.json()) as { items: readonly RolloutView[] };
  return items[0];
}

const is =
  (...wanted: readonly string[]) =>
  (found: RolloutView | undefined): boolean =>
    found !== undefined && wanted.includes(found.status);

/** The newest rollout, once it has one of these states. */
const reaches = (...wanted: readonly string[]) => until(newest, is(...wanted), PATIENCE) as Promise<RolloutView>;
const ends = () => reaches(...TERMINAL);

/** Presses the button, and waits until the canary has its first traffic. */
async function release(page: Page, name: string): Promise<string> {
  const before = await newest();
  await button(page, name).click();
  const { id = '' } = (await until(newest, (found) => found?.id !== before?.id, PATIENCE)) ?? {};
  await page.locator(`#rollout a[href$="/ui/rollouts/${id}"]`).waitFor();
  return id;
}

async function atFirstStep(page: Page): Promise<string> {
  hold = LONG;
  const id = await release(page, 'Good');
  await page.locator('#rollout .place').getByText('step 1 of 3').waitFor();
  await page.locator('.field-of-bubbles .bubble-canary').first().waitFor({ state: 'attached' });
  return id;
}

/** The page with a rollout on it, live or not. */
async function seeRollout(options: BrowserContextOptions = {}): Promise<Page> {
  const page = await see(options);
  if ((await newest()) === undefined) await atFirstStep(page);
  await page.locator('#rollout a').waitFor();
  return page;
}

async function aborted(id: string): Promise<void> {
  await stack.service.abort(id);
  const { status, outcome } = await ends();
  expect(status, outcome?.message).toBe('aborted');
}

/** By the keyboard, as far as it goes. */
async function slide(page: Page, label: string, key: 'Home' | 'End'): Promise<void> {
  await page.getByLabel(label).focus();
  await page.keyboard.press(key);
}

describe("the sandbox's page", () => {
  it('shows requests as bubbles by the version that answered, with the same as a table beside them', {
    timeout: 120_000,
  }, async () => {
    const page = await see();
    await page.getByText('SIMULATED', { exact: true }).waitFor();
    await page.locator('.bubble-stable').first().waitFor({ state: 'attached' });
    expect(await page.locator('.field-of-bubbles .bubble-canary').count()).toBe(0);
    const id = await atFirstStep(page);
    await expect
      .poll(async () => Number(await page.locator('.counts [data-version=canary] .requests').innerText()), {
        timeout: PATIENCE,
      })
      .toBeGreaterThan(0);
    expect(await page.locator('#every').innerText()).toMatch(/^1 in \d+ shown$|^Every request is shown$/);
    expect(await page.locator('#rollout a').getAttribute('href')).toBe(`${stack.service.url}/ui/rollouts/${id}`);
    await page.locator('[data-act=release] .since').getByText('Sluice:').waitFor();
    // With motion, they go again.
    const moving = await see({ reducedMotion: 'no-preference' });
    await moving.locator('.field-of-bubbles .bubble').first().waitFor({ state: 'attached' });
    await moving.evaluate("document.querySelector('.field-of-bubbles .bubble').dataset.first = ''");
    await moving.locator('[data-first]').waitFor({ state: 'detached' });
  });

  it('lets a slider break the canary: its failures are marked, and Sluice takes its traffic away', {
    timeout: 120_000,
  }, async () => {
    const page = await see();
    await atFirstStep(page);
    await slide(page, 'Requests that fail', 'End');
    await page.locator('.field-of-bubbles .bubble-canary.failed .cross').first().waitFor({ state: 'attached' });
    await expect
      .poll(() => page.locator('.counts [data-version=canary] .share').innerText(), { timeout: PATIENCE })
      .toMatch(/^[1-9]/);
    const ended = await ends();
    expect([ended.status, ended.outcome?.message]).toEqual(['rolled_back', expect.stringContaining('canary')]);
    await page.locator('#rollout').getByText('Rolled back at 10 %').waitFor();
    await page.locator('[data-act=canary] .since').getByText('Sluice:').waitFor();
    await button(page, 'Heal the canary').click();
    await expect.poll(() => stack.sandbox.canary.errorRate).toBe(0);
    await expect.poll(() => page.getByLabel('Requests that fail').inputValue()).toBe('0');
  });

  it('kills the worker, and the rollout still ends: no step is repeated, none is skipped', {
    timeout: 180_000,
  }, async () => {
    const page = await see();
    await page.locator('#process[data-state=running]').waitFor();
    const before = stack.service.pid;
    const users = stack.sandbox.users();
    hold = SHORT;
    const id = await release(page, 'Good');
    await button(page, 'Kill the worker').click();
    await page.locator('.log').getByText(`The process (number ${before}) got SIGKILL`).waitFor();
    await page.locator('.log').getByText('The process is up again').first().waitFor();
    expect(stack.service.pid).not.toBe(before);
    expect((await ends()).status).toBe('succeeded');
    const facts = await stack.service.events(id);
    expect(facts.filter(({ type }) => type === 'weight_reached').map(({ step }) => step)).toEqual([0, 1, 2, 3]);
    expect(stack.sandbox.users().failed - users.failed).toBe(0);
    await page.locator('#rollout .pill-succeeded').waitFor();
  });

  it('stops Prometheus: the rollout pauses, and goes on when it answers again', { timeout: 180_000 }, async () => {
    const page = await see();
    await atFirstStep(page);
    await button(page, 'Stop Prometheus').click();
    await page.getByText('It hangs.').waitFor();
    const paused = await reaches('paused', ...TERMINAL);
    expect(paused).toMatchObject({ status: 'paused', pause: { cause: 'no_data' } });
    await page.locator('#rollout .pill-paused').waitFor();
    await button(page, 'Let Prometheus go on').click();
    await page.getByText('It answers.').waitFor();
    await reaches('progressing');
    await page.locator('#rollout .pill-progressing').waitFor();
  });

  it('stops Prometheus, and a canary that breaks meanwhile is rolled back all the same', {
    timeout: 180_000,
  }, async () => {
    const page = await see();
    await atFirstStep(page);
    await button(page, 'Stop Prometheus').click();
    await page.getByText('It hangs.').waitFor();
    await slide(page, 'Requests that fail', 'End');
    expect((await ends()).status).toBe('rolled_back');
    await button(page, 'Let Prometheus go on').click();
    await page.getByText('It answers.').waitFor();
  });

  it('edits the route by hand, and the history says who did', { timeout: 120_000 }, async () => {
    const page = await see();
    const id = await atFirstStep(page);
    await page.getByLabel('Canary weight in %').fill('80');
    await button(page, 'Edit the route by hand').click();
    await fact(page, 'drift_seen').getByText('the canary weight is 80 % where 10 %').waitFor();
    await fact(page, 'drift_seen').getByText('kubectl-edit').waitFor();
    expect(await newest()).toMatchObject({ status: 'paused', pause: { cause: 'drift' } });
    expect(await stack.sandbox.weight()).toBe(80);
    await page.locator('[data-act=route] .since').getByText('Somebody else changed the route').waitFor();
    // A weight that is none is not sent.
    await page.getByLabel('Canary weight in %').fill('101');
    await button(page, 'Edit the route by hand').click();
    await page.locator('#weight:invalid').waitFor();
    expect(await stack.sandbox.weight()).toBe(80);
    await aborted(id);
    expect(await stack.sandbox.weight()).toBe(0);
  });

  it('says why something is not done: a second release beside a live one', { timeout: 120_000 }, async () => {
    foreseen = /409/;
    const page = await see();
    const id = await atFirstStep(page);
    await button(page, 'Bad: 25 % errors').click();
    await page.getByRole('alert').getByText('Not done: a rollout is under way').waitFor();
    expect((await newest())?.id).toBe(id);
  });

  it.each(['Bad: 25 % errors', 'Slow: 0.8 s'])(
    'starts a release that goes back by itself: %s',
    { timeout: 120_000 },
    async (name) => {
      const page = await see();
      hold = LONG;
      slowness = 'judged';
      await release(page, name);
      slowness = 'passed over';
      expect((await ends()).status).toBe('rolled_back');
      await page.locator('#rollout .pill-rolled_back').waitFor();
    },
  );
});

describe('the same page, for everybody', () => {
  it.each([
    ['light', { colorScheme: 'light' }],
    ['dark', { colorScheme: 'dark' }],
    ['on a phone', { viewport: { width: 360, height: 740 } }],
  ] as const)('has nothing that axe finds: %s', async (_, options) => {
    const page = await seeRollout(options);
    expect(await violations(page)).toEqual([]);
    expect(await page.evaluate('document.documentElement.scrollWidth - innerWidth')).toBeLessThanOrEqual(0);
  });

  it('is worked by the keyboard alone, in the order in which it is read', async () => {
    const page = await seeRollout();
    const names: string[] = [];
    const last = 'What happened, the newest first';
    for (let i = 0; i < 60 && names.at(-1) !== last; i += 1) {
      await page.keyboard.press('Tab');
      names.push(
        String(
          await page.evaluate(
            "document.activeElement.getAttribute('aria-label') ?? document.activeElement.labels?.[0]?.innerText ?? document.activeElement.innerText",
          ),
        ),
      );
    }
    const wanted = [
      'Skip to the content',
      "Sluice's own page",
      'Good',
      'Requests that fail',
      'Time to answer',
      'Heal the canary',
      'Kill the worker',
      'Stop Prometheus',
      'Canary weight in %',
      'Edit the route by hand',
      last,
    ];
    expect(names.filter((name) => wanted.includes(name))).toEqual(wanted);
    await slide(page, 'Time to answer', 'End');
    await expect.poll(() => stack.sandbox.canary.latencyMs).toBe(2_000);
    await page.getByRole('button', { name: 'Heal the canary' }).press('Enter');
    await expect.poll(() => stack.sandbox.canary.latencyMs).toBe(20);
  });

  it('moves nothing for those who want no motion', async () => {
    const page = await see({ reducedMotion: 'reduce' });
    await page.locator('.bubble-stable').nth(20).waitFor({ state: 'attached' });
    expect(await page.evaluate('document.getAnimations().length')).toBe(0);
  });

  it('says that it is old when the sandbox is gone', async () => {
    foreseen = /Failed to load resource|ERR_/;
    const gone = startShow({ sandbox: stack.sandbox, service: stack.service, plan: () => ({}) });
    const other = await startControl(stack.sandbox, gone);
    const one = await visit(browser, other.url);
    open.push(one);
    await one.page.goto('/');
    await one.page.locator('.counts tbody tr').first().waitFor();
    await gone.stop();
    await other.stop();
    await one.page.getByText('what is shown is old').waitFor();
  });
});

describe('the address of the page', () => {
  const post = (path: string, body: object, headers: Record<string, string> = {}) =>
    fetch(`${control.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });

  it('refuses pages of other sites, also those that a browser sends on', async () => {
    const pid = stack.service.pid;
    expect((await post('/acts/kill', {}, { origin: 'http://127.0.0.1:1' })).status).toBe(403);
    expect((await post('/canary', { errorRate: 1 }, { origin: 'https://evil.example' })).status).toBe(403);
    const form = await fetch(`${control.url}/crash`, { method: 'POST', body: '' });
    expect(form.status).toBe(415);
    expect([stack.service.pid, stack.sandbox.canary.errorRate]).toEqual([pid, 0]);
    const other = createServer((_, response) => {
      response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>another site</title>');
    });
    await new Promise<void>((fulfil) => other.listen(0, '127.0.0.1', fulfil));
    const one = await visit(browser, `http://127.0.0.1:${(other.address() as AddressInfo).port}`);
    await one.page.goto('/');
    const blind = await one.page.evaluate(
      `fetch('${control.url}/acts/kill', { method: 'POST', mode: 'no-cors', body: '{}' }).then((r) => r.type)`,
    );
    expect(blind).toBe('opaque'); // it was sent, and the answer hidden
    const read = await one.page.evaluate(`fetch('${control.url}/users').then(() => 'read', () => 'hidden')`);
    expect(read).toBe('hidden');
    expect([stack.service.pid, stack.sandbox.canary.errorRate]).toEqual([pid, 0]);
    await one.close();
    await new Promise<void>((fulfil) => other.close(() => fulfil()));
  });

  it.each([
    ['/acts/release', { kind: 'odd' }],
    ['/acts/canary', { errorRate: 2, latencyMs: 1 }],
    ['/acts/route', { weight: 12.5 }],
    ['/acts/prometheus', {}],
    ['/acts/kill', { twice: true }],
  ])('refuses what it does not know: %s %j', async (path, body) => {
    expect((await post(path, body)).status).toBe(400);
  });

  it('does nothing while the demo runs its own releases', async () => {
    const waiting = startShow({
      sandbox: stack.sandbox,
      service: stack.service,
      plan: () => ({}),
      busy: 'wait for it',
    });
    const other = await startControl(stack.sandbox, waiting);
    const kill = () =>
      fetch(`${other.url}/acts/route`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"weight":0}',
      });
    const refused = await kill();
    expect([refused.status, await refused.json()]).toEqual([409, { error: 'wait for it' }]);
    waiting.open();
    expect((await kill()).status).toBe(200);
    await waiting.stop();
    await other.stop();
  });

  it('has a policy that lets nothing inline in', async () => {
    const response = await fetch(control.url);
    expect(response.headers.get('content-security-policy')).toMatch(
      /^default-src 'none'; script-src 'self'; style-src 'self';/,
    );
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    for (const path of ['/sandbox/show/page/types.d.ts', '/sandbox/control.ts', '/page/index.html', '/config.ts'])
      expect([path, (await fetch(`${control.url}${path}`)).status]).toEqual([path, 404]);
  });
});

describe('what is shipped', () => {
  it('knows nothing of the page of the sandbox', () => {
    const root = new URL('../../', import.meta.url);
    const page = new URL('src/page/', root);
    for (const name of readdirSync(page, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.js')))
      expect([name, readFileSync(new URL(name, page), 'utf8').includes('sandbox')]).toEqual([name, false]);
    expect(readFileSync(new URL('Dockerfile', root), 'utf8')).toContain('rm -rf dist/sandbox');
  });
});
