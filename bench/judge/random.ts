/** Seeded random numbers: the same seed gives the same run on every machine. */

export interface Random {
  /** In [0, 1). */
  uniform(): number;
  poisson(mean: number): number;
}

/** xoshiro128**, seeded by splitmix32 (Blackman and Vigna). */
export function seeded(seed: number): Random {
  let x = seed | 0;
  const split = (): number => {
    x = (x + 0x9e3779b9) | 0;
    let z = x;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return (z ^ (z >>> 16)) >>> 0;
  };
  let a = split();
  let b = split();
  let c = split();
  let d = split();
  const next = (): number => {
    const m = Math.imul(b, 5);
    const result = Math.imul((m << 7) | (m >>> 25), 9) >>> 0;
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = (d << 11) | (d >>> 21);
    return result;
  };
  const uniform = (): number => next() / 4294967296;
  return { uniform, poisson: (mean) => poisson(uniform, mean) };
}

/** Below this mean one uniform number and a short search; above, rejection. */
const SEARCHED = 10;

/** An exact Poisson count, but for the 32 bits of the uniform numbers. */
function poisson(uniform: () => number, mean: number): number {
  if (mean <= 0) return 0;
  if (mean >= SEARCHED) return rejected(uniform, mean);
  let left = uniform();
  let p = Math.exp(-mean);
  let k = 0;
  // The bound is only reached by rounding: the probability of 100 and more is below 1e-60.
  while (left >= p && k < 100) {
    left -= p;
    k++;
    p *= mean / k;
  }
  return k;
}

/** Transformed rejection with squeeze (PTRS: Hörmann 1993): one or two pairs of uniform numbers whatever the mean. */
function rejected(uniform: () => number, mean: number): number {
  const b = 0.931 + 2.53 * Math.sqrt(mean);
  const a = -0.059 + 0.02483 * b;
  const squeeze = 0.9277 - 3.6224 / (b - 2);
  for (;;) {
    const u = uniform() - 0.5;
    const v = uniform();
    const edge = 0.5 - Math.abs(u);
    const k = Math.floor(((2 * a) / edge + b) * u + mean + 0.43);
    if (edge >= 0.07 && v <= squeeze) return k;
    if (k < 0 || (edge < 0.013 && v > edge)) continue;
    const hat = Math.log((v * (1.1239 + 1.1328 / (b - 3.4))) / (a / (edge * edge) + b));
    if (hat <= k * Math.log(mean) - mean - logFactorial(k)) return k;
  }
}

const LOG_FACTORIALS = new Float64Array(256);
for (let k = 2; k < LOG_FACTORIALS.length; k++) LOG_FACTORIALS[k] = (LOG_FACTORIALS[k - 1] as number) + Math.log(k);

/** ln k!, by Stirling's series from 256 on (error below 1e-15). */
const logFactorial = (k: number): number =>
  k < LOG_FACTORIALS.length
    ? (LOG_FACTORIALS[k] as number)
    : (k + 0.5) * Math.log(k) - k + 0.5 * Math.log(2 * Math.PI) + 1 / (12 * k) - 1 / (360 * k * k * k);

/** Standard normal distribution function (Abramowitz and Stegun 7.1.26: absolute error below 1.5e-7). */
export function normalBelow(z: number): number {
  const t = 1 / (1 + (0.3275911 * Math.abs(z)) / Math.SQRT2);
  const poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  const erf = 1 - poly * Math.exp((-z * z) / 2);
  return z >= 0 ? (1 + erf) / 2 : (1 - erf) / 2;
}
