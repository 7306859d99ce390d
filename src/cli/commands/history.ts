/** `sluice history`: the facts, with who and what. */
import { PATIENCE } from '../call.ts';
import type { Call } from '../command.ts';
import type { Ending } from '../exit-codes.ts';
import { idOf } from '../ids.ts';
import { ROLLOUTS } from '../kinds/rollouts.ts';
import { printDocument } from '../show/data.ts';
import { table, toned } from '../show/line.ts';
import { timeOf } from '../times.ts';

export async function run(call: Call): Promise<Ending> {
  const id = idOf(call, ROLLOUTS);
  const since = call.text('since');
  const from = since === undefined ? null : timeOf('since', since, Date.now());
  const api = await call.api(PATIENCE.look);
  const [{ steps }, told] = await Promise.all([api.rolloutNow(id), api.facts(id, 0)]);
  const facts = told ?? [];
  const items = from === null ? facts : facts.filter(({ at }) => at >= from);
  const { output, terminal } = call;
  if (output !== null) {
    await printDocument(terminal, output, { items }, []);
    return 'done';
  }
  if (items.length === 0) terminal.note('nothing happened in that time', 'quiet');
  else
    for (const line of table([
      ['TIME (UTC)', 'WHO', 'STEP', 'WHAT', ''],
      ...items.map(({ at, actor, step, type, message }) => [
        `${at.slice(0, 10)} ${at.slice(11, 19)}`,
        actor,
        step === null ? '-' : step >= steps ? 'promotion' : String(step + 1),
        [toned('accent', type)],
        message,
      ]),
    ]))
      terminal.line(line);
  return 'done';
}
