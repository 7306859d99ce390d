/** A request as a shape: the version is its form and its colour, a failure a cross in it, and a slow answer makes it large. */
import { s } from '../../../page/dom.js';

/** @typedef {import('./types.d.ts').Bubble} Bubble */

const SMALL = 7;
const LARGE = 15;
/** Milliseconds for one more unit of size. */
const PER_UNIT = 90;

/** @param {number} tookMs */
export const radiusOf = (tookMs) => Math.min(LARGE, SMALL + tookMs / PER_UNIT);

/** Drawn around 0, 0. @param {Bubble} bubble */
export function symbol({ version, failed, tookMs }) {
  const r = radiusOf(tookMs);
  return s(
    'g',
    { class: `bubble bubble-${version}${failed ? ' failed' : ''}`, 'data-version': version, 'data-failed': failed },
    form(version, r),
    failed
      ? s('path', { class: 'cross', d: `M${-r / 2} ${-r / 2}L${r / 2} ${r / 2}M${r / 2} ${-r / 2}L${-r / 2} ${r / 2}` })
      : null,
  );
}

/** @param {Bubble['version']} version @param {number} r */
function form(version, r) {
  switch (version) {
    case 'stable':
      return s('circle', { r });
    case 'canary':
      return s('rect', { x: -r * 0.9, y: -r * 0.9, width: r * 1.8, height: r * 1.8, rx: r / 4 });
    case 'nobody':
      return s('path', { d: `M0 ${-r}L${r} ${r * 0.9}H${-r}Z` });
  }
}

/** The same in a line of text. @param {Bubble} bubble */
export function inText(bubble) {
  const half = Math.ceil(radiusOf(bubble.tookMs)) + 2;
  const box = { width: 2 * half, height: 2 * half, viewBox: `${-half} ${-half} ${2 * half} ${2 * half}` };
  return s('svg', { class: 'symbol', ...box, 'aria-hidden': 'true' }, symbol(bubble));
}
