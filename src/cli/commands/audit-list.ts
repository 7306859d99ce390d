/** `sluice audit list`: who did what, how, from where and why. */
import { PATIENCE } from '../call.ts';
import type { Call } from '../command.ts';
import type { Ending } from '../exit-codes.ts';
import { printDocument } from '../show/data.ts';
import type { Line } from '../show/line.ts';
import { table, toned } from '../show/line.ts';
import { limitOf, timeOf } from '../times.ts';
import type { AuditRowBody } from '../wire/audit.ts';
import { newest } from '../wire/audit.ts';

export async function run(call: Call): Promise<Ending> {
  const { output, terminal } = call;
  const limit = limitOf(call.text('limit'));
  const query = new URLSearchParams();
  for (const name of ['actor', 'action', 'object'] as const) {
    const value = call.text(name);
    if (value !== undefined) query.set(name, value);
  }
  const since = call.text('since');
  if (since !== undefined) query.set('since', timeOf('since', since, Date.now()));
  const { items, more } = await newest(await call.api(PATIENCE.look), query, limit);
  if (output !== null) await printDocument(terminal, output, { items, more }, []);
  else if (items.length === 0) terminal.note('no acts', 'quiet');
  else {
    for (const line of rows(items)) terminal.line(line);
    if (more) terminal.note(`there are more: --limit ${limit * 2}`, 'quiet');
  }
  return 'done';
}

const rows = (items: readonly AuditRowBody[]): readonly Line[] =>
  table([
    ['ROW', 'TIME (UTC)', 'WHO', 'HOW', 'FROM', 'WHAT', 'OF', 'OUTCOME', 'WHY'],
    ...items.map(({ seq, at, actor, via, address, action, objectId, made, outcome, code, reason }) => [
      String(seq),
      `${at.slice(0, 10)} ${at.slice(11, 19)}`,
      actor,
      via,
      address ?? '-',
      [toned('accent', action)],
      [objectId ?? '-', ...(made === null ? [] : [`-> ${made}`])].join(' '),
      [toned(outcome === 'refused' ? 'bad' : 'good', code === null ? outcome : `${outcome}: ${code}`)],
      reason ?? '',
    ]),
  ]);
