/** `sluice promote`. */
import type { Call } from '../command.ts';
import type { Ending } from '../exit-codes.ts';
import { steer } from '../steer.ts';

export async function run(call: Call): Promise<Ending> {
  await steer(call, { name: 'promote', guarded: true, body: call.flag('full') ? { full: true } : {} });
  return 'done';
}
