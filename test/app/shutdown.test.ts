import { expect, it } from 'vitest';
import type { Logger } from '../../src/app/ports.ts';
import { shutDown } from '../../src/shutdown.ts';
import { quietLog } from '../support/quiet.ts';

const never = (): Promise<never> => new Promise(() => {});

it('stages follow one another, and parts of one stage are stopped together', async () => {
  const order: string[] = [];
  const part = (name: string, time: number) => ({
    name,
    async stop() {
      order.push(`${name} begins`);
      await new Promise((resolve) => setTimeout(resolve, time));
      order.push(`${name} ends`);
    },
  });
  const stages = [
    { within: 5_000, parts: [part('server', 20), part('worker', 40)] },
    { within: 5_000, parts: [part('connections', 0)] },
  ];
  expect(await shutDown(stages, quietLog)).toEqual([]);
  expect(order).toEqual([
    'server begins',
    'worker begins',
    'server ends',
    'worker ends',
    'connections begins',
    'connections ends',
  ]);
});

it('what hangs is left behind by name, and what comes after it is stopped all the same', async () => {
  let closed = false;
  const stages = [
    { within: 30, parts: [{ name: 'the worker', stop: never }] },
    {
      within: 30,
      parts: [
        { name: 'the connections', stop: never },
        {
          name: 'the pool',
          stop: async () => {
            closed = true;
          },
        },
      ],
    },
  ];
  expect(await shutDown(stages, quietLog)).toEqual(['the worker', 'the connections']);
  expect(closed).toBe(true);
});

it('a part that throws is said, and stops nothing else', async () => {
  const said: string[] = [];
  const log: Logger = { ...quietLog, warn: (_, message) => void said.push(message) };
  const stages = [{ within: 1_000, parts: [{ name: 'the server', stop: () => Promise.reject(new Error('gone')) }] }];
  expect(await shutDown(stages, log)).toEqual([]);
  expect(said).toEqual(['the server did not stop cleanly']);
});
