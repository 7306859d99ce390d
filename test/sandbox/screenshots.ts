/** Takes the pictures of the sandbox's page: node test/sandbox/screenshots.ts [folder] */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startControl } from '../../src/sandbox/control.ts';
import { RPS } from '../../src/sandbox/demo/releases.ts';
import { startStack } from '../../src/sandbox/demo/stack.ts';
import { showPlan } from '../../src/sandbox/show/plan.ts';
import { startShow } from '../../src/sandbox/show/show.ts';
import { launch, visit } from '../page/browser.ts';

const folder = process.argv[2] ?? fileURLToPath(new URL('../../docs/images', import.meta.url));
const PATIENCE = { timeout: 60_000 };

const [stack, browser] = await Promise.all([startStack({ mesh: 'istio', redis: false, rps: RPS }), launch()]);
const { sandbox, service } = stack;
// One step with a weight at which both versions are seen.
const plan = (target: object, image: string) => ({
  ...showPlan(target, image, '1h'),
  steps: [{ weight: 40, hold: '1h' }],
});
const show = startShow({ sandbox, service, plan });
const control = await startControl(sandbox, show);
try {
  const desk = { viewport: { width: 1240, height: 1120 }, locale: 'en-GB', reducedMotion: 'no-preference' } as const;
  const { page, complaints } = await visit(browser, control.url, desk);
  page.setDefaultTimeout(PATIENCE.timeout);
  await page.goto('/');
  await page.getByRole('button', { name: 'Good', exact: true }).click();
  await page.locator('#rollout .place').getByText('step 1 of 1').waitFor();
  // The table's ten seconds are then those of this step.
  await page.waitForTimeout(12_000);
  await page.getByLabel('Requests that fail').fill('30');
  await page.evaluate('document.activeElement.blur(); scrollTo(0, 0)');
  await page.locator('.field-of-bubbles .bubble-canary.failed').nth(4).waitFor({ state: 'attached' });
  await page.locator('#rollout .pill-rolling_back, #rollout .pill-rolled_back').waitFor();
  // Of a demo that is gone; a picture needs none all the same.
  await page.evaluate(
    "for (const code of document.querySelectorAll('code')) code.textContent = code.textContent.replace(/^slc_.*/, 'slc_…')",
  );
  await page.screenshot({ path: join(folder, 'sandbox.png') });

  const phone = await visit(browser, control.url, {
    viewport: { width: 390, height: 844 },
    locale: 'en-GB',
    colorScheme: 'dark',
  });
  await phone.page.goto('/');
  await phone.page.locator('#rollout .pill').waitFor();
  await phone.page.waitForTimeout(2_000);
  await phone.page.screenshot({ path: join(folder, 'sandbox-phone.png') });
  for (const complaint of [...complaints, ...phone.complaints]) process.stderr.write(`${complaint}\n`);
} finally {
  await browser.close();
  await show.stop();
  await control.stop();
  await stack.stop();
}
