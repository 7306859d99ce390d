/** Takes the pictures of the documentation: node test/page/screenshots.ts [folder] */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import { asked, told, withTools } from './around-story.ts';
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
await asked(world, story);
const empty = await pageWorld();

/** A plan with everything that the drawing can show. */
const PLAN = `target:
  cluster: default
  namespace: production
  service: myapp
  mesh: istio
  virtualService: { name: myapp, route: api }
  stable: { host: myapp, subset: v1, deployment: myapp-v1 }
  canary: { host: myapp, subset: v2, deployment: myapp-v2 }
steps:
  - { mirror: { percent: 30% }, hold: 3m }
  - { weight: 5,  hold: 2m }
  - { weight: 25, hold: 5m }
  - { weight: 50, hold: 5m, approval: { required: 2 } }
analysis:
  interval: 10s
  checks:
    - { name: errors,  kind: error-rate, max: 1% }
webhooks:
  - name: change-window
    gate: beforeStart
    url: https://gates.example.com/window
  - name: load-test
    gate: beforePromotion
    url: https://gates.example.com/load
`;

const shots: readonly [string, string, string, 'light' | 'dark', { width: number; height: number }][] = [
  // Before the others sign in: those are acts, too.
  ['page-audit', world.url, '/ui/audit', 'light', { width: 1240, height: 760 }],
  ['page-list', world.url, '/ui/', 'light', DESK],
  ['page-rollout', world.url, `/ui/rollouts/${story.waiting}`, 'light', { width: 1240, height: 930 }],
  ['page-rollout-dark', world.url, `/ui/rollouts/${story.failed}`, 'dark', { width: 1240, height: 900 }],
  ['page-charts', world.url, `/ui/rollouts/${story.waiting}`, 'dark', { width: 1240, height: 900 }],
  ['page-plan', world.url, '/ui/plan', 'dark', DESK],
  ['page-told', world.url, `/ui/rollouts/${story.failed}`, 'light', { width: 1240, height: 900 }],
  ['page-first-run', empty.url, '/ui/', 'light', DESK],
  ['page-fleet', world.url, '/ui/fleets/fr_1', 'light', { width: 1240, height: 620 }],
  ['page-migration', world.url, '/ui/migrations/mm_2', 'light', { width: 1240, height: 760 }],
  ['page-phone', world.url, `/ui/rollouts/${story.failed}`, 'light', PHONE],
  ['page-phone-list', world.url, '/ui/', 'dark', PHONE],
];

/** Pictures of a part only. */
const PARTS: Readonly<Record<string, string>> = { 'page-charts': 'charts', 'page-told': 'messages' };

async function take(browser: Browser, [name, url, path, colorScheme, viewport]: (typeof shots)[number]): Promise<void> {
  const { page, complaints, close } = await visit(browser, url, { colorScheme, viewport, locale: 'en-GB' });
  await signIn(page, TOKENS.admin);
  await page.goto(path);
  await page.locator('h1').waitFor();
  if (path === '/ui/plan') {
    await page.getByLabel('The plan, as YAML or JSON').fill(PLAN);
    await page.getByRole('button', { name: 'Check the plan' }).click();
  }
  await page.waitForTimeout(700);
  const part = PARTS[name];
  const what = part === undefined ? page : page.locator(`[data-key=${part}]`);
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
