/** What stands around a rollout: who asked for what, who was told, and the tools that show it. */
import { describe, expect, it } from 'vitest';
import { done } from '../../src/app/audit/act.ts';
import { told } from './around-story.ts';
import { ana, ci } from './story.ts';
import { atFirstStep, button, violations, visits } from './visits.ts';
import type { World } from './world.ts';

const v = visits();

describe('the audit', () => {
  it('says who did what over the whole installation, and is searched by what stands in the address', async () => {
    const page = await v.seeAs(v.world, 'admin', '/ui/');
    await page.getByRole('link', { name: 'Audit' }).click();
    await page.getByRole('heading', { name: 'Acts, newest first' }).waitFor();
    const pause = page.locator('.act', { hasText: 'Rollout: pause' });
    expect((await pause.innerText()).replaceAll(/\s+/g, ' ')).toMatch(
      /Rollout: pause done token ana by Slack rollout ro_\d+ looking at the queue length first/,
    );
    await page.getByLabel('Who (name or id)').fill('token ana');
    await page.getByLabel('What').selectOption('Rollout: abort');
    await page.getByRole('button', { name: 'Search' }).click();
    await expect.poll(() => page.locator('.act strong').allInnerTexts()).toEqual(['Rollout: abort']);
    expect(new URL(page.url()).search).toBe('?actor=token+ana&action=rollout.abort');
    await page.getByText('From where').click();
    await page.getByText('Hash', { exact: true }).waitFor();
    expect(await violations(page)).toEqual([]);
    await page.locator('.act a').click();
    await page.getByRole('heading', { name: 'recommendations' }).waitFor();
  });

  it('goes back page by page', async () => {
    const world = await v.open();
    for (let n = 0; n < 70; n += 1)
      await world.fake.audit.note(done(ci, { action: 'rollout.start', id: `ro_${n}`, reason: `act ${n}` }));
    const page = await v.seeAs(world, 'admin', '/ui/audit?action=rollout.start');
    await expect.poll(() => page.locator('.act').count()).toBe(50);
    await page.getByRole('button', { name: 'Older ones' }).click();
    await page.getByText('act 0', { exact: true }).waitFor();
    expect(await page.locator('.act').count()).toBe(70);
  });

  it('is not shown to those who may not read it', async () => {
    v.foresee(/403/);
    const page = await v.seeAs(v.world, 'approver', `/ui/rollouts/${v.story.failed}`);
    await page.getByRole('heading', { name: 'Who was told' }).waitFor();
    expect(await page.getByRole('heading', { name: 'Who asked for what' }).count()).toBe(0);
    expect(await page.getByRole('link', { name: 'Audit' }).count()).toBe(0);
    await page.goto('/ui/audit');
    await page.getByRole('alert').waitFor();
  });

  it('stands beside the rollout that it is about, and grows with it', async () => {
    const { world, id, path } = await atFirstStep(v);
    const page = await v.seeAs(world, 'admin', path);
    const acts = page.getByRole('region', { name: 'Who asked for what' }).locator('.act');
    await expect.poll(() => acts.count()).toBe(1);
    expect(await acts.innerText()).toContain('by a pipeline');
    await world.fake.command(id, { name: 'pause', reason: 'lunch' }, ana, {});
    await acts.filter({ hasText: 'Rollout: pause' }).filter({ hasText: 'lunch' }).getByText('by Slack').waitFor();
    await button(page, 'Resume').click();
    await page.getByRole('button', { name: 'Resume', exact: true }).click();
    await acts
      .filter({ hasText: 'Rollout: resume' })
      .filter({ hasText: 'token ana-admin' })
      .getByText('by the page')
      .waitFor();
  });
});

describe('messages to channels', () => {
  const messages = (page: Awaited<ReturnType<typeof v.see>>) => page.getByRole('region', { name: 'Who was told' });
  const states = (world: World) => world.deliveries.items.map(({ channel, state }) => [channel, state]);

  it('say what became of each attempt, and are sent again by those who may', async () => {
    const { world, id, path } = await atFirstStep(v);
    told(world, { ...v.story, failed: id });
    const page = await v.seeAs(world, 'deployer', path);
    const tickets = messages(page).locator('.act', { hasText: 'tickets' });
    await tickets.getByText('given up').waitFor();
    await tickets.getByText('Attempts', { exact: true }).click();
    expect((await tickets.locator('.attempts li').allInnerTexts()).map((text) => text.replace(/^\S+ /, ''))).toEqual([
      'HTTP 404 after 12 ms: it answers with 404\nno such hook',
      'no answer after 18 ms: connection refused',
    ]);
    expect(await violations(page)).toEqual([]);
    await page.getByRole('button', { name: 'Send again to tickets: Rollback' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Send again' }).click();
    await tickets.getByText('on its way').waitFor();
    expect(states(world)).toEqual([
      ['ops', 'delivered'],
      ['tickets', 'pending'],
    ]);
  });

  it('are followed while one is on its way', async () => {
    const { world, id, path } = await atFirstStep(v);
    told(world, { ...v.story, failed: id });
    const ops = world.deliveries.items[0];
    if (ops === undefined) throw new Error('the story has no message');
    world.deliveries.items.splice(0, 2, { ...ops, state: 'pending' });
    const page = await v.seeAs(world, 'viewer', path);
    await messages(page).getByText('on its way').waitFor();
    world.deliveries.items[0] = ops;
    await messages(page).getByText('delivered').waitFor();
  });

  it('are only looked at by a viewer', async () => {
    const page = await v.seeAs(v.world, 'viewer', `/ui/rollouts/${v.story.failed}`);
    await messages(page).getByText('given up').waitFor();
    expect(await page.getByRole('button', { name: /Send again/ }).count()).toBe(0);
  });

  it('that are none are said to be none', async () => {
    const { world, path } = await atFirstStep(v);
    const page = await v.seeAs(world, 'viewer', path);
    await messages(page).getByText('No channel was told anything.').waitFor();
  });
});

it('a rollout leads to Kiali, Jaeger and Grafana, each for its own time', async () => {
  const page = await v.seeAs(v.world, 'viewer', `/ui/rollouts/${v.story.failed}`);
  const hrefOf = async (name: string) => new URL((await page.getByRole('link', { name }).getAttribute('href')) ?? '');
  expect((await hrefOf('Kiali: traffic')).host).toBe('kiali.example.com');
  expect((await hrefOf('Jaeger: errors')).searchParams.get('service')).toBe('payments.production');
  const { searchParams } = await hrefOf('Grafana: dashboard');
  const { createdAt, phase } = (await v.world.fake.get(v.story.failed)) ?? {};
  expect(Object.fromEntries(searchParams)).toEqual({
    orgId: '1',
    'var-namespace': 'production',
    'var-workload': 'myapp-v2',
    from: String(createdAt),
    to: String(phase?.name === 'ended' ? phase.at : 0),
  });
});
