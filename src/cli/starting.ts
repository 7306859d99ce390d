/** `run`: start, follow, and end as what was started does. */
import { patienceOf } from './call.ts';
import type { Call } from './command.ts';
import type { Ending } from './exit-codes.ts';
import { Failure, usage } from './failure.ts';
import { idempotencyKey } from './idempotency.ts';
import { interrupts } from './interrupt.ts';
import type { Body, Kind } from './kind.ts';
import type { PlanFile } from './plan-file.ts';
import { readPlan } from './plan-file.ts';
import { refusedPlan } from './refused-plan.ts';
import { printDocument } from './show/data.ts';
import { abortFor, untilOf, waitFor } from './waiting.ts';
import { tellWarnings } from './warnings.ts';
import type { Api } from './wire/api.ts';
import { bodyOf } from './wire/api.ts';

interface Started<B> {
  readonly body: B;
  /** started now, by an earlier request with the same key, or by others (onConflict: join). */
  readonly how: keyof typeof HOW;
}

const HOW = {
  started: 'started',
  replayed: 'found again: an earlier attempt of this run had started it',
  joined: 'joined: it was live already (onConflict: join)',
} as const;

export async function run<B extends Body>(call: Call, kind: Kind<B>): Promise<Ending> {
  const name = `${kind.prefix}run`;
  if (call.flag('wait') && call.flag('no-wait')) throw usage(`${name}: --wait and --no-wait exclude each other`);
  const plan = await readPlan(call, kind.labels);
  const key = call.text('idempotency-key') ?? idempotencyKey(call.env, plan.document);
  const until = untilOf(call);
  const api = await call.api(patienceOf(call));
  const abortOnInterrupt = call.text('on-interrupt') === 'abort';
  const stop = interrupts();
  let started: Started<B>;
  try {
    // Where an interrupt is to abort it, its id must be known first.
    started = await start(api, kind, plan, key, { until, ...(abortOnInterrupt ? {} : { signal: stop.signal }) });
  } catch (error) {
    if (stop.signal.aborted && error instanceof Failure && error.ending === 'timed_out')
      throw left(stop.ending, kind, key);
    throw error;
  } finally {
    stop.release();
  }
  const { id } = started.body;
  await tellWarnings(call, kind, api, started.body, stop.signal);
  if (abortOnInterrupt && stop.signal.aborted) await abortFor(call, kind, api, id, stop.ending);
  if (call.flag('no-wait')) {
    await accepted(call, kind, started);
    return 'done';
  }
  (call.output === null ? call.terminal.line : call.terminal.note)(wordsOf(kind, started), 'strong');
  const { ending } = await waitFor(call, kind, api, { id, until, watch: call.flag('watch'), abortOnInterrupt });
  return ending;
}

async function start<B extends Body>(
  api: Api,
  { noun, prefix, collection, dryRun }: Kind<B>,
  plan: PlanFile,
  key: string,
  limits: { readonly until: number | null; readonly signal?: AbortSignal },
): Promise<Started<B>> {
  const heard = await api.start(collection, plan.sent, key, limits);
  if (heard === null)
    throw new Failure('timed_out', `the time was over before the server had accepted the ${noun}`, [
      `If it was accepted after all, --idempotency-key ${key} finds it again`,
    ]);
  const { answer } = heard;
  if (answer.status >= 300) throw refusedPlan(answer, plan, `${prefix}run`, dryRun);
  const replayed = answer.headers['idempotent-replayed'] === 'true';
  const body = bodyOf<B>(answer, `${prefix}run`);
  return { body, how: answer.status === 200 ? 'joined' : replayed ? 'replayed' : 'started' };
}

const left = (ending: 'interrupted' | 'terminated', { noun, prefix }: Pick<Kind, 'noun' | 'prefix'>, key: string) =>
  new Failure(ending, `interrupted before the server had answered: the ${noun} may have been started`, [
    `--idempotency-key ${key} finds it again; sluice ${prefix}list --live shows it`,
  ]);

const wordsOf = <B extends Body>({ title }: Kind<B>, { body, how }: Started<B>): string =>
  `${body.id}  ${title(body)}: ${HOW[how]}`;

async function accepted<B extends Body>({ output, terminal }: Call, kind: Kind<B>, started: Started<B>): Promise<void> {
  const { body } = started;
  if (output !== null) return printDocument(terminal, output, body, [body.id]);
  terminal.line(wordsOf(kind, started));
  terminal.line(`sluice ${kind.prefix}wait ${body.id}`, 'quiet');
}
