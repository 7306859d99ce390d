/** `sluice list`. */
import { duration } from '../../domain/format.ts';
import { TERMINAL } from '../../domain/rollout.ts';
import { PATIENCE } from '../call.ts';
import type { Call } from '../command.ts';
import type { Ending } from '../exit-codes.ts';
import { usage } from '../failure.ts';
import { printDocument } from '../show/data.ts';
import type { Line } from '../show/line.ts';
import { cut, table, toned } from '../show/line.ts';
import { statusTone } from '../show/marks.ts';
import { percentOf } from '../show/words.ts';
import { limitOf, timeOf } from '../times.ts';
import type { RolloutBody } from '../wire/api.ts';

const LIVE = ['pending', 'progressing', 'paused', 'rolling_back'];

export async function run(call: Call): Promise<Ending> {
  const { output, terminal } = call;
  const limit = limitOf(call.text('limit'));
  const query = queryOf(call);
  const api = await call.api(PATIENCE.look);
  const { items, more } = await api.list(query, limit);
  const ids = items.map(({ id }) => id);
  if (output !== null) await printDocument(terminal, output, { items, more }, ids);
  else if (items.length === 0) terminal.note('no rollouts', 'quiet');
  else {
    const now = Date.now() + (api.wire.clockAhead ?? 0);
    const width = terminal.live ? (terminal.stdout.columns ?? 80) : Number.POSITIVE_INFINITY;
    for (const line of rows(items, now)) terminal.line(cut(line, width, terminal.unicode ? '…' : '~'));
    if (more) terminal.note(`there are more: --limit ${limit * 2}`, 'quiet');
  }
  return 'done';
}

function queryOf(call: Call): URLSearchParams {
  const statuses = call.texts('status').flatMap((text) => text.split(','));
  if (call.flag('live') && statuses.length > 0) throw usage('list: --live and --status exclude each other');
  const status = call.flag('live') ? LIVE : statuses;
  const query = new URLSearchParams();
  if (status.length > 0) query.set('status', status.join(','));
  for (const name of ['cluster', 'namespace', 'service']) {
    const value = call.text(name);
    if (value !== undefined) query.set(name, value);
  }
  const since = call.text('since');
  if (since !== undefined) query.set('since', timeOf('since', since, Date.now()));
  return query;
}

const rows = (items: readonly RolloutBody[], now: number): readonly Line[] =>
  table([
    ['ID', 'SERVICE', 'NAMESPACE', 'STATUS', 'STEP', 'WEIGHT', 'AGE', 'BY'],
    ...items.map((rollout) => [
      rollout.id,
      rollout.target.service,
      `${rollout.target.cluster}/${rollout.target.namespace}`,
      [toned(statusTone(rollout.status), rollout.awaiting === null ? rollout.status : `${rollout.status}*`)],
      stepOf(rollout),
      percentOf(rollout.weight.observed),
      duration(Math.max(0, now - Date.parse(rollout.createdAt))),
      rollout.createdBy,
    ]),
  ]);

function stepOf({ step, steps, status }: RolloutBody): string {
  if (step === null) return `0/${steps}`;
  const ended = (TERMINAL as readonly string[]).includes(status);
  return step >= steps ? (ended ? `${steps}/${steps}` : 'promotion') : `${step + 1}/${steps}`;
}
