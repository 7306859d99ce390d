/** Fleet rollouts and migrations in the browser: what is shown, who may decide what, and what goes along. */
import { describe, expect, it } from 'vitest';
import type { PrincipalRole } from '../../src/app/ports.ts';
import { aFleet, askingFleet, blocked, watched } from './fleet-story.ts';
import { ana } from './story.ts';
import { button, buttons, sentence, visits } from './visits.ts';

const v = visits();

describe('the fleets', () => {
  it('are led to from the frame, what asks for somebody first', async () => {
    const page = await v.seeAs(v.world, 'viewer');
    await page.getByRole('navigation').getByRole('link', { name: 'Fleets' }).click();
    const first = page.locator('.group-attention .item');
    await first.getByRole('link', { name: 'myapp' }).waitFor();
    expect(await first.locator('.item-words').innerText()).toContain('Waiting for approval: wave 1 of 2 (first)');
    await first.getByRole('link', { name: 'myapp' }).click();
    await page.getByRole('heading', { name: 'Waves' }).waitFor();
    expect(new URL(page.url()).pathname).toBe('/ui/fleets/fr_1');
  });

  it('are explained where there are none', async () => {
    const page = await v.seeAs(await v.open(), 'viewer', '/ui/fleets');
    await page.getByRole('heading', { name: 'No fleet rollout yet' }).waitFor();
  });
});

describe('a fleet rollout', () => {
  it('shows each wave with its clusters, and leads to the rollout of each', async () => {
    const page = await v.seeAs(v.world, 'viewer', '/ui/fleets/fr_1');
    await page.getByRole('heading', { name: 'Wave 2: rest' }).waitFor();
    const east = page.locator('.cluster', { hasText: 'east' });
    expect(await east.locator('.pill').innerText()).toContain('Succeeded');
    expect(await east.getByRole('link', { name: 'Rollout in east' }).getAttribute('href')).toBe('/ui/rollouts/ro_east');
    expect(await page.locator('.cluster', { hasText: 'west' }).innerText()).toContain('not started');
    expect(await page.locator('[aria-current=step]').innerText()).toContain('Wave 1: first');
  });

  it('moves on before your eyes', async () => {
    const world = await v.open();
    const id = await aFleet(world);
    const page = await v.seeAs(world, 'viewer', `/ui/fleets/${id}`);
    await page.locator('.pill-running').first().waitFor();
    await world.fleets.look(id, { east: { status: 'rolled_back', message: 'canary errors 5 %, limit 1 %' } });
    await world.fleets.look(id);
    await page.locator('.head .pill-rolled_back').waitFor();
    expect(await sentence(page).innerText()).toContain('canary errors 5 %, limit 1 %');
  });

  it.each<[PrincipalRole, string[]]>([
    ['viewer', []],
    ['deployer', ['Abort']],
    ['approver', ['Approve', 'Abort']],
  ])('is decided by a %s as far as the role goes', async (role, expected) => {
    const page = await v.seeAs(v.world, role, '/ui/fleets/fr_1');
    await page.getByRole('heading', { name: 'Waves' }).waitFor();
    expect(await buttons(page)).toEqual(expected);
  });

  it('is approved for the wave and the question that were seen', async () => {
    const world = await v.open();
    const id = await askingFleet(world);
    const page = await v.seeAs(world, 'approver', `/ui/fleets/${id}`);
    const sent = page.waitForRequest((request) => request.url().endsWith(`/fleet-rollouts/${id}/promote`));
    await button(page, 'Approve').click();
    await page.getByRole('dialog').getByText('wave 2 of 2 (rest) begins now').waitFor();
    await page.getByRole('dialog').getByRole('button', { name: 'Approve' }).click();
    expect((await sent).postDataJSON()).toEqual({ expectedWave: 0, expectedAwaiting: 'approval' });
    await page.locator('.by-person').getByText('token ana-approver let wave 1 of 2').waitFor();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
  });

  it('that has moved on meanwhile is left alone, and says so', async () => {
    v.foresee(/412/);
    const world = await v.open();
    const id = await askingFleet(world);
    const page = await v.seeAs(world, 'approver', `/ui/fleets/${id}`);
    await button(page, 'Approve').click();
    await page.getByRole('dialog').waitFor();
    await world.fleets.command(id, { name: 'promote' }, ana, {});
    await page.getByRole('dialog').getByRole('button', { name: 'Approve' }).click();
    await page.getByRole('dialog').getByText('It has moved on', { exact: true }).waitFor();
    await page.getByRole('dialog').getByText('is running at wave 2 of 2 (rest) by now').waitFor();
  });

  it('that is not there is told', async () => {
    v.foresee(/404/);
    const page = await v.see(v.world);
    await page.close();
    const other = await v.seeAs(v.world, 'viewer', '/ui/fleets');
    await other.goto('/ui/fleets/fr_404');
    await other.getByRole('alert').getByText('no fleet rollout has the id').waitFor();
  });
});

describe('a migration', () => {
  it('names who calls in plaintext, first in the list and with figures on its own page', async () => {
    const page = await v.seeAs(v.world, 'viewer', '/ui/migrations');
    const first = page.locator('.group-attention .item');
    await first.getByRole('link', { name: 'namespace staging' }).click();
    await page.getByRole('heading', { name: /Callers in plaintext/ }).waitFor();
    expect(await sentence(page).innerText()).toContain('STRICT would refuse production/legacy, unknown');
    const rows = await page.getByRole('row').allInnerTexts();
    expect(rows.some((row) => row.startsWith('production/legacy'))).toBe(true);
    await page.getByText('An unknown caller has no proxy').waitFor();
  });

  it('shows under watch what STRICT is judged against, and how it came there', async () => {
    const page = await v.seeAs(v.world, 'viewer', '/ui/migrations/mm_1');
    await page.getByRole('heading', { name: 'Before STRICT' }).waitFor();
    await page.getByText(/^0 of 600 calls in 1 m did not connect/).waitFor();
    expect(await page.getByRole('row').last().innerText()).toMatch(/production\/frontend\s+10/);
    expect(await page.locator('[aria-current=step]').innerText()).toContain('STRICT');
    await page.locator('.fact', { hasText: 'was read back with mode STRICT' }).waitFor();
  });

  it('is aborted for the state that was seen, by those who may', async () => {
    const world = await v.open();
    const id = await watched(world, 'production');
    const page = await v.seeAs(world, 'deployer', `/ui/migrations/${id}`);
    await page.getByRole('heading', { name: 'Before STRICT' }).waitFor();
    expect(await buttons(page)).toEqual(['Abort']);
    const sent = page.waitForRequest((request) => request.url().endsWith(`/mesh-migrations/${id}/abort`));
    await button(page, 'Abort').click();
    await page.getByRole('dialog').getByText('Put the mode back to').waitFor();
    await page.getByLabel(/Why/).fill('not today');
    await page.getByRole('dialog').getByRole('button', { name: 'Abort' }).click();
    expect((await sent).postDataJSON()).toEqual({ expectedStatus: 'strict', reason: 'not today' });
    await page.locator('.head .pill-rolling_back').waitFor();
  });

  it('looks lost where the server is, and is found again', async () => {
    v.foresee(/ERR_|Failed to load/);
    const world = await v.open();
    const id = await blocked(world, 'staging');
    const page = await v.seeAs(world, 'viewer', `/ui/migrations/${id}`);
    await page.getByRole('heading', { name: /Callers in plaintext/ }).waitFor();
    await world.stop();
    await page.locator('.banner').getByText('Not live.').waitFor();
    await world.start();
    await world.migrations.abort(id, ana, { reason: 'meanwhile', giveUp: false });
    await page.getByRole('button', { name: 'Reconnect now' }).click();
    await page.getByText('meanwhile').first().waitFor();
    await page.locator('.banner').waitFor({ state: 'detached' });
  });
});
