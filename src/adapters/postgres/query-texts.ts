/**
 * Texts of queries, kept apart from the measurements that they gave. What this process has stored already is remembered,
 * so that a commit carries a text once and after that only its number.
 */
import { hash } from 'node:crypto';
import type { Measurement } from '../../domain/observation.ts';
import { storable } from './text.ts';

export interface QueryText {
  readonly id: string;
  readonly text: string;
}

export interface QueryTexts {
  /** Those of the measurements that are not known to be stored with the rollout, each once. */
  unknown(rolloutId: string, measurements: readonly Measurement[]): readonly QueryText[];
  /** To be called when they are: a commit that did not land must send them again. */
  stored(rolloutId: string, texts: readonly QueryText[]): void;
}

/** A number made from the text, in the form of a UUID. */
export function queryId(text: string): string {
  const hex = hash('sha256', text, 'hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`;
}

/** Rollouts that are remembered; least recently used out first. A few hundred bytes each. */
const ROLLOUTS = 8_192;

export function queryTexts(limit = ROLLOUTS): QueryTexts {
  const known = new Map<string, Set<string>>();
  return {
    unknown(rolloutId, measurements) {
      const ours = known.get(rolloutId);
      const missing = new Map<string, string>();
      for (const { canary, stable } of measurements)
        for (const text of [canary.query, stable?.query]) {
          if (text === undefined) continue;
          const id = queryId(text);
          if (ours?.has(id) !== true) missing.set(id, text);
        }
      return [...missing].map(([id, text]) => ({ id, text: storable(text) }));
    },
    stored(rolloutId, texts) {
      const ours = known.get(rolloutId) ?? new Set();
      known.delete(rolloutId);
      known.set(rolloutId, ours);
      for (const { id } of texts) ours.add(id);
      if (known.size <= limit) return;
      const [oldest] = known.keys();
      if (oldest !== undefined) known.delete(oldest);
    },
  };
}
