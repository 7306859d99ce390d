/** Random numbers that can be repeated: the same seed gives the same choices. */

/** Uniform in [0, 1). */
export type Random = () => number;

/** A counter through an integer hash (Weyl sequence, then two xor-multiply rounds): plenty for choosing backends. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32;
  };
}

/** One of `items`, each with chance weight / sum; undefined where there are none. */
export function weighted<T extends { readonly weight: number }>(items: readonly T[], random: Random): T | undefined {
  let left = random() * items.reduce((sum, item) => sum + item.weight, 0);
  return items.find((item) => {
    left -= item.weight;
    return left < 0;
  });
}

/** From a normal distribution with mean 0 and deviation 1 (Box and Muller). */
export const normal = (random: Random): number =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
