/** Lists of weights that fit into a plan. */

/** All traffic: the promotion, which is not a step. */
export const WHOLE = 100;
/** Of a plan; some are left for steps beside weights. */
export const MOST_STEPS = 40;

/** As many as a plan takes, first and last among them. */
export function thinned(weights: readonly number[]): readonly number[] {
  if (weights.length <= MOST_STEPS) return weights;
  const every = (weights.length - 1) / (MOST_STEPS - 1);
  return Array.from({ length: MOST_STEPS }, (_, at) => weights[Math.round(at * every)] ?? 0);
}
