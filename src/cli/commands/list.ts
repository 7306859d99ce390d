/** `sluice list`. */
import { duration } from '../../domain/format.ts';
import { TERMINAL } from '../../domain/rollout.ts';
import type { Call } from '../command.ts';
import type { Ending } from '../exit-codes.ts';
import { list, queryOf } from '../listing.ts';
import type { Line } from '../show/line.ts';
import { table, toned } from '../show/line.ts';
import { statusTone } from '../show/marks.ts';
import { percentOf } from '../show/words.ts';
import { timeOf } from '../times.ts';
import type { RolloutBody } from '../wire/api.ts';

const LIVE = ['pending', 'progressing', 'paused', 'rolling_back'];

export async function run(call: Call): Promise<Ending> {
  const since = call.text('since');
  const query = queryOf(call, { live: LIVE, filters: ['cluster', 'namespace', 'service'] });
  if (since !== undefined) query.set('since', timeOf('since', since, Date.now()));
  return list<RolloutBody>(call, { collection: 'rollouts', plural: 'rollouts', query, rows });
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
