/** What the sandbox's page is told, by server-sent events named as the keys of `Events`. */

export type Version = 'stable' | 'canary' | 'nobody';

/** One request: who answered, whether it failed, milliseconds. */
export interface Bubble {
  readonly version: Version;
  readonly failed: boolean;
  readonly tookMs: number;
}

/** One in `every` of the requests that were over since the batch before. */
export interface Batch {
  readonly every: number;
  readonly shown: readonly Bubble[];
}

export interface Row {
  readonly version: Version;
  readonly requests: number;
  readonly failed: number;
  readonly slow: number;
}

/** All requests of the last `seconds`, none left out. */
export interface Counts {
  readonly seconds: number;
  /** Slow is what took longer. */
  readonly slowAfterMs: number;
  readonly rows: readonly Row[];
}

/** "down": its start failed, and it is tried again. */
export type ProcessState = 'running' | 'killed' | 'starting' | 'down';

export interface Rollout {
  readonly id: string;
  readonly status: string;
  readonly live: boolean;
  /** From 0; null before the first. */
  readonly step: number | null;
  readonly steps: number;
  /** In percent; null: not known. */
  readonly weight: number | null;
  readonly words: string;
}

export const ACTS = ['release', 'canary', 'kill', 'prometheus', 'route'] as const;
export type ActName = (typeof ACTS)[number];

/** What somebody did here, or what Sluice put down in the rollout's history. `at`: RFC 3339. */
export type Entry =
  | { readonly who: 'you'; readonly n: number; readonly at: string; readonly act: ActName; readonly words: string }
  | { readonly who: 'sandbox'; readonly n: number; readonly at: string; readonly words: string }
  | {
      readonly who: 'Sluice';
      readonly n: number;
      readonly at: string;
      readonly rollout: string;
      readonly type: string;
      readonly words: string;
    };

export interface State {
  readonly mesh: string;
  /** Sluice's own page, and what to sign in with. */
  readonly sluice: { readonly url: string; readonly token: string };
  /** Why nothing can be done now; null: everything can. */
  readonly busy: string | null;
  readonly canary: { readonly image: string; readonly errorRate: number; readonly latencyMs: number };
  /** Of the canary in the mesh object, in percent. */
  readonly weight: number | null;
  readonly process: { readonly state: ProcessState; readonly pid: number; readonly kills: number };
  readonly prometheus: 'answers' | 'hangs';
  /** The newest; null: there is none, or Sluice has not said yet. */
  readonly rollout: Rollout | null;
  /** The newest first. */
  readonly log: readonly Entry[];
}

export interface Events {
  readonly requests: Batch;
  readonly counts: Counts;
  readonly state: State;
}
