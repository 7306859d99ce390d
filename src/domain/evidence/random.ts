/** Chance that can be repeated: the same keys give the same numbers on every machine. For the back-test, not for secrets. */

/** Numbers in [0, 1). */
export type Uniform = () => number;

const GOLDEN = 0x9e3779b9;

/** Finalizer of MurmurHash3: every bit of the input reaches every bit of the output. */
function mixed(x: number): number {
  let z = x;
  z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
  z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
  return (z ^ (z >>> 16)) >>> 0;
}

/** A counter that is mixed (SplitMix: Steele, Lea and Flood, 2014), begun at a place of its own for every list of keys. */
export function seeded(...keys: readonly number[]): Uniform {
  let x = keys.reduce((seed, key) => mixed((seed ^ (key | 0)) + GOLDEN), 0);
  return () => {
    x = (x + GOLDEN) | 0;
    return mixed(x) / 4_294_967_296;
  };
}

/** Up to this mean the distribution is summed up exactly; beyond it is normal but for its skewness. */
const SMALL = 30;

/**
 * How many of `n` have a property that each has with probability `p`. Takes one number from `uniform` whatever it answers,
 * and for the same number answers more for a greater `p` (but for a few at the mean where the method changes): two runs
 * that differ in `p` alone can be compared draw by draw. Of a fraction of a request (Prometheus makes such) it counts its part of `p`.
 */
export function binomial(uniform: Uniform, n: number, p: number): number {
  const u = uniform();
  if (p <= 0 || n <= 0) return 0;
  if (p >= 1) return n;
  const whole = Math.floor(n);
  return (n - whole) * p + (p <= 0.5 ? quantile(whole, p, u) : whole - quantile(whole, 1 - p, 1 - u));
}

/** The rarest draw that is told from none: the distribution's parts sum up to a little under 1, and a chance of 1 would be beyond them all. */
const RAREST = 1e-12;

/** The least count that is exceeded with probability at most 1 - chance; 0 < p <= 1/2. */
function quantile(n: number, p: number, chance: number): number {
  const mean = n * p;
  const u = Math.min(Math.max(chance, RAREST), 1 - RAREST);
  if (mean >= SMALL) {
    // The second term of Cornish and Fisher (1938): without it the far tails miss up to four at the mean where the method changes.
    const z = normalQuantile(u);
    return Math.min(n, Math.max(0, Math.round(mean + Math.sqrt(mean * (1 - p)) * z + ((1 - 2 * p) * (z * z - 1)) / 6)));
  }
  // Inversion of the distribution function (BINV of Kachitvichyanukul and Schmeiser, 1988).
  let left = u;
  let part = Math.exp(n * Math.log1p(-p));
  let k = 0;
  while (left > part && k < n) {
    left -= part;
    k++;
    part *= ((n - k + 1) / k) * (p / (1 - p));
  }
  return k;
}

/** Of the standard normal distribution (Abramowitz and Stegun 26.2.23: absolute error below 4.5e-4). */
function normalQuantile(u: number): number {
  const tail = Math.min(u, 1 - u);
  const t = Math.sqrt(-2 * Math.log(tail));
  const z = t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
  return u < 0.5 ? -z : z;
}
