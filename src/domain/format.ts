/** Numbers as people read them in outcomes and on the page. */

const trim = (text: string): string => (text.includes('.') ? text.replace(/\.?0+$/, '') : text);

/** 0.0312 -> "3.12 %". Three significant digits: 0.000123 stays visible as "0.0123 %". */
export const percent = (ratio: number): string => {
  const value = ratio * 100;
  if (value === 0) return '0 %';
  return `${trim(Math.abs(value) >= 1 ? value.toFixed(2) : value.toPrecision(3))} %`;
};

/** Milliseconds -> "1.2 s", "340 ms". */
export const latency = (ms: number): string =>
  Math.abs(ms) >= 1000 ? `${trim((ms / 1000).toFixed(2))} s` : `${trim(ms.toFixed(ms < 10 ? 2 : 0))} ms`;

/** Milliseconds -> the two largest units: "4 m 10 s". */
export const duration = (ms: number): string => {
  const seconds = Math.round(ms / 1000);
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor((seconds % 86_400) / 3600), 'h'],
    [Math.floor((seconds % 3600) / 60), 'm'],
    [seconds % 60, 's'],
  ] as const;
  const shown = parts.filter(([n]) => n > 0).slice(0, 2);
  return shown.map(([n, unit]) => `${n} ${unit}`).join(' ');
};

/** 13290 -> "13,290". Counts that Prometheus extrapolated are rounded. */
export const count = (n: number): string => Math.round(n).toLocaleString('en-US');

/** A bare number with at most four significant digits. */
export const plain = (n: number): string => (Number.isInteger(n) ? String(n) : String(Number(n.toPrecision(4))));
