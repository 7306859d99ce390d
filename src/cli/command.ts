/** What a command is: enough to parse, to help and to complete without loading it. */
import type { Environment } from './environment.ts';
import type { Ending } from './exit-codes.ts';
import type { Output } from './show/data.ts';
import type { Terminal } from './show/terminal.ts';
import type { Api } from './wire/api.ts';
import type { Patience } from './wire/persist.ts';

export interface OptionSpec {
  readonly name: string;
  readonly short?: string;
  /** Name of its value in the help; absent: a switch. */
  readonly value?: string;
  /** The only values there are. */
  readonly oneOf?: readonly string[];
  readonly multiple?: true;
  readonly summary: string;
}

export type Values = Readonly<Record<string, string | boolean | readonly (string | boolean)[] | undefined>>;

/** One run of a command. */
export interface Call {
  readonly args: readonly string[];
  readonly values: Values;
  readonly output: Output | null;
  readonly terminal: Terminal;
  readonly env: Environment;
  readonly version: string;
  text(name: string): string | undefined;
  texts(name: string): readonly string[];
  flag(name: string): boolean;
  /** Milliseconds; throws the usage failure where it is no duration. */
  duration(name: string): number | undefined;
  /** The server; asked for by the commands that need one. */
  api(patience: Patience): Promise<Api>;
}

export interface CommandModule {
  run(call: Call): Promise<Ending>;
}

export interface CommandSpec {
  /** "get", "plan lint". */
  readonly name: string;
  /** As the help shows them, like "ID" or "[URL]"; how many there may be follows from it. */
  readonly args: readonly ArgumentSpec[];
  readonly summary: string;
  readonly details?: readonly string[];
  readonly examples: readonly string[];
  readonly options: readonly OptionSpec[];
  readonly outputs: readonly Output[];
}

/** Which ids: of rollouts unless it says otherwise. */
export type Ids = 'live' | 'ids' | 'live fleets' | 'fleets' | 'live migrations' | 'migrations';

export interface ArgumentSpec {
  readonly name: string;
  readonly optional?: true;
  /** What completion offers. */
  readonly complete: Ids | 'files' | 'contexts' | 'commands' | 'none' | readonly string[];
}
