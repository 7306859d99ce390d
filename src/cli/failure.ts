/** Why a command ends early: the one thing in here that is thrown on purpose, and `main.ts` is the one that catches it. */
import type { Ending } from './exit-codes.ts';

export class Failure extends Error {
  readonly ending: Ending;
  /** What to do about it. */
  readonly advice: readonly string[];
  /** With -o json and yaml: printed instead of nothing. */
  readonly document: unknown;

  constructor(ending: Ending, message: string, advice: readonly string[] = [], document?: unknown) {
    super(message);
    this.ending = ending;
    this.advice = advice;
    this.document = document;
  }
}

/** Nothing was sent: the command line itself is wrong. */
export const usage = (message: string, ...advice: readonly string[]): Failure => new Failure('usage', message, advice);
