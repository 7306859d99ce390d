/** The shapes that the page reads: those that the server sends. */
export type { ActName, Batch, Bubble, Counts, Entry, Events, Rollout, State, Version } from '../wire.ts';
