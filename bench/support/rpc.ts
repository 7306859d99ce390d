/** Questions to processes of a benchmark, and their answers, over Node's own channel between parent and child. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';

interface Question {
  readonly id: number;
  readonly verb: string;
  readonly argument: unknown;
}

type Answer = { readonly id: number; readonly value: unknown } | { readonly id: number; readonly error: string };

type Handlers = Readonly<Record<string, (argument: never) => unknown>>;

/** In the child: answers until the parent is gone, then ends. `close` is run first, in at most five seconds. */
export function serveParent(handlers: Handlers, close: () => Promise<unknown> = async () => undefined): void {
  const answer = async ({ id, verb, argument }: Question): Promise<Answer> => {
    try {
      const handler = handlers[verb];
      if (handler === undefined) throw new Error(`no verb ${verb}; known: ${Object.keys(handlers).join(', ')}`);
      return { id, value: await handler(argument as never) };
    } catch (error) {
      return { id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
  };
  process.on('message', (question: Question) => {
    void answer(question).then((given) => process.send?.(given));
  });
  process.once('disconnect', () => {
    setTimeout(() => process.exit(1), 5_000).unref();
    void close().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  });
  process.send?.({ id: 0, value: null });
}

export interface Process {
  readonly name: string;
  readonly pid: number;
  /** Rejects where the child throws, has ended, or does not answer within `deadline` ms (60 s). */
  ask<T>(verb: string, argument?: unknown, deadline?: number): Promise<T>;
  /** Asks it to end, kills it after ten seconds. */
  stop(): Promise<void>;
}

export interface ProcessOptions {
  readonly argument?: unknown;
  readonly logFile: string;
  /** Options of Node, like --cpu-prof. */
  readonly node?: readonly string[];
}

const START_DEADLINE = 30_000;

/** `file`: URL of the program, which calls `serveParent` when it is ready. */
export async function startProcess(file: URL, { argument, logFile, node = [] }: ProcessOptions): Promise<Process> {
  const name = basename(file.pathname, '.ts');
  const log = await open(logFile, 'a');
  const child = fork(fileURLToPath(file), [], {
    // Not as an argument: everybody on the machine can read those, and there is a password in it.
    env: { ...process.env, BENCH_ARGUMENT: JSON.stringify(argument ?? null) },
    execArgv: [...node],
    stdio: ['ignore', log.fd, log.fd, 'ipc'],
  });
  const gone = once(child, 'exit');
  await log.close();
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  const ready = Promise.withResolvers<unknown>();
  waiting.set(0, ready);
  child.on('message', (answer: Answer) => {
    const asked = waiting.get(answer.id);
    waiting.delete(answer.id);
    if ('error' in answer) asked?.reject(new Error(`${name}: ${answer.error}`));
    else asked?.resolve(answer.value);
  });
  child.on('exit', (code, signal) => {
    for (const asked of waiting.values()) asked.reject(new Error(`${name} ended (${code ?? signal}); see ${logFile}`));
    waiting.clear();
  });
  try {
    await within(ready.promise, START_DEADLINE, `${name} did not start`);
  } catch (error) {
    child.kill('SIGKILL');
    throw new Error(`${(error as Error).message}\n${(await readFile(logFile, 'utf8')).slice(-4_000)}`);
  }
  let last = 0;
  return {
    name,
    pid: child.pid as number,
    ask<T>(verb: string, asked?: unknown, deadline = 60_000) {
      if (hasEnded(child)) return Promise.reject(new Error(`${name} has ended; see ${logFile}`));
      last += 1;
      const answer = Promise.withResolvers<unknown>();
      waiting.set(last, answer);
      child.send({ id: last, verb, argument: asked } satisfies Question);
      return within(answer.promise, deadline, `${name} did not answer ${verb}`) as Promise<T>;
    },
    async stop() {
      if (hasEnded(child)) return;
      child.disconnect();
      const force = setTimeout(() => child.kill('SIGKILL'), 10_000);
      await gone;
      clearTimeout(force);
    },
  };
}

const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null;

async function within<T>(work: Promise<T>, deadline: number, message: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${message} within ${deadline / 1000} s`)), deadline);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** In the child: what `startProcess` was given. */
export const argumentOf = <T>(): T => JSON.parse(process.env['BENCH_ARGUMENT'] ?? 'null') as T;
