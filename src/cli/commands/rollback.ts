/** `sluice rollback`: takes back a rollout that has succeeded. The server answers with the rollout that does it. */
import { PATIENCE } from '../call.ts';
import type { Call } from '../command.ts';
import type { Ending } from '../exit-codes.ts';
import { Failure } from '../failure.ts';
import { ROLLOUTS } from '../kinds/rollouts.ts';
import { reasonOf, steer } from '../steer.ts';
import { wentBack } from '../went-back.ts';

export async function run(call: Call): Promise<Ending> {
  const wait = call.flag('wait');
  try {
    const { api, rollout } = await steer(call, {
      name: 'rollback',
      guarded: false,
      body: { ...reasonOf(call), ...(call.flag('force') ? { force: true } : {}) },
      patience: wait ? { ...PATIENCE.wait, first: PATIENCE.command.first } : PATIENCE.command,
      goesOn: wait,
    });
    return wait ? await wentBack(call, ROLLOUTS, api, rollout.id) : 'done';
  } catch (error) {
    if (error instanceof Failure && error.ending === 'not_offered')
      throw new Failure(
        'not_offered',
        'this server has no call for taking back a rollout that has ended; nothing was done',
        [
          'A rollout under way: sluice abort ID. An ended one: give the versions the other way round in a new plan, and sluice run',
        ],
      );
    throw error;
  }
}
