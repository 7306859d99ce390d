/** What was done to the sandbox and what Sluice did, in one line of time. Bounded: the oldest goes first. */
import type { ActName, Entry } from './wire.ts';

/** A fact of Sluice's history of a rollout. */
export interface Fact {
  readonly at: string;
  readonly type: string;
  readonly message: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** That a check passes, or that a guard has nothing against the canary, is no news: its rollout's page has it. */
export const isNews = ({ type, message, data }: Fact): boolean =>
  type !== 'verdict_changed' ||
  data['verdict'] === 'fail' ||
  (data['verdict'] !== 'pass' && !message.startsWith('guard '));

export interface Journal {
  readonly entries: readonly Entry[];
  you(act: ActName, words: string): void;
  sandbox(words: string): void;
  sluice(rollout: string, facts: readonly Fact[]): void;
}

const MOST = 120;

export function journal(now: () => number): Journal {
  let entries: readonly Entry[] = [];
  let n = 0;
  const add = (entry: Entry): void => {
    // By time: what Sluice did is heard of later than what was done here meanwhile.
    entries = [...entries, entry].sort((a, b) => b.at.localeCompare(a.at) || b.n - a.n).slice(0, MOST);
  };
  const common = () => {
    n += 1;
    return { n, at: new Date(now()).toISOString() };
  };
  return {
    get entries() {
      return entries;
    },
    you: (act, words) => add({ who: 'you', ...common(), act, words }),
    sandbox: (words) => add({ who: 'sandbox', ...common(), words }),
    sluice(rollout, facts) {
      for (const { at, type, message } of facts.filter(isNews))
        add({ who: 'Sluice', ...common(), at, rollout, type, words: message });
    },
  };
}
