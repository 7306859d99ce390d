/** `sluice retry`: of an ended rollout the answer is a new one. */
import type { Call } from '../command.ts';
import type { Ending } from '../exit-codes.ts';
import { reasonOf, steer } from '../steer.ts';

export async function run(call: Call): Promise<Ending> {
  await steer(call, { name: 'retry', guarded: false, body: reasonOf(call) });
  return 'done';
}
