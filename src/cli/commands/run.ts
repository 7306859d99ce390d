/** `sluice run`: start, follow, and end as the rollout does. */
import { patienceOf } from '../call.ts';
import type { Call } from '../command.ts';
import type { Ending } from '../exit-codes.ts';
import { Failure, usage } from '../failure.ts';
import { idempotencyKey } from '../idempotency.ts';
import { interrupts } from '../interrupt.ts';
import type { PlanFile } from '../plan-file.ts';
import { readPlan } from '../plan-file.ts';
import { refusedPlan } from '../refused-plan.ts';
import { printDocument } from '../show/data.ts';
import { targetWords } from '../show/words.ts';
import { abortFor, untilOf, waitFor } from '../waiting.ts';
import type { Api, RolloutBody, Started } from '../wire/api.ts';
import { bodyOf } from '../wire/api.ts';

export async function run(call: Call): Promise<Ending> {
  if (call.flag('wait') && call.flag('no-wait')) throw usage('run: --wait and --no-wait exclude each other');
  const plan = await readPlan(call);
  const key = call.text('idempotency-key') ?? idempotencyKey(call.env, plan.document);
  const until = untilOf(call);
  const api = await call.api(patienceOf(call));
  const abortOnInterrupt = call.text('on-interrupt') === 'abort';
  const stop = interrupts();
  let started: Started;
  try {
    // Where an interrupt is to abort it, its id must be known first.
    started = await start(api, plan, key, { until, ...(abortOnInterrupt ? {} : { signal: stop.signal }) });
  } catch (error) {
    if (stop.signal.aborted && error instanceof Failure && error.ending === 'timed_out') throw left(stop.ending, key);
    throw error;
  } finally {
    stop.release();
  }
  const { rollout } = started;
  if (abortOnInterrupt && stop.signal.aborted) await abortFor(call, api, rollout.id, stop.ending);
  if (call.flag('no-wait')) {
    await accepted(call, started);
    return 'done';
  }
  (call.output === null ? call.terminal.line : call.terminal.note)(wordsOf(started), 'strong');
  const { ending } = await waitFor(call, api, { id: rollout.id, until, watch: call.flag('watch'), abortOnInterrupt });
  return ending;
}

async function start(
  api: Api,
  plan: PlanFile,
  key: string,
  limits: { readonly until: number | null; readonly signal?: AbortSignal },
): Promise<Started> {
  const heard = await api.start(plan.sent, key, limits);
  if (heard === null)
    throw new Failure('timed_out', 'the time was over before the server had accepted the rollout', [
      `If it was accepted after all, --idempotency-key ${key} finds it again`,
    ]);
  const { answer } = heard;
  if (answer.status >= 300) throw refusedPlan(answer, plan, 'run');
  const rollout = bodyOf<RolloutBody>(answer, 'run');
  const replayed = answer.headers['idempotent-replayed'] === 'true';
  return { rollout, how: answer.status === 200 ? 'joined' : replayed ? 'replayed' : 'started' };
}

const left = (ending: 'interrupted' | 'terminated', key: string): Failure =>
  new Failure(ending, 'interrupted before the server had answered: the rollout may have been started', [
    `--idempotency-key ${key} finds it again; sluice list --live shows it`,
  ]);

const HOW = {
  started: 'started',
  replayed: 'found again: an earlier attempt of this run had started it',
  joined: 'joined: it was live already (onConflict: join)',
} as const satisfies Readonly<Record<Started['how'], string>>;

const wordsOf = ({ rollout, how }: Started): string =>
  `${rollout.id}  ${targetWords(rollout)}, ${rollout.steps} ${rollout.steps === 1 ? 'step' : 'steps'}: ${HOW[how]}`;

async function accepted({ output, terminal }: Call, started: Started): Promise<void> {
  const { rollout } = started;
  if (output !== null) return printDocument(terminal, output, rollout, [rollout.id]);
  terminal.line(wordsOf(started));
  terminal.line(`sluice wait ${rollout.id}`, 'quiet');
}
