/** Follows the newest rollout by Sluice's REST API, and its history as it grows. Sluice may be dead meanwhile: it is asked again. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { RolloutView } from '../demo/service.ts';
import type { Fact } from './journal.ts';

export interface Followed {
  rollout(view: RolloutView): void;
  /** New facts of a rollout, in order, each once. */
  facts(id: string, facts: readonly Fact[]): void;
}

export interface Following {
  /** The newest rollout, asked for now. Throws where Sluice does not answer. */
  newest(): Promise<RolloutView | null>;
  stop(): Promise<void>;
}

const EVERY_MS = 500;
const DEADLINE_MS = 5_000;

export function follow({ url, token }: { readonly url: string; readonly token: string }, told: Followed): Following {
  const stopped = new AbortController();
  const get = async (path: string): Promise<unknown> => {
    const signal = AbortSignal.any([stopped.signal, AbortSignal.timeout(DEADLINE_MS)]);
    const response = await fetch(url + path, { headers: { authorization: `Bearer ${token}` }, signal });
    if (!response.ok) throw new Error(`GET ${path}: ${response.status}`);
    return response.json();
  };
  const newest = async (): Promise<RolloutView | null> =>
    ((await get('/rollouts?limit=1')) as { items: readonly RolloutView[] }).items[0] ?? null;

  let known: { readonly id: string; version: number; after: number } | null = null;
  const readFacts = async (of: { readonly id: string; after: number }): Promise<void> => {
    const path = `/rollouts/${of.id}/events?limit=200&after=${of.after}`;
    const { items } = (await get(path)) as { items: readonly (Fact & { readonly seq: number })[] };
    of.after = items.at(-1)?.seq ?? of.after;
    if (items.length > 0) told.facts(of.id, items);
  };
  const look = async (): Promise<void> => {
    const found = await newest();
    if (found === null || (found.id === known?.id && found.version === known.version)) return;
    // The end of the one before may have come since the last look.
    if (known !== null && known.id !== found.id) await readFacts(known);
    if (known === null || known.id !== found.id) known = { id: found.id, version: -1, after: 0 };
    await readFacts(known);
    told.rollout(found);
    known.version = found.version;
  };
  const looking = (async () => {
    while (!stopped.signal.aborted) {
      await look().catch(() => undefined); // dead, starting, or stopped
      await sleep(EVERY_MS, undefined, { signal: stopped.signal }).catch(() => undefined);
    }
  })();
  return {
    newest,
    async stop() {
      stopped.abort();
      await looking;
    },
  };
}
