/** The page for everybody and in bad times: signing in, a lost connection, axe, a phone, the keyboard alone. */
import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { signIn } from './browser.ts';
import type { Story } from './story.ts';
import { ana } from './story.ts';
import { atFirstStep, button, sentence, violations, visits } from './visits.ts';
import { TOKENS } from './world.ts';

const v = visits();
const PHONE = { width: 360, height: 740 };

describe('signing in', () => {
  it('comes first, says what is wrong, and leads back to where one wanted to go', async () => {
    v.foresee(/401/);
    const page = await v.see(v.world);
    await page.goto(`/ui/rollouts/${v.story.failed}`);
    await page.getByLabel('API token').fill('slc_wrong_0123456789');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('alert').getByText('unknown, expired or revoked').waitFor();
    await page.getByLabel('API token').fill(TOKENS.viewer);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'payments' }).waitFor();
    expect(new URL(page.url()).pathname).toBe(`/ui/rollouts/${v.story.failed}`);
    expect(page.url()).not.toContain('slc_');
    expect(await page.evaluate('document.cookie')).toBe('');
    expect(await page.evaluate('JSON.stringify({ ...localStorage, ...sessionStorage })')).not.toContain('slc_');
  });

  it('is undone by signing out', async () => {
    const page = await v.seeAs(v.world, 'viewer');
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByLabel('API token').waitFor();
    await page.goto('/ui/');
    await page.getByLabel('API token').waitFor();
  });

  it('is asked for again as soon as the token is revoked', async () => {
    v.foresee(/401/);
    const { world, path } = await atFirstStep(v, { heartbeat: 200 });
    const page = await v.seeAs(world, 'viewer', path);
    await sentence(page).waitFor();
    world.revoked.add(TOKENS.viewer);
    await page.getByText('The session has ended').first().waitFor();
    expect(new URL(page.url()).searchParams.get('next')).toBe(path);
  });
});

describe('a connection that is lost', () => {
  const stale = (page: Page): Promise<boolean> => page.evaluate("document.documentElement.hasAttribute('data-stale')");

  it.each(['rollout', 'list'])('looks lost on the %s, and is found again without a reload', async (view) => {
    v.foresee(/ERR_|Failed to load/);
    const { world, id, path } = await atFirstStep(v, { heartbeat: 300 });
    const page = await v.seeAs(world, 'viewer', view === 'list' ? '/ui/' : path);
    await page.getByText('checkout').first().waitFor();
    await page.waitForTimeout(700);
    expect(await stale(page)).toBe(false);
    await world.stop();
    await page.locator('.banner').getByText('Not live.').waitFor();
    expect(await stale(page)).toBe(true);
    expect(await page.evaluate("getComputedStyle(document.querySelector('.live')).filter")).toBe('grayscale(1)');
    await world.start();
    await world.fake.command(id, { name: 'pause', reason: 'meanwhile' }, ana, {});
    await page.getByRole('button', { name: 'Reconnect now' }).click();
    await page.getByText('meanwhile').first().waitFor();
    expect(await stale(page)).toBe(false);
    if (view === 'rollout') {
      const facts = await page.locator('.facts > li').count();
      expect(facts).toBe((await world.fake.facts(id, 0, 100)).length);
    }
  });

  it('is noticed where the server is only silent', async () => {
    const { world, path } = await atFirstStep(v, { heartbeat: 60_000, promised: 250 });
    const page = await v.seeAs(world, 'viewer', path);
    await page.locator('.banner').getByText('the server is silent').waitFor();
  });
});

// ── for everybody ───────────────────────────────────────────────────────────────────────────────────────────────────

const VIEWS: readonly [string, (s: Story) => string][] = [
  ['the list', () => '/ui/'],
  ['a rollout that waits', (s) => `/ui/rollouts/${s.waiting}`],
  ['a rollout that went back', (s) => `/ui/rollouts/${s.failed}`],
  ['the plan', () => '/ui/plan'],
  ['the history', () => '/ui/history'],
  ['the audit', () => '/ui/audit'],
  ['the fleets', () => '/ui/fleets'],
  ['a fleet', () => '/ui/fleets/fr_1'],
  ['the migrations', () => '/ui/migrations'],
  ['a migration that is watched', () => '/ui/migrations/mm_1'],
  ['a migration that a caller is in the way of', () => '/ui/migrations/mm_2'],
  ['a wrong address', () => '/ui/nothing'],
];

describe.each([
  ['light', undefined],
  // Only the colours are different.
  ['dark', ['color-contrast']],
] as const)('in %s colours', (colorScheme, rules) => {
  it('nothing keeps people out that axe knows of: signed in', async () => {
    const page = await v.seeAs(v.world, 'admin', '/ui/', { colorScheme });
    for (const [name, path] of VIEWS) {
      await page.goto(path(v.story));
      await page.locator('h1').waitFor();
      if (name.startsWith('a rollout'))
        for (const closed of ['table.verdicts details', '.charts .data'])
          await page.locator(closed).first().locator('summary').click();
      if (name === 'the plan') {
        await page.getByRole('button', { name: 'Check the plan' }).click();
        await page.locator('.findings').waitFor();
      }
      expect(await violations(page, rules), name).toEqual([]);
    }
    await page.goto(`/ui/rollouts/${v.story.waiting}`);
    await button(page, 'Abort').click();
    await page.getByRole('dialog').waitFor();
    expect(await violations(page, rules), 'a dialog').toEqual([]);
  }, 90_000);

  it('nothing keeps people out that axe knows of: first steps', async () => {
    const world = await v.open();
    const page = await v.see(world, { colorScheme });
    await page.goto('/ui/login?ended=1');
    await page.getByLabel('API token').waitFor();
    expect(await violations(page, rules), 'signing in').toEqual([]);
    await signIn(page, TOKENS.admin);
    await page.locator('.way').waitFor();
    expect(await violations(page, rules), 'the introduction').toEqual([]);
    await world.stop();
    v.foresee(/ERR_|Failed to load/);
    await page.locator('.banner').waitFor();
    expect(await violations(page, rules), 'a stale page').toEqual([]);
  });
});

describe('on a phone', () => {
  it('nothing is wider than the screen', async () => {
    const page = await v.seeAs(v.world, 'admin', '/ui/', { viewport: PHONE });
    for (const [name, path] of VIEWS) {
      await page.goto(path(v.story));
      await page.locator('h1').waitFor();
      await page.waitForTimeout(150);
      const wide = await page.evaluate(
        "({ page: document.documentElement.scrollWidth, most: [...document.querySelectorAll('main *')].filter((e) => !e.closest('.scroll, pre, svg, .unseen') && e.getBoundingClientRect().right > 361).map((e) => e.outerHTML.slice(0, 90)) })",
      );
      expect(wide, name).toEqual({ page: PHONE.width, most: [] });
    }
  });
});

describe('with the keyboard alone', () => {
  const focused = (page: Page): Promise<string> =>
    page.evaluate(
      "(document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent ?? '').trim()",
    );
  /** Tab until something of that name has the focus. */
  async function tabTo(page: Page, name: RegExp): Promise<void> {
    for (let i = 0; i < 60; i += 1) {
      await page.keyboard.press('Tab');
      if (name.test(await focused(page))) return;
    }
    throw new Error(`Tab never came to ${name}`);
  }

  it('everything can be reached, decided and read', async () => {
    const { world, id, path } = await atFirstStep(v);
    const page = await v.see(world);
    await page.goto('/ui/');
    await page.getByLabel('API token').waitFor();
    await page.keyboard.type(TOKENS.admin);
    await page.keyboard.press('Enter');
    await page.locator('.item-link').waitFor();
    await tabTo(page, /^checkout$/);
    await page.keyboard.press('Enter');
    await page.locator('table.verdicts').waitFor();
    expect(new URL(page.url()).pathname).toBe(path);
    expect(await page.evaluate('document.activeElement.id')).toBe('main');

    await tabTo(page, /^Pause/);
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    expect(await focused(page)).toMatch(/^Pause/);

    await page.keyboard.press('Enter');
    await page.keyboard.type('lunch');
    await page.keyboard.press('Enter');
    await expect
      .poll(() => sentence(page).innerText())
      .toContain('Paused by token ana-admin at step 1 of 3 (5 %): lunch');
    expect((await world.fake.get(id))?.phase).toMatchObject({ name: 'paused', cause: 'operator' });

    await tabTo(page, /^Check errors: arrow keys/);
    const slider = page.locator('[data-chart=check-errors]');
    const before = await slider.getAttribute('aria-valuetext');
    expect(before).toMatch(/, pass, canary 0\.\d+ % of [\d,]+, stable 0\.\d+ % of [\d,]+, limit /);
    await page.keyboard.press('ArrowLeft');
    await expect.poll(() => slider.getAttribute('aria-valuetext')).not.toBe(before);
    expect(await page.evaluate('document.activeElement.dataset.chart')).toBe('check-errors');
  });

  it('the content can be jumped to, and the theme chosen for good', async () => {
    const page = await v.seeAs(v.world, 'viewer');
    await page.goto('/ui/');
    await page.locator('h1').waitFor();
    await page.keyboard.press('Tab');
    expect(await focused(page)).toBe('Skip to the content');
    const theme = page.locator('#theme');
    await theme.focus();
    await page.keyboard.press('Enter');
    await page.keyboard.press('Enter');
    expect(await theme.innerText()).toBe('dark');
    await page.reload();
    expect(await page.evaluate('getComputedStyle(document.body).backgroundColor')).toBe('rgb(14, 19, 24)');
  });
});
