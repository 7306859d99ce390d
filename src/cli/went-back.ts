/** Waiting for what was asked to go back: that it went back is what was wanted, so it ends with 0. */
import type { Call } from './command.ts';
import type { Ending } from './exit-codes.ts';
import { untilOf, waitFor } from './waiting.ts';
import type { Api } from './wire/api.ts';

export async function wentBack(call: Call, api: Api, id: string): Promise<Ending> {
  const until = untilOf(call);
  // What happened before the command is not of interest now.
  const after = (await api.facts(id, 0, { until }))?.at(-1)?.seq ?? 0;
  const { ending } = await waitFor(call, api, { id, until, watch: false, after });
  return ending === 'aborted' || ending === 'rolled_back' ? 'done' : ending;
}
