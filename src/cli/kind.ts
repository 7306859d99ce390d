/** What the command line can start, follow and command: rollouts, fleet rollouts, migrations. Each is one file in kinds/. */
import type { Millis } from '../domain/plan.ts';
import type { Ending } from './exit-codes.ts';
import { ENDING_OF_STATUS } from './exit-codes.ts';
import type { Line } from './show/line.ts';
import type { Api, Collection } from './wire/api.ts';
import type { Limits } from './wire/persist.ts';

/** What the answers about all of them have. */
export interface Body {
  readonly id: string;
  readonly status: string;
  readonly version: number;
  readonly createdAt: string;
}
export interface Happening {
  readonly seq: number;
  /** RFC 3339. */
  readonly at: string;
  readonly type: string;
  readonly actor: string;
  readonly message: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

export interface View<B> {
  readonly body: B;
  /** The last ones. */
  readonly facts: readonly Happening[];
  /** By the server's clock. */
  readonly now: number;
  readonly unicode: boolean;
  readonly columns: number;
}

export interface Kind<B extends Body = Body> {
  /** "rollout". */
  readonly noun: string;
  /** What stands before the names of its commands: "", "fleet ". */
  readonly prefix: string;
  readonly collection: Collection;
  /** The command that tries a plan; null: there is none. */
  readonly dryRun: string | null;
  /** Where in a document the labels are that --label adds. */
  readonly labels: readonly string[];
  /** An id, for who gave something else. */
  readonly example: string;
  /** null: the limits came first. Waits for news after `since`, so long at most. */
  read(api: Api, id: string, limits?: Limits, wait?: Millis, since?: number): Promise<B | null>;
  /** Everything that happened after `after`; null: the limits came first. */
  facts(api: Api, seen: B, after: number, limits?: Limits): Promise<readonly Happening[] | null>;
  /** Nothing that is shown is different. */
  isSame(before: B, now: B): boolean;
  needsAPerson(body: B): boolean;
  /** A way back that cannot be written: more than a wait that was too short. */
  isStuck(body: B): boolean;
  /** What was started, in words. */
  title(body: B): string;
  /** "paused at step 1 of 2". */
  place(body: B): string;
  /** Why it stands where it stands, with the numbers; null: nothing more to say than the place. */
  sentence(body: B): string | null;
  /** What a person does about a pause. */
  onPause(body: B | null, id: string): string;
  /** What an abort does. */
  readonly aborts: string;
  /** What it means that it ended as `failed`, and where more is to be read. */
  stuckWords(id: string): string;
  /** Loads what each picture needs beside the body. */
  picture(api: Api, id: string): Promise<(view: View<B>) => readonly Line[]>;
}

/** null: it goes on. Ends have the same names everywhere. */
export const endingOf = ({ status }: Pick<Body, 'status'>): Ending | null =>
  (ENDING_OF_STATUS as Readonly<Record<string, Ending>>)[status] ?? null;
