/**
 * Follows one rollout (or what else there is: kind.ts) to its end, through whatever happens to the server and to the way
 * there. It asks for the next change by long poll and then for the facts that came with it: both can be cut at any point and
 * asked again, and proxies that hold back streams do them no harm.
 */
import type { Millis } from '../domain/plan.ts';
import type { Ending } from './exit-codes.ts';
import type { Body, Happening, Kind } from './kind.ts';
import { endingOf } from './kind.ts';
import type { Api } from './wire/api.ts';

export interface Followed<B> {
  readonly ending: Ending;
  /** null: it was never seen. */
  readonly body: B | null;
}

export interface FollowOptions<B> {
  /** By Date.now(): a laptop that slept has waited too. null: to the end. */
  readonly until: number | null;
  readonly signal: AbortSignal;
  readonly exitWhenPaused: boolean;
  /** Only facts after this seq are told. */
  readonly after: number;
  onChange(body: B, facts: readonly Happening[]): void;
}

/** Proxies cut silent connections after 60 s, some after 30. */
const LONG_POLL: Millis = 25_000;
const LAST_LOOK: Millis = 5_000;

export async function follow<B extends Body>(
  kind: Kind<B>,
  api: Api,
  id: string,
  options: FollowOptions<B>,
): Promise<Followed<B>> {
  const { until, signal, exitWhenPaused, onChange } = options;
  const limits = { until, signal };
  let known: B | null = null;
  let after = options.after;
  for (;;) {
    const left = until === null ? LONG_POLL : Math.min(LONG_POLL, Math.max(0, until - Date.now()));
    const seen: B | null = await kind.read(api, id, limits, known === null ? 0 : left, known?.version);
    if (seen === null) return signal.aborted ? { ending: 'interrupted', body: known } : lastLook(kind, api, id, known);
    if (known === null || !kind.isSame(known, seen)) {
      const facts = await kind.facts(api, seen, after, limits);
      after = facts?.at(-1)?.seq ?? after;
      known = seen;
      onChange(seen, facts ?? []);
    }
    const ending = endingOf(seen);
    if (ending !== null) return { ending, body: seen };
    if (exitWhenPaused && kind.needsAPerson(seen)) return { ending: 'paused', body: seen };
    if (signal.aborted) return { ending: 'interrupted', body: seen };
    if (until !== null && Date.now() >= until) return { ending: overdue(kind, seen), body: seen };
  }
}

/** The time came while the server was away (or this machine asleep): one more try before it is called a time-out. */
async function lastLook<B extends Body>(kind: Kind<B>, api: Api, id: string, known: B | null): Promise<Followed<B>> {
  const limits = { until: Date.now() + LAST_LOOK };
  const seen = await kind.read(api, id, limits).catch(() => null);
  const body = seen ?? known;
  if (body === null) return { ending: 'timed_out', body };
  return { ending: endingOf(body) ?? overdue(kind, body), body };
}

const overdue = <B extends Body>(kind: Kind<B>, body: B): Ending => (kind.isStuck(body) ? 'stuck' : 'timed_out');
