/** When the starting wealth is bet: part at the beginning, the rest at the minutes of the planned time, for late changes. */

export interface Deposits {
  /** Milliseconds after the canary's first traffic in which nothing is bet, or little is won: the warm-up. */
  readonly after: number;
  /**
   * Each bet of the opening is multiplied by at most this in the warm-up; what it wins beyond is given away. A cold
   * start then never decides, and a bug need not be found anew. Absent: nothing is bet in the warm-up.
   */
  readonly headStart?: number;
  /** Part of the wealth that is bet then, 0 to 1. The rest is spread over the minute marks up to `horizon`. */
  readonly opening: number;
  /** Milliseconds after the canary's first traffic; later changes are found with what was bet before. */
  readonly horizon: number;
}

const MINUTE = 60_000;

const marksUntil = (plan: Deposits, time: number): number =>
  Math.max(0, Math.floor((Math.min(time, plan.horizon) - plan.after) / MINUTE));

/**
 * What is to be bet before the block that begins at `from`, given that everything due before `since` has been bet
 * (null: nothing yet). Depends on time alone, so a gap pays late and a repeated block pays nothing.
 */
export function due(plan: Deposits, since: number | null, from: number): number {
  const opens = plan.headStart === undefined ? plan.after : 0;
  if (from < opens) return 0;
  const opening = since === null || since < opens ? plan.opening : 0;
  const marks = marksUntil(plan, plan.horizon);
  if (marks === 0) return opening === 0 ? 0 : 1;
  const passed = marksUntil(plan, from) - (since === null ? 0 : marksUntil(plan, since));
  return opening + ((1 - plan.opening) * passed) / marks;
}
