/** What the preflight had to say against something that was started all the same. It is kept with its first fact. */
import type { Call } from './command.ts';
import type { Body, Happening, Kind } from './kind.ts';
import { levelMark } from './show/marks.ts';
import type { Api } from './wire/api.ts';

/** They are news, and no reason to wait for a server that is away. */
const PATIENCE = 5_000;

/** "comparison: at 100 % ...", as they were recorded. */
export const warningsIn = (facts: readonly Happening[]): readonly string[] => {
  const { warnings } = (facts[0]?.data ?? {}) as { readonly warnings?: unknown };
  return Array.isArray(warnings) ? warnings.filter((one) => typeof one === 'string') : [];
};

/** On stderr, once, before what happens is told. */
export async function tellWarnings<B extends Body>(
  { terminal }: Call,
  kind: Kind<B>,
  api: Api,
  body: B,
  signal: AbortSignal,
): Promise<void> {
  const limits = { until: Date.now() + PATIENCE, signal };
  const facts = await kind.facts(api, body, 0, limits).catch(() => null);
  for (const warning of warningsIn(facts ?? []))
    terminal.note([levelMark('warn', terminal.unicode), ` ${warning}`], 'warn');
}
