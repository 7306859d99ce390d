/** `sluice promote`. */
import type { Call } from '../command.ts';
import type { Ending } from '../exit-codes.ts';
import { reasonOf, steer } from '../steer.ts';

export async function run(call: Call): Promise<Ending> {
  const body = { ...(call.flag('full') ? { full: true } : {}), ...reasonOf(call) };
  await steer(call, { name: 'promote', guarded: true, body });
  return 'done';
}
