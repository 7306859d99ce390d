/** The id that a command was given. */
import type { Call } from './command.ts';
import { usage } from './failure.ts';
import type { Kind } from './kind.ts';

/** Only such ids are ever given out. A service's name is none: which of its rollouts would be meant, the one that was live when you looked? */
export function idOf(call: Call, { noun, prefix, example }: Pick<Kind, 'noun' | 'prefix' | 'example'>): string {
  const id = call.args[0] ?? '';
  if (/^[A-Za-z0-9_-]{1,64}$/.test(id)) return id;
  throw usage(
    `wanted the id of a ${noun}, like ${example}; found ${JSON.stringify(id)}`,
    `sluice ${prefix}list shows them`,
  );
}
