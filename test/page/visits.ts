/** What the tests in the browser share: one browser and one morning per file, a profile of its own per visit. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import type { PrincipalRole } from '../../src/app/ports.ts';
import { asked, told, withTools } from './around-story.ts';
import type { Visit } from './browser.ts';
import { launch, visit } from './browser.ts';
import { fleetsAndMigrations } from './fleet-story.ts';
import type { Story } from './story.ts';
import { looks, morning, plan, started } from './story.ts';
import type { World, WorldOptions } from './world.ts';
import { pageWorld, TOKENS } from './world.ts';

export interface Visits {
  /** One morning for all tests that only look. */
  readonly world: World;
  readonly story: Story;
  /** A world of its own, stopped after the test. */
  open(options?: WorldOptions): Promise<World>;
  see(world: World, options?: BrowserContextOptions): Promise<Page>;
  /** As somebody who has signed in, at an address that has a heading. */
  seeAs(world: World, role: PrincipalRole, path?: string, options?: BrowserContextOptions): Promise<Page>;
  /** What this test expects the browser to complain of. Any other complaint fails it. */
  foresee(complaint: RegExp): void;
}

export function visits(): Visits {
  let browser: Browser;
  let world: World;
  let story: Story;
  let foreseen: RegExp | null = null;
  const worlds: World[] = [];
  const open_: Visit[] = [];
  beforeAll(async () => {
    browser = await launch();
    world = await pageWorld();
    story = await morning(world.fake);
    await fleetsAndMigrations(world);
    withTools(world);
    told(world, story);
    await asked(world, story);
  });
  afterAll(async () => {
    await browser.close();
    await world.stop();
  });
  afterEach(async () => {
    const complaints = open_.flatMap((v) => v.complaints).filter((text) => foreseen?.test(text) !== true);
    await Promise.all(open_.splice(0).map((v) => v.close()));
    await Promise.all(worlds.splice(0).map((w) => w.stop()));
    foreseen = null;
    expect(complaints).toEqual([]);
  });
  const see: Visits['see'] = async (at, options = {}) => {
    const v = await visit(browser, at.url, options);
    open_.push(v);
    return v.page;
  };
  return {
    get world() {
      return world;
    },
    get story() {
      return story;
    },
    async open(options = {}) {
      const own = await pageWorld(options);
      worlds.push(own);
      return own;
    },
    see,
    async seeAs(at, role, path = '/ui/', options = {}) {
      const page = await see(at, options);
      await page
        .context()
        .addCookies([
          { name: 'sluice', value: await sealed(at, role), url: at.url, httpOnly: true, sameSite: 'Strict' },
        ]);
      await page.goto(path);
      await page.locator('h1').waitFor();
      return page;
    },
    foresee(complaint) {
      foreseen = complaint;
    },
  };
}

/** The session's cookie, as the form would get it. */
async function sealed(world: World, role: PrincipalRole): Promise<string> {
  const response = await fetch(`${world.url}/ui/session`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'Sec-Fetch-Site': 'same-origin', 'X-Sluice-CSRF': '1' },
    body: JSON.stringify({ token: TOKENS[role] }),
  });
  return /^sluice=([^;]+)/.exec(response.headers.get('set-cookie') ?? '')?.[1] ?? '';
}

/** A world with one rollout at its first step. */
export async function atFirstStep(
  v: Visits,
  options: WorldOptions = {},
): Promise<{ world: World; id: string; path: string }> {
  const world = await v.open(options);
  const id = await started(world.fake, plan('checkout'));
  await looks(world.fake, id, 3);
  return { world, id, path: `/ui/rollouts/${id}` };
}

export const sentence = (page: Page): Locator => page.locator('#sentence');
const actions = (page: Page): Locator => page.getByRole('group', { name: 'What you can do' });
export const button = (page: Page, name: string): Locator => actions(page).getByRole('button', { name });
export const buttons = (page: Page): Promise<string[]> =>
  actions(page).getByRole('button').locator('span:first-child').allInnerTexts();

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const STANDARDS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

interface Violation {
  readonly id: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
}

/** What axe finds against WCAG 2.2 AA and its own best practices; or of some rules only. */
export async function violations(page: Page, rules?: readonly string[]): Promise<string[]> {
  await page.evaluate(AXE);
  const found = (await page.evaluate(
    `axe.run(document, ${JSON.stringify({ runOnly: rules ?? STANDARDS, resultTypes: ['violations'] })}).then((r) => r.violations)`,
  )) as Violation[];
  return found.flatMap(({ id, nodes }) =>
    nodes.map((node) => `${id}: ${node.html.slice(0, 160)} ${node.failureSummary}`),
  );
}
