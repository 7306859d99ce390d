/** What the page shows and does, in a real browser, against the real server. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { PrincipalRole } from '../../src/app/ports.ts';
import { aPast, aSurvey } from '../support/evidence.ts';
import { signIn } from './browser.ts';
import type { Story } from './story.ts';
import { ana, ci, healthy, looks, plan, started } from './story.ts';
import { atFirstStep, button, buttons, sentence, violations, visits } from './visits.ts';
import { TOKENS } from './world.ts';

const v = visits();

describe('the list', () => {
  it('shows first what needs somebody, then what runs, then what has ended', async () => {
    const page = await v.seeAs(v.world, 'viewer');
    const names = async (group: string) => page.locator(`.group-${group} .item-link`).allInnerTexts();
    await page.getByRole('heading', { name: 'Needs attention' }).waitFor();
    expect(await names('attention')).toEqual(['inventory', 'checkout']);
    expect(await names('running')).toEqual(['mail', 'search']);
    expect(await names('ended')).toEqual(['payments', 'recommendations', 'catalog']);
    expect(await page.locator('.item-rolled_back .item-words').innerText()).toContain('above the limit of 1 %');
  });

  it('follows what happens by itself', async () => {
    const { world, id } = await atFirstStep(v);
    const page = await v.seeAs(world, 'viewer');
    await page.locator('.group-running').getByText('checkout').waitFor();
    await world.fake.command(id, { name: 'pause', reason: 'lunch' }, ana, {});
    await page.locator('.group-attention').getByText('lunch').waitFor();
  });

  it('is an introduction where there is nothing yet', async () => {
    const page = await v.seeAs(await v.open(), 'deployer');
    await page.getByRole('heading', { name: 'No rollout yet' }).waitFor();
    await page.getByText('curl -X POST http://127.0.0.1:').waitFor();
    await page.getByRole('link', { name: 'plan page' }).click();
    await page.getByRole('heading', { name: 'Plan', exact: true }).waitFor();
  });
});

describe('a rollout', () => {
  it('says in one sentence why it went back, shows it, and can prove it', async () => {
    const page = await v.seeAs(v.world, 'viewer', `/ui/rollouts/${v.story.failed}`);
    await page.getByText('Rolled back at 25 % after').first().waitFor();
    expect(await sentence(page).innerText()).toMatch(
      /^Rolled back at 25 % after .* canary error rate 1\.6 % .* limit of 1 %/,
    );
    await page.locator('.chart').nth(2).waitFor();
    expect(await page.locator('.chart h3').allInnerTexts()).toEqual([
      'Canary weight',
      'Canary against stable evidence, robust',
      'errors error-rate',
      'latency latency',
    ]);
    expect(await page.locator('.chart .mark-fail').count()).toBeGreaterThan(1);
    expect(await page.locator('.line-limit').count()).toBeGreaterThan(1);
    const row = page.locator('table.verdicts tbody tr', { hasText: 'was above the limit of 1 %' }).first();
    await row.getByText('PromQL').click();
    expect(await row.locator('code').first().innerText()).toContain(
      'istio_requests_total{destination_workload="myapp-v2"',
    );
    const link = new URL((await row.getByRole('link', { name: /canary.*Prometheus/ }).getAttribute('href')) ?? '');
    expect(`${link.origin}${link.pathname}`).toBe('http://127.0.0.1:9/prom/graph');
    expect(link.searchParams.get('g0.expr')).toBe(await row.locator('code').first().innerText());
  });

  it('keeps what was opened while it is redrawn, and filters its verdicts', async () => {
    const page = await v.seeAs(v.world, 'viewer', `/ui/rollouts/${v.story.waiting}`);
    const data = page.locator('figure', { hasText: 'Canary weight' }).locator('details');
    await data.locator('summary').click();
    await page.getByLabel('Verdict', { exact: true }).selectOption('not-passed');
    // The rows of before are there for a moment.
    const only = async (): Promise<readonly string[]> => [
      ...new Set(await page.locator('table.verdicts tbody .verdict').allInnerTexts()),
    ];
    await expect.poll(only, { timeout: 10_000 }).toEqual(['fail', 'inconclusive']);
    expect(await data.getAttribute('open')).not.toBeNull();
    await page.getByLabel('Check', { exact: true }).selectOption('latency');
    await page.getByText('None of this kind.').waitFor();
  });

  it('moves on before your eyes', async () => {
    const { world, id, path } = await atFirstStep(v);
    const page = await v.seeAs(world, 'viewer', path);
    await page.getByText('Step 1 of 3: the canary has 5 %').waitFor();
    await looks(world.fake, id, 14, healthy, 3);
    await page.getByText('Step 2 of 3: the canary has 25 %').waitFor();
    await page.locator('.facts').getByText('canary weight 25 % was read back').waitFor();
    await expect.poll(() => page.locator('table.verdicts tbody tr').count()).toBeGreaterThan(10);
    await expect.poll(() => page.locator('[aria-current=step]').innerText()).toContain('25 %');
    expect(await page.locator('.banner').count()).toBe(0);
  });

  it('shows what the judge has against it, with the lines that decide', async () => {
    const page = await v.seeAs(v.world, 'viewer', `/ui/rollouts/${v.story.waiting}`);
    const chart = page.locator('figure', { hasText: 'Canary against stable' });
    for (const words of ['rolls back from 100', 'holds from 2', 'proven safe from 20'])
      await chart.getByText(words).waitFor();
    await chart.getByText('The canary is proven not to fail 1 % of its requests').waitFor();
    expect(await chart.locator('.readout').innerText()).toMatch(
      / safe against the canary 0\.\d+ of 100 for its safety above 100,000 of 20$/,
    );
    await chart.locator('summary').click();
    const { items } = await v.world.fake.evidence(v.story.waiting, 1000, null);
    await expect.poll(() => chart.locator('tbody tr').count()).toBe(items.length);
    await page.goto(`/ui/rollouts/${v.story.running}`);
    await page.locator('table.verdicts').waitFor();
    expect(await page.locator('figure', { hasText: 'Canary against stable' }).count()).toBe(0);
  });

  it('shows text of others as text', async () => {
    const world = await v.open();
    const evil = '<img src=x onerror=alert(1)><script>alert(2)</script>';
    const id = await started(world.fake, plan('checkout', { labels: { version: evil } }));
    await looks(world.fake, id, 3);
    await world.fake.command(id, { name: 'pause', reason: evil }, { ...ana, name: evil }, {});
    const page = await v.seeAs(world, 'viewer', `/ui/rollouts/${id}`);
    await expect.poll(() => sentence(page).innerText()).toContain(evil);
    expect(await page.locator('.chip').first().innerText()).toContain(evil);
    expect(await page.locator('main img, main script').count()).toBe(0);
    await page.goto('/ui/');
    await page.locator('.item-words').getByText(evil).waitFor();
    expect(await page.locator('main img, main script').count()).toBe(0);
  });

  it('that is not there is told', async () => {
    v.foresee(/404/);
    const page = await v.see(v.world);
    await signIn(page, TOKENS.viewer, '/ui/rollouts/ro_none');
    await page.getByRole('alert').getByText('There is no such rollout').waitFor();
  });
});

describe('deciding', () => {
  it.each<[PrincipalRole, string[]]>([
    ['viewer', []],
    ['deployer', ['Pause', 'Abort']],
    ['approver', ['Approve and promote', 'Pause', 'Abort']],
    ['admin', ['Approve and promote', 'Pause', 'Abort']],
  ])('is offered to a %s as far as the role goes', async (role, expected) => {
    const page = await v.seeAs(v.world, role, `/ui/rollouts/${v.story.waiting}`);
    await page.locator('table.verdicts').waitFor();
    expect(await buttons(page)).toEqual(expected);
  });

  it.each<[string, (s: Story) => string, string[]]>([
    ['a person has paused it', (s) => s.paused, ['Promote', 'Resume', 'Abort']],
    ['it is on its way', (s) => s.running, ['Promote', 'Pause', 'Abort']],
    ['it was rolled back', (s) => s.failed, ['Try again']],
  ])('is offered as far as the state goes: %s', async (_, id, expected) => {
    const page = await v.seeAs(v.world, 'admin', `/ui/rollouts/${id(v.story)}`);
    await page.locator('table.verdicts').waitFor();
    expect(await buttons(page)).toEqual(expected);
  });

  it('to promote carries the step that was seen, and is in the history under the name', async () => {
    const { world, id, path } = await atFirstStep(v);
    const page = await v.seeAs(world, 'approver', path);
    const sent = page.waitForRequest((request) => request.url().endsWith(`/rollouts/${id}/promote`));
    await button(page, 'Promote').click();
    await page.getByRole('dialog').getByText('to 25 % of the traffic now').waitFor();
    await page.getByRole('button', { name: 'Promote to 25 %' }).click();
    const request = await sent;
    expect(request.postDataJSON()).toEqual({ expectedStep: 0 });
    expect(await request.headerValue('x-sluice-csrf')).toBe('1');
    expect(await request.headerValue('authorization')).toBeNull();
    await page.locator('.by-person').getByText('token ana-approver promoted step 1 of 3').waitFor();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
  });

  it('to abort takes a reason along', async () => {
    const { world, id, path } = await atFirstStep(v);
    const page = await v.seeAs(world, 'deployer', path);
    await button(page, 'Abort').click();
    await page.getByLabel(/Why/).fill('wrong image');
    await page.getByRole('button', { name: 'Abort the rollout' }).click();
    await expect.poll(() => sentence(page).innerText()).toContain('Aborted by token ana-deployer at 5 %');
    await looks(world.fake, id, 2);
    await page.locator('.pill-aborted').waitFor();
    expect(await sentence(page).innerText()).toContain('wrong image');
  });

  it('about a rollout that has moved on does nothing, and says so', async () => {
    v.foresee(/412/);
    const { world, id, path } = await atFirstStep(v);
    const page = await v.seeAs(world, 'approver', path);
    await button(page, 'Promote').click();
    await page.getByRole('dialog').waitFor();
    await world.fake.command(id, { name: 'promote', full: false }, ana, {});
    await looks(world.fake, id, 3, healthy, 3);
    await page.locator('[aria-current=step]', { hasText: '25 %' }).waitFor();
    await page.getByRole('button', { name: 'Promote to 25 %' }).click();
    await page.getByRole('dialog').getByText('It has moved on').waitFor();
    await page.getByRole('dialog').getByText('It is now progressing at step 2 of 3').waitFor();
    const rollout = await world.fake.get(id);
    expect(rollout?.phase).toMatchObject({ name: 'progressing', step: 1, go: null });
    await page.getByRole('button', { name: 'Close' }).click();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
  });

  it('is not done by a page of another port, although the browser sends the cookie there', async () => {
    v.foresee(/./);
    const { world, id, path } = await atFirstStep(v);
    const other = createServer((_req, res) => res.setHeader('Content-Type', 'text/html').end('<p>hello</p>'));
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    try {
      const page = await v.seeAs(world, 'admin', path);
      await page.goto(`http://127.0.0.1:${(other.address() as AddressInfo).port}/`);
      const answer = page.waitForResponse((response) => response.url().endsWith('/abort'));
      await page.evaluate(
        `document.body.innerHTML = '<form method=post enctype=text/plain action="${world.url}/rollouts/${id}/abort"></form>'; document.forms[0].submit()`,
      );
      const response = await answer;
      expect((await response.request().allHeaders())['cookie']).toContain('sluice=');
      expect(response.status()).toBe(403);
      expect((await world.fake.get(id))?.phase.name).toBe('progressing');
    } finally {
      other.close();
    }
  });

  it('is not done by a script of the page that forgets the header', async () => {
    v.foresee(/403/);
    const { world, id, path } = await atFirstStep(v);
    const page = await v.seeAs(world, 'admin', path);
    const code = await page.evaluate(
      `fetch('/rollouts/${id}/abort', { method: 'POST' }).then((r) => r.json()).then((p) => p.code)`,
    );
    expect(code).toBe('cross_site');
  });
});

describe('the plan', () => {
  it('is checked with nothing written, drawn, and started once it is accepted', async () => {
    const world = await v.open();
    const page = await v.seeAs(world, 'deployer', '/ui/plan');
    expect(await page.getByRole('button', { name: 'Start the rollout' }).count()).toBe(0);
    await page.getByRole('button', { name: 'Check the plan' }).click();
    await page.getByText('Accepted: promoted after 12 m at the earliest').waitFor();
    expect(await page.locator('.findings li').count()).toBeGreaterThan(2);
    expect((await world.fake.list({}, 10, null)).items).toEqual([]);
    await page.getByRole('button', { name: 'Start the rollout' }).click();
    await page.getByRole('button', { name: 'Start', exact: true }).click();
    await page.getByRole('heading', { name: 'myapp' }).waitFor();
    expect((await world.fake.list({}, 10, null)).items).toHaveLength(1);
    await page.getByText('Not started: no traffic has moved yet.').waitFor();
  });

  it('shows gates, approvals and steps beside weights where they come', async () => {
    const page = await v.seeAs(v.world, 'deployer', '/ui/plan');
    const text = page.getByLabel('The plan, as YAML or JSON');
    const steps = `steps:
  - { mirror: { percent: 30% }, hold: 3m }
  - { weight: 25, hold: 5m, approval: { required: 2, approvers: [sre] } }
webhooks:
  - { name: change-window, url: https://gates.example.com/a, gate: beforeStart }
  - { name: load-test, url: https://gates.example.com/b, gate: beforePromotion }
analysis:`;
    await text.fill((await text.inputValue()).replace(/steps:.*analysis:/s, steps));
    await page.getByRole('button', { name: 'Check the plan' }).click();
    await page.getByText('Accepted: promoted after 8 m at the earliest').waitFor();
    const rows = page.getByRole('region', { name: 'Steps', exact: true }).locator('tbody tr');
    const words = (await rows.allInnerTexts()).map((row) => row.replaceAll(/\s+/g, ' '));
    expect(words).toEqual([
      '◆ asked before anything is written: change-window 1: mirror a copy of 30 % of the requests goes to the canary 0 s 3 m',
      '2: 25 % then approval by 2 people of sre 3 m 5 m',
      '◆ asked first: load-test promotion: 100 % 8 m –',
    ]);
    expect(await page.locator('.timeline .gate-mark').count()).toBe(2);
    expect(await violations(page)).toEqual([]);
  });

  it('has its faults shown with their lines', async () => {
    v.foresee(/422/);
    const page = await v.seeAs(v.world, 'deployer', '/ui/plan');
    const text = page.getByLabel('The plan, as YAML or JSON');
    await text.fill((await text.inputValue()).replace('hold: 2m', 'hold: 2'));
    await page.getByRole('button', { name: 'Check the plan' }).click();
    await page.locator('.faults').getByText('/steps/0/hold').waitFor();
    await page.getByRole('button', { name: 'line 10' }).click();
    const selected = await text.evaluate((el) => {
      const area = el as unknown as { value: string; selectionStart: number; selectionEnd: number };
      return area.value.slice(area.selectionStart, area.selectionEnd);
    });
    expect(selected).toBe('  - { weight: 5,  hold: 2 }');
    expect(await page.getByRole('button', { name: 'Start the rollout' }).count()).toBe(0);
  });

  it('must be checked again after every change before it can be started', async () => {
    const page = await v.seeAs(v.world, 'deployer', '/ui/plan');
    await page.getByRole('button', { name: 'Check the plan' }).click();
    await page.getByRole('button', { name: 'Start the rollout' }).waitFor();
    await page.getByLabel('The plan, as YAML or JSON').press('End');
    await page.keyboard.type(' ');
    await page.getByRole('button', { name: 'Start the rollout' }).waitFor({ state: 'detached' });
  });

  it('can be looked at by a viewer, not tried', async () => {
    const page = await v.seeAs(v.world, 'viewer', '/ui/plan');
    expect(await page.getByRole('button', { name: 'Check the plan' }).isDisabled()).toBe(true);
    await page.getByText('Your role, viewer, may look').waitFor();
  });

  it('is tried on the past', async () => {
    const world = await v.open();
    world.fake.surveyWith(aSurvey({ history: aPast({ pods: 4, hours: 1 }) }));
    const page = await v.seeAs(world, 'viewer', '/ui/plan');
    const text = page.getByLabel('The plan, as YAML or JSON');
    await text.fill((await text.inputValue()).replaceAll(/hold: \dm/g, 'hold: 1m'));
    await page.getByRole('button', { name: 'Try it on the past' }).click();
    await page.getByText(/healthy trials over 1 h of 4 pods/).waitFor();
    expect(await page.getByRole('region', { name: 'Regressions' }).locator('tbody tr').count()).toBeGreaterThan(2);
    expect(await violations(page)).toEqual([]);
  });

  it('that cannot be tried says why; a service that cannot try at all does not offer it', async () => {
    v.foresee(/4\d\d/);
    const page = await v.seeAs(await v.open(), 'viewer', '/ui/plan');
    await page.getByRole('button', { name: 'Try it on the past' }).click();
    await page.getByRole('alert').waitFor();
    await page.route('**/openapi.json', (route) => route.fulfill({ json: { paths: {} } }));
    await page.reload();
    await page.getByRole('button', { name: 'Check the plan' }).waitFor();
    expect(await page.getByRole('button', { name: 'Try it on the past' }).count()).toBe(0);
  });
});

describe('the history', () => {
  it('is searched by what stands in the address', async () => {
    const page = await v.seeAs(v.world, 'viewer', '/ui/history');
    await expect.poll(() => page.locator('.item').count()).toBe(7);
    await page.getByLabel('Service').fill('payments');
    await page.getByRole('button', { name: 'Search' }).click();
    await expect.poll(() => page.locator('.item-link').allInnerTexts()).toEqual(['payments']);
    expect(page.url()).toContain('/ui/history?service=payments');
    await page.goBack();
    await expect.poll(() => page.locator('.item').count()).toBe(7);
    await page.goto('/ui/history?status=aborted&since=2020-01-01');
    await expect.poll(() => page.locator('.item-link').allInnerTexts()).toEqual(['recommendations']);
    expect(await page.getByLabel('State').inputValue()).toBe('aborted');
    await page.goto('/ui/history?service=nobody');
    await page.getByText('No rollout is like this').waitFor();
  });

  it('goes back page by page', async () => {
    const world = await v.open();
    for (let i = 0; i < 30; i += 1) await started(world.fake, plan(`service-${i}`), ci);
    const page = await v.seeAs(world, 'viewer', '/ui/history');
    await expect.poll(() => page.locator('.item').count()).toBe(25);
    await page.getByRole('button', { name: 'Older ones' }).click();
    await expect.poll(() => page.locator('.item').count()).toBe(30);
    expect(await page.getByRole('button', { name: 'Older ones' }).count()).toBe(0);
  });
});
