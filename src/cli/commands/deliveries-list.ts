/** `sluice deliveries list`. */
import { PATIENCE } from '../call.ts';
import type { Call } from '../command.ts';
import type { Ending } from '../exit-codes.ts';
import { usage } from '../failure.ts';
import { printDocument } from '../show/data.ts';
import { table, toned } from '../show/line.ts';

const TONES = { pending: 'warn', delivered: 'good', dead: 'bad' } as const;

export async function run(call: Call): Promise<Ending> {
  const { output, terminal } = call;
  const limit = call.text('limit') ?? '50';
  if (!/^\d{1,5}$/.test(limit) || Number(limit) < 1)
    throw usage(`--limit: wanted a number from 1 to 99999; found ${JSON.stringify(limit)}`);
  const query = new URLSearchParams();
  for (const name of ['rollout', 'channel', 'state']) {
    const value = call.text(name);
    if (value !== undefined) query.set(name, value);
  }
  const api = await call.api(PATIENCE.look);
  const { items, more } = await api.deliveries(query, Number(limit));
  const ids = items.map(({ id }) => id);
  if (output !== null) await printDocument(terminal, output, { items, more }, ids);
  else if (items.length === 0) terminal.note('no deliveries', 'quiet');
  else {
    const rows = items.map(({ id, state, attempts, createdAt, event, lastError }) => [
      id,
      [toned(TONES[state], state)],
      String(attempts),
      `${createdAt.slice(0, 10)} ${createdAt.slice(11, 19)}`,
      event.type,
      lastError ?? '',
    ]);
    for (const line of table([['ID', 'STATE', 'TRIED', 'SINCE (UTC)', 'WHAT', 'LAST TROUBLE'], ...rows]))
      terminal.line(line);
    if (more) terminal.note(`there are more: --limit ${Number(limit) * 2}`, 'quiet');
  }
  return 'done';
}
