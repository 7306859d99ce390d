/** What the closed loops of steps beside weights have in common: who is served by which version, and how far a rollout is. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { RolloutView, Service } from '../../src/sandbox/demo/service.ts';
import { TERMINAL } from '../../src/sandbox/demo/service.ts';
import { SERVED_BY } from '../../src/sandbox/traffic.ts';
import type { Loop } from './closed-loop.ts';
import { plan } from './closed-loop.ts';

/** The proxies learn of a write a moment after it. */
export const learnt = (): Promise<void> => sleep(400);

export interface Steps {
  entry(path?: string): string;
  /** The version that answered each of so many requests. */
  asked(headers: Record<string, string>, times: number): Promise<readonly (string | null)[]>;
  started(steps: readonly object[], more?: object): Promise<RolloutView>;
  until(id: string, wanted: (rollout: RolloutView) => boolean): Promise<RolloutView>;
  ended(id: string): Promise<RolloutView>;
  /** The step's own rules were read back. */
  reached(id: string, step: number): Promise<void>;
}

export function stepsOf({ sandbox }: Loop, service: Service): Steps {
  const entry = (path = '/api/items'): string => `${sandbox.entryUrl}${path}`;
  const until: Steps['until'] = async (id, wanted) => {
    let rollout = await service.get(id);
    while (!wanted(rollout)) {
      if (TERMINAL.has(rollout.status)) throw new Error(`${rollout.status}: ${rollout.outcome?.message}`);
      rollout = await service.next(id, rollout.version, 20);
    }
    return rollout;
  };
  return {
    entry,
    asked: (headers, times) =>
      Promise.all(
        Array.from({ length: times }, async () => (await fetch(entry(), { headers })).headers.get(SERVED_BY)),
      ),
    started: (steps, more = {}) => service.start({ ...plan(sandbox), steps, ...more }),
    until,
    ended: (id) => until(id, ({ status }) => TERMINAL.has(status)),
    async reached(id, step) {
      while (!(await service.events(id)).some((fact) => fact.type === 'weight_reached' && fact.step === step))
        await sleep(50);
      await learnt();
    },
  };
}
