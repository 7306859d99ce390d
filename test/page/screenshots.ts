/** Takes the pictures of the documentation: node test/page/screenshots.ts [folder] */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import { told, withTools } from './around-story.ts';
import { launch, signIn, visit } from './browser.ts';
import { fleetsAndMigrations } from './fleet-story.ts';
import { morning } from './story.ts';
import { pageWorld, TOKENS } from './world.ts';

const folder = process.argv[2] ?? fileURLToPath(new URL('../../docs/images', import.meta.url));
const DESK = { width: 1240, height: 860 };
const PHONE = { width: 390, height: 844 };

const world = await pageWorld();
const story = await morning(world.fake);
await fleetsAndMigrations(world);
withTools(world);
told(world, story);
const empty = await pageWorld();

const shots: readonly [string, string, string, 'light' | 'dark', { width: number; height: number }][] = [
  ['page-list', world.url, '/ui/', 'light', DESK],
  ['page-rollout', world.url, `/ui/rollouts/${story.waiting}`, 'light', { width: 1240, height: 930 }],
  ['page-rollout-dark', world.url, `/ui/rollouts/${story.failed}`, 'dark', { width: 1240, height: 900 }],
  ['page-charts', world.url, `/ui/rollouts/${story.waiting}`, 'dark', { width: 1240, height: 900 }],
  ['page-plan', world.url, '/ui/plan', 'dark', DESK],
  ['page-first-run', empty.url, '/ui/', 'light', DESK],
  ['page-fleet', world.url, '/ui/fleets/fr_1', 'light', { width: 1240, height: 620 }],
  ['page-migration', world.url, '/ui/migrations/mm_2', 'light', { width: 1240, height: 760 }],
  ['page-phone', world.url, `/ui/rollouts/${story.failed}`, 'light', PHONE],
  ['page-phone-list', world.url, '/ui/', 'dark', PHONE],
];

async function take(browser: Browser, [name, url, path, colorScheme, viewport]: (typeof shots)[number]): Promise<void> {
  const { page, complaints, close } = await visit(browser, url, { colorScheme, viewport, locale: 'en-GB' });
  await signIn(page, TOKENS.admin);
  await page.goto(path);
  await page.locator('h1').waitFor();
  if (path === '/ui/plan') await page.getByRole('button', { name: 'Check the plan' }).click();
  await page.waitForTimeout(700);
  const what = name === 'page-charts' ? page.locator('[data-key=charts]') : page;
  await what.screenshot({ path: join(folder, `${name}.png`) });
  for (const complaint of complaints) process.stderr.write(`${name}: ${complaint}\n`);
  await close();
}

const browser = await launch();
try {
  for (const shot of shots) await take(browser, shot);
} finally {
  await browser.close();
  await Promise.all([world.stop(), empty.stop()]);
}
