/** `sluice abort`, and with --wait until the stable version has all traffic. */
import { PATIENCE } from '../call.ts';
import type { Call } from '../command.ts';
import type { Ending } from '../exit-codes.ts';
import { ROLLOUTS } from '../kinds/rollouts.ts';
import { reasonOf, steer } from '../steer.ts';
import { wentBack } from '../went-back.ts';

export async function run(call: Call): Promise<Ending> {
  const wait = call.flag('wait');
  const { api, rollout } = await steer(call, {
    name: 'abort',
    guarded: false,
    body: { ...reasonOf(call), ...(call.flag('give-up') ? { giveUp: true } : {}) },
    patience: wait ? { ...PATIENCE.wait, first: PATIENCE.command.first } : PATIENCE.command,
    goesOn: wait,
  });
  return wait ? wentBack(call, ROLLOUTS, api, rollout.id) : 'done';
}
