/** Numbers, durations and times as people read them. The first four say the same as the service's own sentences. */

/** @param {string} text */
const trim = (text) => (text.includes('.') ? text.replace(/\.?0+$/, '') : text);

/** 0.0312 -> "3.12 %". @param {number} ratio */
export const percent = (ratio) => {
  const value = ratio * 100;
  if (value === 0) return '0 %';
  return `${trim(Math.abs(value) >= 1 ? value.toFixed(2) : value.toPrecision(3))} %`;
};

/** "1.2 s", "340 ms". @param {number} ms */
export const latency = (ms) =>
  Math.abs(ms) >= 1000 ? `${trim((ms / 1000).toFixed(2))} s` : `${trim(ms.toFixed(ms < 10 ? 2 : 0))} ms`;

/** "13,290". @param {number} n */
export const count = (n) => Math.round(n).toLocaleString('en-US');

/** At most four significant digits. @param {number} n */
export const plain = (n) => (Number.isInteger(n) ? String(n) : String(Number(n.toPrecision(4))));

/** Weights and shares: "25 %", "24.97 %". @param {number | null} value */
export const weight = (value) => (value === null ? '–' : `${plain(Math.round(value * 100) / 100)} %`);

/** A value in the unit of its check. @param {string} kind @param {number | null} value */
export function inUnit(kind, value) {
  if (value === null) return '–';
  if (kind === 'error-rate') return percent(value);
  return kind === 'latency' ? latency(value) : plain(value);
}

/** @type {readonly (readonly [number, string])[]} */
const UNITS = [
  [86_400, 'd'],
  [3600, 'h'],
  [60, 'm'],
  [1, 's'],
];

/** The two largest units: "4 m 10 s". @param {number} ms */
export function duration(ms) {
  let seconds = Math.max(0, Math.round(ms / 1000));
  const parts = [];
  for (const [size, unit] of UNITS) {
    const n = Math.floor(seconds / size);
    if (n > 0) parts.push(`${n} ${unit}`);
    seconds -= n * size;
  }
  return parts.slice(0, 2).join(' ') || '0 s';
}

/** "1m30s" of a plan -> 90000; null: no duration. @param {unknown} text */
export function planDuration(text) {
  if (typeof text !== 'string' || !/^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/.test(text)) return null;
  /** @type {Record<string, number>} */
  const unit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
  let total = 0;
  for (const [, amount, name] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g))
    total += Number(amount) * (unit[name ?? ''] ?? Number.NaN);
  return Math.round(total);
}

/** By a 24-hour clock in the viewer's zone: "14:03:11". @param {number} at */
export const clock = (at) =>
  new Date(at).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });

/** "26 Nov 14:03". @param {number} at */
export const moment = (at) =>
  new Date(at).toLocaleString('en-GB', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });

/** For tooltips: no zone to guess. @param {string} time */
export const utc = (time) => `${time.replace('T', ' ').replace(/\.\d+/, '').replace('Z', '')} UTC`;

/** "2 min ago", "yesterday's" date. @param {number} at @param {number} now */
export function ago(at, now) {
  const ms = now - at;
  if (ms < 5_000) return 'just now';
  if (ms < 86_400_000) return `${duration(ms).split(' ').slice(0, 2).join(' ')} ago`;
  return moment(at);
}
