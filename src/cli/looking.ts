/** `get` and `wait`: one of a kind, once or until its end. */
import { PATIENCE, patienceOf } from './call.ts';
import type { Call } from './command.ts';
import type { Ending } from './exit-codes.ts';
import { Failure, usage } from './failure.ts';
import { idOf } from './ids.ts';
import type { Body, Kind } from './kind.ts';
import { printDocument } from './show/data.ts';
import { FACTS_SHOWN } from './show/display.ts';
import { newsFilter } from './show/news.ts';
import { untilOf, waitFor } from './waiting.ts';

export async function get<B extends Body>(call: Call, kind: Kind<B>): Promise<Ending> {
  if (call.flag('watch')) return follow(call, kind, true);
  const id = idOf(call, kind);
  const waiting = ['timeout', 'exit-when-paused', 'on-interrupt'].find((name) => call.values[name] !== undefined);
  if (waiting !== undefined) throw usage(`${kind.prefix}get: --${waiting} has a meaning only with --watch`);
  const api = await call.api(PATIENCE.look);
  const body = await kind.read(api, id);
  if (body === null) throw new Failure('unreachable', `${kind.noun} ${id}: no answer`);
  const { terminal, output } = call;
  if (output !== null) {
    await printDocument(terminal, output, body, [body.id]);
    return 'done';
  }
  const [linesOf, facts] = await Promise.all([kind.picture(api, id), kind.facts(api, body, 0)]);
  const view = {
    body,
    facts: newsFilter()(facts ?? []).slice(-FACTS_SHOWN),
    now: Date.now() + (api.wire.clockAhead ?? 0),
    unicode: terminal.unicode,
    columns: terminal.stdout.columns ?? 80,
  };
  for (const line of linesOf(view)) terminal.line(line);
  return 'done';
}

/** Plain lines until the end, and its exit code. */
export const wait = <B extends Body>(call: Call, kind: Kind<B>): Promise<Ending> => follow(call, kind, false);

async function follow<B extends Body>(call: Call, kind: Kind<B>, watch: boolean): Promise<Ending> {
  const id = idOf(call, kind);
  const api = await call.api(patienceOf(call));
  const abortOnInterrupt = call.text('on-interrupt') === 'abort';
  return (await waitFor(call, kind, api, { id, until: untilOf(call), watch, abortOnInterrupt })).ending;
}
