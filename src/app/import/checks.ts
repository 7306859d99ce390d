/** Checks as they are gathered: names of their own, and no more than a plan takes. */
import { checkName } from './names.ts';
import type { PlanDocument } from './note.ts';

const MOST_CHECKS = 20;

export interface Checks {
  /** Its name in the plan; null: the plan is full. The same check twice is one. */
  add(wanted: string, check: PlanDocument): string | null;
  list(): readonly PlanDocument[];
}

export function checks(): Checks {
  const byContent = new Map<string, string>();
  const list: PlanDocument[] = [];
  return {
    add(wanted, check) {
      const content = JSON.stringify(check);
      const known = byContent.get(content);
      if (known !== undefined) return known;
      if (list.length === MOST_CHECKS) return null;
      const name = checkName(wanted, new Set(byContent.values()));
      byContent.set(content, name);
      list.push({ name, ...check });
      return name;
    },
    list: () => list,
  };
}
