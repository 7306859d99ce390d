/** promote, pause, resume, abort, retry: told once, for the step that was seen, and answered with how it stands now. */
import { PATIENCE } from './call.ts';
import type { Call } from './command.ts';
import { Failure, usage } from './failure.ts';
import { idOf } from './ids.ts';
import { ROLLOUTS } from './kinds/rollouts.ts';
import { printDocument } from './show/data.ts';
import { percentOf, placeWords } from './show/words.ts';
import type { Api, CommandName, RolloutBody } from './wire/api.ts';
import { bodyOf } from './wire/api.ts';
import type { Patience } from './wire/persist.ts';
import { refusal } from './wire/problem.ts';

export interface Steered {
  readonly api: Api;
  readonly rollout: RolloutBody;
}

export interface Steering {
  readonly name: CommandName;
  readonly body?: Readonly<Record<string, unknown>>;
  /**
   * The step that is seen now goes along, so that a promotion is of what was there when the command was given. An abort or
   * a pause is meant wherever the rollout stands: only --expected-step limits them.
   */
  readonly guarded: boolean;
  readonly patience?: Patience;
  /** The answer is not the last word: with -o json the document comes at the end. */
  readonly goesOn?: boolean;
}

export async function steer(call: Call, { name, body = {}, guarded, patience, goesOn }: Steering): Promise<Steered> {
  const id = idOf(call, ROLLOUTS);
  const asked = expectedStep(call);
  const api = await call.api(patience ?? PATIENCE.command);
  const expected = asked ?? (guarded ? ((await api.rolloutNow(id)).step ?? undefined) : undefined);
  const { answer, problem, repeated } = await api.tell('rollouts', id, name, {
    ...body,
    ...(expected === undefined ? {} : { expectedStep: expected }),
  });
  if (problem !== null) {
    if (problem.code !== 'moved_on') throw refusal(answer, `${name} ${id}`, problem);
    const now = await api.rolloutNow(id);
    // The first attempt got no answer. It stands further on: by that attempt, or by somebody else's.
    if (repeated && name === 'promote' && (now.step ?? 0) > (expected ?? 0)) {
      call.terminal.note(
        `${name} ${id}: the connection was lost on the way, and the rollout has gone on since`,
        'warn',
      );
      return { api, rollout: now };
    }
    throw movedOn(name, now, expected);
  }
  const rollout = bodyOf<RolloutBody>(answer, `${name} ${id}`);
  if (goesOn !== true || call.output === null) await print(call, name, rollout);
  return { api, rollout };
}

/** --reason, where it was given. */
export function reasonOf(call: Call): { readonly reason?: string } {
  const reason = call.text('reason');
  return reason === undefined ? {} : { reason };
}

function expectedStep(call: Call): number | undefined {
  const text = call.text('expected-step');
  if (text === undefined) return undefined;
  if (/^\d{1,3}$/.test(text)) return Number(text);
  throw usage(`--expected-step: wanted the index of a step, from 0; found ${JSON.stringify(text)}`);
}

function movedOn(name: string, now: RolloutBody, expected: number | undefined): Failure {
  const wanted = expected === undefined ? '' : `, not at ${placeWords({ ...now, step: expected })}`;
  return new Failure(
    'conflict',
    `${name} ${now.id}: the rollout has moved on: it is ${now.status} at ${placeWords(now)} (canary weight ${percentOf(now.weight.observed)})${wanted}. Nothing was done`,
    [`Look at it again, then decide anew: sluice get ${now.id}`],
    now,
  );
}

async function print({ output, terminal }: Call, name: CommandName, rollout: RolloutBody): Promise<void> {
  if (output !== null) return printDocument(terminal, output, rollout, [rollout.id]);
  terminal.line(
    `${rollout.id}  ${name}: accepted; it is ${rollout.status} at ${placeWords(rollout)}, canary weight ${percentOf(rollout.weight.observed)}`,
  );
}
