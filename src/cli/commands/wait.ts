/** `sluice wait`: plain lines until the end, and its exit code. */
import { patienceOf } from '../call.ts';
import type { Call } from '../command.ts';
import type { Ending } from '../exit-codes.ts';
import { rolloutId } from '../ids.ts';
import { untilOf, waitFor } from '../waiting.ts';

export async function run(call: Call): Promise<Ending> {
  const id = rolloutId(call);
  const api = await call.api(patienceOf(call));
  const abortOnInterrupt = call.text('on-interrupt') === 'abort';
  return (await waitFor(call, api, { id, until: untilOf(call), watch: false, abortOnInterrupt })).ending;
}
