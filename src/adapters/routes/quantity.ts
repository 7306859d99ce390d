/** Kubernetes quantities, as TrafficSplit v1alpha1 has them for weights: 1 is 1000m. */

const MILLI: Readonly<Record<string, number>> = {
  n: 1e-6,
  u: 1e-3,
  m: 1,
  '': 1e3,
  k: 1e6,
  M: 1e9,
  G: 1e12,
  T: 1e15,
  P: 1e18,
  E: 1e21,
  Ki: 1e3 * 2 ** 10,
  Mi: 1e3 * 2 ** 20,
  Gi: 1e3 * 2 ** 30,
  Ti: 1e3 * 2 ** 40,
  Pi: 1e3 * 2 ** 50,
  Ei: 1e3 * 2 ** 60,
};

const QUANTITY = /^\+?(\d+\.?\d*|\.\d+)(?:[eE]([+-]?\d{1,2})|([numkMGTPE]|[KMGTPE]i)?)$/;

/** In thousandths: 1 and "1" are 1000, "900m" is 900, "0.5" is 500. null: no quantity of 0 or more. */
export function milliOf(written: unknown): number | null {
  if (typeof written === 'number') return Number.isFinite(written) && written >= 0 ? written * 1000 : null;
  if (typeof written !== 'string') return null;
  const [match, digits, exponent, suffix] = QUANTITY.exec(written) ?? [];
  if (match === undefined) return null;
  const factor = exponent === undefined ? MILLI[suffix ?? ''] : 1000 * 10 ** Number(exponent);
  return factor === undefined ? null : Number(digits) * factor;
}

/** Is it written in thousandths? */
export const isMilli = (written: unknown): boolean => typeof written === 'string' && written.endsWith('m');
