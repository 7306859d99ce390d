/** Waiting for what was asked to go back: that it went back is what was wanted, so it ends with 0. */
import type { Call } from './command.ts';
import type { Ending } from './exit-codes.ts';
import type { Body, Kind } from './kind.ts';
import { untilOf, waitFor } from './waiting.ts';
import type { Api } from './wire/api.ts';

export async function wentBack<B extends Body>(call: Call, kind: Kind<B>, api: Api, id: string): Promise<Ending> {
  const until = untilOf(call);
  // What happened before the command is not of interest now.
  const seen = await kind.read(api, id, { until });
  const after = seen === null ? 0 : ((await kind.facts(api, seen, 0, { until }))?.at(-1)?.seq ?? 0);
  const { ending } = await waitFor(call, kind, api, { id, until, watch: false, after });
  return ending === 'aborted' || ending === 'rolled_back' ? 'done' : ending;
}
