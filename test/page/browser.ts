/** Debian's Chromium, driven by Playwright. One browser per test file; every test has a profile of its own. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { chromium } from 'playwright-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const PLACES = ['/usr/bin', '/usr/local/bin', '/opt/homebrew/bin', '/Applications/Chromium.app/Contents/MacOS'];

/** Throws where there is none: a test that cannot run must not pass. */
function program(): string {
  const places = [...(process.env['PATH'] ?? '').split(delimiter).filter((dir) => dir !== ''), ...PLACES];
  for (const path of NAMES.flatMap((name) => places.map((dir) => join(dir, name)))) {
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {}
  }
  throw new Error(
    `the page's tests need Chromium on the PATH (${NAMES.join(', ')}). Debian: apt-get install chromium. macOS: brew install --cask chromium`,
  );
}

export const launch = (): Promise<Browser> =>
  chromium.launch({
    executablePath: program(),
    headless: true,
    // In containers and as root there is no sandbox to be had; all it sees is our own page.
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });

export interface Visit {
  readonly page: Page;
  /** What the browser complained of: console errors, uncaught errors, breaches of the content security policy. */
  readonly complaints: string[];
  close(): Promise<void>;
}

/** Generous: other tests may want the machine, too. */
const TIMEOUT = 15_000;

export async function visit(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<Visit> {
  const context = await browser.newContext({ baseURL: url, reducedMotion: 'reduce', ...options });
  context.setDefaultTimeout(TIMEOUT);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(`uncaught: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  await page.addInitScript(
    "document.addEventListener('securitypolicyviolation', (e) => console.error('CSP: ' + e.violatedDirective + ' ' + e.blockedURI))",
  );
  return { page, complaints, close: () => context.close() };
}

/** By the form, as people do. Ends on `path`. */
export async function signIn(page: Page, token: string, path = '/ui/'): Promise<void> {
  await page.goto(path);
  await page.getByLabel('API token').fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('button', { name: 'Sign out' }).waitFor();
}
