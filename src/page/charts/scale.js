/** From numbers to places on the screen, and ticks that people can read. */

/**
 * @typedef {object} Scale
 * @property {(value: number) => number} at pixels
 * @property {readonly [number, number]} domain
 * @property {readonly [number, number]} range
 */

/** @param {readonly [number, number]} domain @param {readonly [number, number]} range @returns {Scale} */
export function linear(domain, range) {
  const [d0, d1] = domain;
  const [r0, r1] = range;
  const span = d1 - d0 || 1;
  return { at: (value) => r0 + ((value - d0) / span) * (r1 - r0), domain, range };
}

/** Below `domain[0]` everything is at the bottom. @param {readonly [number, number]} domain above 0 @param {readonly [number, number]} range @returns {Scale} */
export function logarithmic(domain, range) {
  const inner = linear([Math.log10(domain[0]), Math.log10(domain[1])], range);
  return { at: (value) => inner.at(Math.log10(Math.max(domain[0], value))), domain, range };
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const TIME_STEPS = [
  ...[1, 2, 5, 10, 15, 30].map((n) => n * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((n) => n * MINUTE),
  ...[1, 2, 3, 6, 12].map((n) => n * HOUR),
  ...[1, 2, 7, 14, 30].map((n) => n * DAY),
];

/**
 * Round times of the viewer's clock within the domain, about `wanted` of them.
 * @param {readonly [number, number]} domain
 * @param {number} wanted
 */
export function timeTicks([from, to], wanted) {
  const step = TIME_STEPS.find((size) => (to - from) / size <= wanted) ?? 90 * DAY;
  const zone = new Date(from).getTimezoneOffset() * MINUTE;
  const ticks = [];
  for (let at = Math.ceil((from - zone) / step) * step + zone; at <= to; at += step) ticks.push(at);
  return { ticks, step };
}

/** @param {number} at @param {number} step distance of the ticks */
export function timeLabel(at, step) {
  const date = new Date(at);
  if (step >= DAY) return date.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' });
  const time = date.toLocaleTimeString('en-GB', {
    hour: '2-digit',
    minute: '2-digit',
    ...(step < MINUTE ? { second: '2-digit' } : {}),
  });
  return time;
}

/** Round values from 0 up to at least `max`. @param {number} max @param {number} wanted */
export function valueTicks(max, wanted) {
  const raw = max / wanted;
  const size = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((n) => n * size).find((n) => max / n <= wanted) ?? 10 * size;
  const ticks = [];
  for (let i = 0; i * step <= max * 1.0001; i += 1) ticks.push(i * step);
  return ticks;
}

/** A point, or a gap in the line. @typedef {readonly [number, number] | null} Point */

/** @param {number} n */
const short = (n) => String(Math.round(n * 100) / 100);

/** Straight from point to point. @param {readonly Point[]} points in pixels */
export function linePath(points) {
  let path = '';
  let pen = false;
  for (const point of points) {
    if (point !== null) path += `${pen ? 'L' : 'M'}${short(point[0])} ${short(point[1])}`;
    pen = point !== null;
  }
  return path;
}

/** Level until the next point. @param {readonly Point[]} points in pixels */
export function stairPath(points) {
  let path = '';
  /** @type {Point} */
  let last = null;
  for (const point of points) {
    if (point !== null)
      path += last === null ? `M${short(point[0])} ${short(point[1])}` : `H${short(point[0])}V${short(point[1])}`;
    last = point;
  }
  return path;
}
