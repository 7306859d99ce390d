/** Buttons only for those who may: by role, and only where their scope reaches. */
import { describe, expect, it } from 'vitest';
import { loadMeshes } from '../../src/adapters/registry.ts';
import { meshObjectOf } from '../../src/domain/plan.ts';
import type { Rollout } from '../../src/domain/rollout.ts';
import { present } from '../../src/http/resource.ts';
import { aRollout, atStep } from '../support/builders.ts';
import { memoryKube } from '../support/memory-kube.ts';
import { looks, plan, started } from './story.ts';
import { button, sentence, visits } from './visits.ts';

const v = visits();

/** The page's modules have types of their own program. */
const { actionsFor } = (await import(String(new URL('../../src/page/actions.js', import.meta.url)))) as {
  actionsFor(rollout: object, session: object, plan?: object): string[];
};
const { mayAt } = (await import(String(new URL('../../src/page/may.js', import.meta.url)))) as {
  mayAt(session: object, place: object | null): Record<string, boolean>;
};

const ALL = { start: true, pause: true, promote: true, abort: true, giveUp: true, audit: true };
const whose = (scope: object | null) => ({
  principal: { name: 'ana', persons: [], groups: [], scope },
  may: ALL,
});

describe('a scope', () => {
  const SHOP = { namespaces: ['production'], services: ['myapp', 'checkout'] };
  it.each([
    ['none', null, { namespace: 'staging', service: 'mail', object: 'mail' }, true],
    ['one that fits', SHOP, { namespace: 'production', service: 'myapp', object: 'checkout' }, true],
    ['another namespace', SHOP, { namespace: 'staging', service: 'myapp', object: 'myapp' }, false],
    ['another service', SHOP, { namespace: 'production', service: 'mail', object: 'myapp' }, false],
    ['a mesh object of another', SHOP, { namespace: 'production', service: 'myapp', object: 'mail' }, false],
    ['a mesh object that cannot be told', SHOP, { namespace: 'production', service: 'myapp', object: null }, false],
    [
      'services of any namespace',
      { namespaces: null, services: ['myapp'] },
      { namespace: 'x', service: 'myapp', object: 'myapp' },
      true,
    ],
    ['nothing of one service', SHOP, null, false],
    ['nothing of one service, for whom no scope holds', null, null, true],
  ])('%s', (_, scope, place, allowed) => {
    const may = mayAt(whose(scope), place);
    expect(may).toEqual(
      allowed ? ALL : { ...Object.fromEntries(Object.keys(ALL).map((act) => [act, false])), audit: true },
    );
  });

  it('takes every button away elsewhere', () => {
    const rollout = present(atStep(0, 0));
    expect(actionsFor(rollout, whose(null))).toEqual(['promote', 'pause', 'abort']);
    expect(actionsFor(rollout, whose({ namespaces: ['staging'], services: null }))).toEqual([]);
  });
});

describe('a promotion', () => {
  const HOUR = 3_600_000;
  const promoted = (ago: number): Rollout =>
    aRollout({
      phase: {
        name: 'ended',
        status: 'succeeded',
        at: Date.now() - ago,
        step: 3,
        outcome: {
          code: 'promoted',
          message: 'Promoted',
          check: null,
          observed: null,
          threshold: null,
          step: 3,
          weight: 100,
        },
      } as unknown as Rollout['phase'],
    });
  it.each([
    ['an hour ago, by a plan that does not say', HOUR, {}, ['rollback']],
    ['two days ago, by a plan that does not say', 48 * HOUR, {}, []],
    ['two days ago, by a plan that allows three', 48 * HOUR, { rollbackWindow: '3d' }, ['rollback']],
    ['an hour ago, by a plan that allows none', HOUR, { rollbackWindow: '0s' }, []],
  ])('is taken back: %s', (_, ago, source, actions) => {
    expect(actionsFor(present(promoted(ago)), whose(null), source)).toEqual(actions);
  });

  it('is taken back as a rollout of its own, to which the page goes', async () => {
    const world = await v.open();
    const id = await started(world.fake, plan('checkout', { steps: [{ weight: 50, hold: '10s' }] }));
    await looks(world.fake, id, 12);
    world.fake.cluster(100);
    const page = await v.seeAs(world, 'approver', `/ui/rollouts/${id}`);
    await sentence(page).getByText('Promoted to 100 %').waitFor();
    await button(page, 'Take back').click();
    await page.getByLabel('Why (for the history; may be left out)').fill('users complain');
    await page.getByRole('dialog').getByRole('button', { name: 'Take it back' }).click();
    await page.getByText('users complain').first().waitFor();
    expect(new URL(page.url()).pathname).not.toBe(`/ui/rollouts/${id}`);
  });
});

/** The server asks the router for the object's name, the page reads it in the resource. */
it('is asked for by the name that the router has, on every mesh', async () => {
  for (const mesh of (await loadMeshes()).values()) {
    const target = mesh.target.parse(mesh.example);
    const object = mesh.open(target, memoryKube()).object.split('/').at(-1);
    expect([mesh.kind, meshObjectOf(target)]).toEqual([mesh.kind, object]);
  }
});
