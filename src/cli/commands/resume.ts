/** `sluice resume`. */
import type { Call } from '../command.ts';
import type { Ending } from '../exit-codes.ts';
import { reasonOf, steer } from '../steer.ts';

export async function run(call: Call): Promise<Ending> {
  await steer(call, { name: 'resume', guarded: true, body: reasonOf(call) });
  return 'done';
}
