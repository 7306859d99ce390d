/** Everything that happened to a fleet rollout or a migration, as a table. */
import { PATIENCE } from '../call.ts';
import type { Call } from '../command.ts';
import type { Ending } from '../exit-codes.ts';
import { Failure } from '../failure.ts';
import { idOf } from '../ids.ts';
import type { Body, Kind } from '../kind.ts';
import { printDocument } from '../show/data.ts';
import { table, toned } from '../show/line.ts';
import { timeOf } from '../times.ts';

export async function history<B extends Body>(call: Call, kind: Kind<B>): Promise<Ending> {
  const id = idOf(call, kind);
  const since = call.text('since');
  const from = since === undefined ? '' : timeOf('since', since, Date.now());
  const api = await call.api(PATIENCE.look);
  const body = await kind.read(api, id);
  if (body === null) throw new Failure('unreachable', `${kind.noun} ${id}: no answer`);
  const items = ((await kind.facts(api, body, 0)) ?? []).filter(({ at }) => at >= from);
  const { output, terminal } = call;
  if (output !== null) await printDocument(terminal, output, { items }, []);
  else if (items.length === 0) terminal.note('nothing happened in that time', 'quiet');
  else
    for (const line of table([
      ['TIME (UTC)', 'WHO', 'WHAT', ''],
      ...items.map(({ at, actor, type, message }) => [
        `${at.slice(0, 10)} ${at.slice(11, 19)}`,
        actor,
        [toned('accent', type)],
        message,
      ]),
    ]))
      terminal.line(line);
  return 'done';
}
