/** What an import says: of every field of what was given, what becomes of it. */

/**
 * maps: it means the same. differs: it becomes something that behaves otherwise, as the message tells. unsupported: it is
 * lost. ignored: it has no part in a rollout, or in one by Sluice.
 */
export type Verdict = 'maps' | 'differs' | 'unsupported' | 'ignored';

export interface Note {
  readonly source: {
    /** Index of the document among those given, from 0. */
    readonly document: number;
    readonly kind: string;
    readonly name: string;
    /** JSON pointer into that document. */
    readonly pointer: string;
    /** From 1; null: not known. */
    readonly line: number | null;
  };
  readonly verdict: Verdict;
  /** What it becomes, how that differs, what to do. */
  readonly message: string;
  /** Without it the rollout would be less safe than the original: only with the caller's word for it. */
  readonly blocks: boolean;
}

/** What the documents do not say. */
export interface Question {
  /** JSON pointer into the plan. */
  readonly pointer: string;
  /** The value that stands there until somebody says better; null: nothing stands there. */
  readonly assumed: string | null;
  readonly message: string;
}

export interface SourceDocument {
  readonly value: unknown;
  /** Line of a JSON pointer in the text, from 1; null: not known. */
  readonly lineOf: (pointer: string) => number | null;
}

/** A plan as people write it: durations and percentages with their units. */
export type PlanDocument = Readonly<Record<string, unknown>>;

export interface Imported {
  /** null: there is nothing in the documents that a mesh of Sluice's could move. */
  readonly plan: PlanDocument | null;
  readonly notes: readonly Note[];
  readonly questions: readonly Question[];
}

/** What people add, since the documents cannot know it. */
export interface Answers {
  readonly cluster?: string | undefined;
  readonly namespace?: string | undefined;
  readonly mesh?: MeshName | undefined;
  /** Who carries out the routes of gateway-api. */
  readonly proxy?: ProxyName | undefined;
  /** Deployments of the two versions. */
  readonly stable?: string | undefined;
  readonly canary?: string | undefined;
  /** Host of a route that tells versions apart by subset. */
  readonly host?: string | undefined;
}

export const MESHES = ['istio', 'linkerd-smi', 'gateway-api'] as const;
export type MeshName = (typeof MESHES)[number];
export const PROXIES = ['istio', 'linkerd'] as const;
export type ProxyName = (typeof PROXIES)[number];

/** Is anything lost that the rollout would be less safe without? */
export const isBlocked = ({ plan, notes }: Imported): boolean => plan === null || notes.some(({ blocks }) => blocks);
