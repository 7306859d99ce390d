/** `sluice pause`. */
import type { Call } from '../command.ts';
import type { Ending } from '../exit-codes.ts';
import { steer } from '../steer.ts';

export async function run(call: Call): Promise<Ending> {
  const reason = call.text('reason');
  await steer(call, { name: 'pause', guarded: false, body: reason === undefined ? {} : { reason } });
  return 'done';
}
