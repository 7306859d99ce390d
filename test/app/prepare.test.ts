/** What stands beside the route never stands in the way of the traffic. */
import { expect, it } from 'vitest';
import type { PreparationGateway } from '../../src/app/ports.ts';
import type { PreparationLook } from '../../src/domain/observation.ts';
import type { Step } from '../../src/domain/plan.ts';
import { aPlan, ready } from '../support/builders.ts';
import { crashing, never, tickWorld } from './tick-world.ts';

const steps: readonly Step[] = [
  { weight: 0, hold: 0, approval: 'none', prepares: { kind: 'scale', to: { replicas: 3 }, onRollback: 'restore' } },
  { weight: 50, hold: 60_000, approval: 'none' },
];
const plan = aPlan({ steps, analysis: { ...aPlan().analysis, checks: [] } });
const found = (part: Partial<Extract<PreparationLook, { ok: true }>> = {}): PreparationLook => ({
  ok: true,
  kind: 'scale',
  leaving: null,
  step: 0,
  replicas: 3,
  way: 'scale-hpa',
  object: 'HorizontalPodAutoscaler production/myapp-v2',
  token: '1',
  before: 1,
  standing: true,
  ours: true,
  message: 'spec.minReplicas is 3',
  ...part,
});

const timesOutAtOnce = (_: number, what: () => void): (() => void) => {
  setImmediate(what);
  return () => undefined;
};

async function worldWith(part: Partial<PreparationGateway>) {
  const world = await tickWorld({ plan });
  const gateway: PreparationGateway = {
    look: async ({ leaving }) => found({ leaving, standing: leaving === null }),
    bring: async () => ({ kind: 'written' }),
    takeBack: async () => ({ kind: 'written' }),
    fence: async () => ({ kind: 'written' }),
    preview: async () => [],
    ...part,
  };
  Object.assign(world.ports, { preparations: gateway });
  return { world, gateway };
}

it('traffic goes back at once though the autoscaler never answers, and the end waits for it a bounded time', async () => {
  let hangs = false;
  let written = false;
  const { world } = await worldWith({
    look: async ({ leaving }) => {
      if (hangs) return { ok: false, kind: 'scale', leaving, gone: false, message: 'no answer within 5 s' };
      return written || leaving !== null ? found({ leaving }) : found({ standing: false });
    },
    bring: async () => {
      written = true;
      return { kind: 'written' };
    },
  });
  for (const at of [0, 250, 500, 750, 1_000, 1_250, 1_500]) await world.tickAt(at);
  expect(world.weight()).toBe(50);
  hangs = true;
  world.pods.canary = crashing('myapp-v2');
  await world.tickAt(10_000);
  expect(world.weight()).toBe(0);
  expect(world.rollout().phase.name).toBe('rolling_back');
  await world.tickAt(10_250);
  expect(world.rollout().phase.name).toBe('rolling_back');
  for (const at of [40_000, 70_000, 71_000]) await world.tickAt(at);
  expect(world.rollout().phase).toMatchObject({
    name: 'ended',
    outcome: {
      message: expect.stringMatching(/Left behind: HorizontalPodAutoscaler .* no answer within 5 s \(before: 1\)/),
    },
  });
  expect(world.facts()).toContain('preparation_left');
});

it('a look that hangs while the canary crashes delays nothing', async () => {
  const { world } = await worldWith({ look: never });
  Object.assign(world.ports, { after: timesOutAtOnce });
  await world.tickAt(0);
  await world.tickAt(250);
  world.pods.canary = crashing('myapp-v2');
  // The end waits for nothing either: nothing was written yet.
  await world.tickAt(1_000);
  await world.tickAt(1_250);
  expect(world.rollout().phase).toMatchObject({ name: 'ended', status: 'rolled_back' });
});

it('the wake comes before the write, and what refuses it is told to whoever waits', async () => {
  const wakesAtWrite: number[] = [];
  const { world } = await worldWith({
    look: async ({ leaving }) => found({ leaving, standing: false, ours: false }),
    bring: async () => {
      wakesAtWrite.push(world.wakes.length);
      return { kind: 'trouble', message: 'patch horizontalpodautoscalers: HTTP 403: no' };
    },
  });
  for (const at of [0, 250, 500]) await world.tickAt(at);
  world.wakes.length = 0;
  wakesAtWrite.length = 0;
  await world.tickAt(1_000);
  expect(wakesAtWrite).toEqual([1]);
  expect(world.rollout().prepared).toMatchObject([{ state: 'wanted', trouble: expect.stringContaining('HTTP 403') }]);
  await world.tickAt(plan.readyDeadline + 2_000);
  expect(world.rollout().phase).toMatchObject({ outcome: { message: expect.stringContaining('HTTP 403') } });
});

it('a bug in what carries it out keeps no rollout from going back', async () => {
  const { world } = await worldWith({
    look: async () => {
      throw new Error('a bug');
    },
  });
  for (const at of [0, 250, 500]) await world.tickAt(at);
  expect(world.rollout().phase).toMatchObject({ name: 'progressing', reachedAt: null });
  expect(world.errors).toContain('a preparation threw: this is a bug');
  world.pods.canary = crashing('myapp-v2');
  await world.tickAt(1_000);
  await world.tickAt(1_250);
  expect(world.rollout().phase).toMatchObject({ status: 'rolled_back' });
});

it('without anybody to carry it out, the rollout waits and says so', async () => {
  const world = await tickWorld({ plan });
  for (const at of [0, 250, 500]) await world.tickAt(at);
  expect(world.rollout().phase).toMatchObject({ step: 0, reachedAt: null });
  world.pods.canary = ready('myapp-v2', 2);
  await world.tickAt(plan.readyDeadline + 500);
  expect(world.rollout().phase).toMatchObject({
    outcome: { message: expect.stringContaining('this process carries out no scale steps') },
  });
});
