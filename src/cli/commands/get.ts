/** `sluice get`: one rollout, once or until its end. */
import { PATIENCE, patienceOf } from '../call.ts';
import type { Call } from '../command.ts';
import type { Ending } from '../exit-codes.ts';
import { usage } from '../failure.ts';
import { rolloutId } from '../ids.ts';
import { printDocument } from '../show/data.ts';
import { stepsOf } from '../show/steps.ts';
import { tree } from '../show/tree.ts';
import { untilOf, waitFor } from '../waiting.ts';

const FACTS_SHOWN = 6;

export async function run(call: Call): Promise<Ending> {
  const id = rolloutId(call);
  if (call.flag('watch')) {
    const api = await call.api(patienceOf(call));
    const abortOnInterrupt = call.text('on-interrupt') === 'abort';
    return (await waitFor(call, api, { id, until: untilOf(call), watch: true, abortOnInterrupt })).ending;
  }
  const waiting = ['timeout', 'exit-when-paused', 'on-interrupt'].find((name) => call.values[name] !== undefined);
  if (waiting !== undefined) throw usage(`get: --${waiting} has a meaning only with --watch`);
  const api = await call.api(PATIENCE.look);
  const rollout = await api.rolloutNow(id);
  const { terminal, output } = call;
  if (output !== null) {
    await printDocument(terminal, output, rollout, [rollout.id]);
    return 'done';
  }
  const [plan, facts] = await Promise.all([api.plan(id), api.facts(id, 0)]);
  const now = Date.now() + (api.wire.clockAhead ?? 0);
  const view = {
    rollout,
    steps: stepsOf(plan),
    facts: (facts ?? []).slice(-FACTS_SHOWN),
    now,
    unicode: terminal.unicode,
    columns: terminal.stdout.columns ?? 80,
  };
  for (const line of tree(view)) terminal.line(line);
  return 'done';
}
