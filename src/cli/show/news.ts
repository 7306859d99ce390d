/** Which facts are news to somebody who looks on. The history keeps them all. */
import type { Happening } from '../kind.ts';

const GUARD = 'guard:';

/**
 * Of facts in their order, those worth a line. Each guard begins anew at each step: that it finds nothing is said of every
 * guard at every step, and would bury the rest. That it finds nothing again, after it had found something or had not known, is news.
 */
export function newsFilter(): (facts: readonly Happening[]) => readonly Happening[] {
  const before = new Map<string, string>();
  return (facts) =>
    facts.filter(({ type, data = {} }) => {
      const { check, verdict } = data;
      if (type !== 'verdict_changed' || typeof check !== 'string' || typeof verdict !== 'string') return true;
      if (!check.startsWith(GUARD)) return true;
      const last = before.get(check) ?? 'pass';
      before.set(check, verdict);
      return verdict !== 'pass' || last !== 'pass';
    });
}
