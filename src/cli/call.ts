/** One run of a command: its options by name, and the server when it asks for it. */
import { parseDuration } from '../app/duration.ts';
import type { Millis } from '../domain/plan.ts';
import type { Call, Values } from './command.ts';
import type { Environment } from './environment.ts';
import { usage } from './failure.ts';
import { userAgent } from './pipeline.ts';
import type { Server } from './settings.ts';
import type { Output } from './show/data.ts';
import { OUTPUTS } from './show/data.ts';
import type { Terminal } from './show/terminal.ts';
import type { Patience } from './wire/persist.ts';
import type { TokenSource } from './wire/wire.ts';

/** What of a server's absence is borne: by somebody who looks, by a command that must be heard, by a pipeline that waits. */
export const PATIENCE = {
  look: { first: 2_000, later: 2_000 },
  command: { first: 30_000, later: 30_000 },
  wait: { first: 60_000, later: 15 * 60_000 },
} as const satisfies Readonly<Record<string, Patience>>;

export interface CallParts {
  readonly args: readonly string[];
  readonly values: Values;
  readonly terminal: Terminal;
  readonly env: Environment;
  readonly version: string;
}

export function callOf(parts: CallParts): Call & { close(): void } {
  const { values, terminal, env, version } = parts;
  const closers: (() => void)[] = [];
  const text = (name: string): string | undefined => {
    const value = values[name];
    return typeof value === 'string' ? value : undefined;
  };
  const output: Output | null = OUTPUTS.find((known) => known === values['output']) ?? null;
  return {
    ...parts,
    output,
    text,
    texts: (name) => [values[name] ?? []].flat().map(String),
    flag: (name) => values[name] === true,
    duration: (name) => durationOf(name, text(name)),
    async api(patience) {
      const [{ serverOf }, { openWire }, { persistent }, { openApi }] = await Promise.all([
        import('./settings.ts'),
        import('./wire/wire.ts'),
        import('./wire/persist.ts'),
        import('./wire/api.ts'),
      ]);
      const server = await serverOf(values as Record<string, string>, env);
      const { url } = server;
      const wire = openWire(url, await tokenFor(server, env), userAgent(version, env), env);
      closers.push(() => wire.close());
      return openApi(
        persistent(wire, { patience, onTrouble: (words) => terminal.note(`${url.host}: ${words}`, 'warn') }),
      );
    },
    close() {
      for (const close of closers) close();
    },
  };
}

/** GitHub's tokens only where they are asked for. */
export async function tokenFor({ token, audience }: Server, env: Environment): Promise<string | TokenSource | null> {
  if (audience === null) return token;
  const { githubTokens } = await import('./github-token.ts');
  return githubTokens(audience, env);
}

export function durationOf(name: string, text: string | undefined): Millis | undefined {
  if (text === undefined) return undefined;
  const ms = parseDuration(text);
  if (ms === null) throw usage(`--${name}: wanted a time like 90s, 30m or 1h30m; found ${JSON.stringify(text)}`);
  return ms;
}

/** What waits: the server's absence is borne as long as --patience says, or a minute before its first answer. */
export const patienceOf = (call: Call): Patience => ({
  first: call.duration('patience') ?? PATIENCE.wait.first,
  // With --timeout that alone is the limit.
  later: call.duration('timeout') ?? PATIENCE.wait.later,
});
