/** Commands to fleet rollouts and migrations: told once, for what was seen, and answered with how it stands now. */
import { PATIENCE } from './call.ts';
import type { Call } from './command.ts';
import type { Ending } from './exit-codes.ts';
import { Failure } from './failure.ts';
import { idOf } from './ids.ts';
import type { Body, Kind } from './kind.ts';
import { printDocument } from './show/data.ts';
import { wentBack } from './went-back.ts';
import type { Api, CommandName } from './wire/api.ts';
import { bodyOf } from './wire/api.ts';
import { refusal } from './wire/problem.ts';

export interface Telling<B> {
  readonly name: CommandName;
  readonly body: Readonly<Record<string, unknown>>;
  /** The answer is not the last word: with -o json the document comes at the end. */
  readonly goesOn?: boolean;
  /** Has what was asked for happened? An attempt without an answer may have been heard, and its repeat is then refused. */
  isDone?(now: B): boolean;
}

export async function tell<B extends Body>(call: Call, kind: Kind<B>, api: Api, telling: Telling<B>): Promise<B> {
  const { name, body, goesOn, isDone } = telling;
  const id = idOf(call, kind);
  const of = `${kind.prefix}${name} ${id}`;
  const { answer, problem, repeated } = await api.tell(kind.collection, id, name, body);
  if (problem === null) {
    const now = bodyOf<B>(answer, of);
    if (goesOn !== true || call.output === null) await print(call, kind, name, now);
    return now;
  }
  if (problem.code !== 'moved_on') throw refusal(answer, of, problem);
  const now = await kind.read(api, id);
  if (now !== null && repeated && isDone?.(now) === true) {
    call.terminal.note(`${of}: the connection was lost on the way, and it has gone on since`, 'warn');
    return now;
  }
  throw new Failure(
    'conflict',
    `${of}: ${problem.detail}`,
    [`Look at it again, then decide anew: sluice ${kind.prefix}get ${id}`],
    now ?? undefined,
  );
}

async function print<B extends Body>({ output, terminal }: Call, kind: Kind<B>, name: string, body: B): Promise<void> {
  if (output !== null) return printDocument(terminal, output, body, [body.id]);
  terminal.line(`${body.id}  ${name}: accepted; it is ${kind.place(body)}`);
}

/** `abort`, and with --wait until everything is back. It is meant wherever it stands, unless `expected` says otherwise. */
export async function abort<B extends Body>(
  call: Call,
  kind: Kind<B>,
  expected: Readonly<Record<string, unknown>> = {},
): Promise<Ending> {
  const reason = call.text('reason');
  const wait = call.flag('wait');
  const patience = wait ? { ...PATIENCE.wait, first: PATIENCE.command.first } : PATIENCE.command;
  const api = await call.api(patience);
  const { id } = await tell(call, kind, api, {
    name: 'abort',
    body: {
      ...(reason === undefined ? {} : { reason }),
      ...(call.flag('give-up') ? { giveUp: true } : {}),
      ...expected,
    },
    goesOn: wait,
  });
  return wait ? wentBack(call, kind, api, id) : 'done';
}
