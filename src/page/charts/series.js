/** What the charts show, from what the API says. Pure. */

/** @typedef {import('../types.d.ts').Rollout} Rollout */
/** @typedef {import('../types.d.ts').Fact} Fact */
/** @typedef {import('../types.d.ts').Write} Write */
/** @typedef {import('../types.d.ts').Measurement} Measurement */
/** @typedef {{ readonly at: number, readonly value: number | null }} Sample */

/** Pauses in which Sluice leaves the object alone: then no weight is wanted. */
const HANDS_OFF = new Set(['drift', 'fighting', 'foreign_rollout', 'target_missing', 'route_refused']);

/** @param {unknown} value */
const numberOr = (value) => (typeof value === 'number' ? value : null);

/**
 * The weight that the mesh was to have, each from its time on; null: none.
 * @param {readonly Fact[]} facts in order
 * @returns {Sample[]}
 */
export function wantedWeights(facts) {
  /** @type {Sample[]} */
  const samples = [];
  let level = 0;
  for (const { type, at: time, data } of facts) {
    const at = Date.parse(time);
    if (type === 'created') samples.push({ at, value: 0 });
    if (type === 'weight_wanted') {
      level = numberOr(data['to']) ?? level;
      samples.push({ at, value: level });
    }
    if (type === 'paused' && HANDS_OFF.has(String(data['cause']))) samples.push({ at, value: null });
    if (type === 'resumed' && HANDS_OFF.has(String(data['cause']))) samples.push({ at, value: level });
    if (type === 'rollback_started') samples.push({ at, value: 0 });
    if (type === 'ended') samples.push({ at, value: samples.at(-1)?.value ?? null });
  }
  return samples;
}

/**
 * The weight as it was read from the mesh or written to it.
 * @param {readonly Fact[]} facts
 * @param {readonly Write[]} writes
 * @param {Rollout} rollout
 * @param {number} now
 * @returns {Sample[]}
 */
export function observedWeights(facts, writes, rollout, now) {
  /** @type {Sample[]} */
  const samples = [];
  for (const { type, at: time, data } of facts) {
    const at = Date.parse(time);
    if (type === 'created') samples.push({ at, value: 0 });
    if (type === 'weight_wanted') samples.push({ at, value: numberOr(data['from']) });
    if (type === 'weight_reached') samples.push({ at, value: numberOr(data['weight']) });
    if (type === 'drift_seen') samples.push({ at, value: numberOr(data['found']) });
    if (type === 'ended') samples.push({ at, value: rollout.weight.observed });
  }
  for (const { at, result, canaryWeight } of writes)
    if (result === 'applied') samples.push({ at: Date.parse(at), value: canaryWeight });
  if (rollout.endedAt === null) samples.push({ at: now, value: rollout.weight.observed });
  return samples.filter(({ value }) => value !== null).sort((a, b) => a.at - b.at);
}

/** When each step's weight was in force. @param {readonly Fact[]} facts @returns {{ at: number, weight: number | null }[]} */
export const stepTimes = (facts) =>
  facts.flatMap(({ type, at, data }) =>
    type === 'weight_reached' ? [{ at: Date.parse(at), weight: numberOr(data['weight']) }] : [],
  );

/** @param {readonly Fact[]} facts @param {number} end @returns {{ from: number, to: number, cause: string }[]} */
export function pauses(facts, end) {
  /** @type {{ from: number, to: number, cause: string }[]} */
  const list = [];
  /** @type {{ from: number, cause: string } | null} */
  let open = null;
  for (const { type, at: time, data } of facts) {
    const at = Date.parse(time);
    if (open !== null && ['resumed', 'weight_wanted', 'rollback_started', 'ended', 'paused'].includes(type)) {
      list.push({ ...open, to: at });
      open = null;
    }
    if (type === 'paused') open = { from: at, cause: String(data['cause'] ?? '') };
  }
  if (open !== null) list.push({ ...open, to: end });
  return list;
}

/** What people did. @param {readonly Fact[]} facts */
export const acts = (facts) =>
  facts.filter(({ actor, type }) => actor !== 'sluice' && type !== 'created' && type !== 'weight_wanted');

/**
 * Wilson's 95 % interval of a frequency: honest also near 0 and with few samples.
 * @param {number} value ratio
 * @param {number} samples
 * @returns {readonly [number, number]}
 */
export function interval(value, samples) {
  const z = 1.96;
  const n = Math.max(1, samples);
  const middle = value + (z * z) / (2 * n);
  const half = z * Math.sqrt((value * (1 - value)) / n + (z * z) / (4 * n * n));
  const whole = 1 + (z * z) / n;
  return [Math.max(0, (middle - half) / whole), Math.min(1, (middle + half) / whole)];
}

const SEVERITY = ['fail', 'error', 'inconclusive', 'pass'];

/**
 * At most one item per column of `width` pixels: the one with the worst verdict, so that thinning out hides no failure.
 * @template {{ readonly at: string, readonly verdict: string }} T
 * @param {readonly T[]} items in order of time
 * @param {(at: number) => number} x
 * @param {number} width
 * @returns {T[]}
 */
export function worstPerColumn(items, x, width) {
  /** @type {Map<number, T>} */
  const columns = new Map();
  for (const item of items) {
    const column = Math.floor(x(Date.parse(item.at)) / width);
    const known = columns.get(column);
    if (known === undefined || SEVERITY.indexOf(item.verdict) < SEVERITY.indexOf(known.verdict))
      columns.set(column, item);
  }
  return [...columns.values()];
}

/** Index of the last item not after `at`; the first where all are. @param {readonly { readonly at: string }[]} items @param {number} at */
export function indexAt(items, at) {
  let low = 0;
  let high = items.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (Date.parse(items[middle]?.at ?? '') <= at) low = middle;
    else high = middle - 1;
  }
  return low;
}
