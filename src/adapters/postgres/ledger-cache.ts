/**
 * Ledgers that this process wrote or read last, by rollout. One has some kilobytes, more with many callers, and reading it is most of the
 * work of loading a rollout that is compared; the row's version tells whether the copy is the present one.
 */
import type { Ledger } from '../../domain/evidence/ledger.ts';

export interface LedgerCopy {
  /** Version of the rollout that wrote it. */
  readonly version: number;
  readonly ledger: Ledger;
}

export interface LedgerCache {
  get(id: string): LedgerCopy | undefined;
  /** Never replaces a newer one: a late answer of the database must not. */
  set(id: string, copy: LedgerCopy): void;
  forget(id: string): void;
}

export function ledgerCache(limit: number): LedgerCache {
  // A Map iterates in order of insertion: the first key is the one that was not written for longest.
  const copies = new Map<string, LedgerCopy>();
  return {
    get: (id) => copies.get(id),
    set(id, copy) {
      const known = copies.get(id);
      if (known !== undefined && known.version >= copy.version) return;
      copies.delete(id);
      copies.set(id, copy);
      if (copies.size <= limit) return;
      const [oldest] = copies.keys();
      if (oldest !== undefined) copies.delete(oldest);
    },
    forget: (id) => void copies.delete(id),
  };
}
