/** Where requests rise as bubbles; or, for people who want no motion, stand in rows, each taking the place of the oldest. */
import { symbol } from './symbols.js';

/** @typedef {import('./types.d.ts').Batch} Batch */
/** @typedef {import('./types.d.ts').Bubble} Bubble */

const MOST = 400;
const RISE_MS = 2600;
/** A slow answer rises slowly, too: at most this much longer. */
const SLOWEST_MS = 3000;
const EDGE = 20;
const CELL = 34;
/** Of the server's batches: their bubbles do not all start at once. */
const BATCH_MS = 200;

/** @param {SVGElement} field */
export function bubbles(field) {
  const still = matchMedia('(prefers-reduced-motion: reduce)');
  let place = 0;
  still.addEventListener('change', () => {
    field.replaceChildren();
    place = 0;
  });

  /** @param {Bubble} bubble @param {number} delay */
  const rise = (bubble, delay) => {
    const { width, height } = field.getBoundingClientRect();
    const element = symbol(bubble);
    const x = EDGE + Math.random() * Math.max(0, width - 2 * EDGE);
    field.append(element);
    const up = element.animate(
      [{ transform: `translate(${x}px, ${height + EDGE}px)` }, { transform: `translate(${x}px, ${-EDGE}px)` }],
      { duration: RISE_MS + Math.min(SLOWEST_MS, 2 * bubble.tookMs), fill: 'both' },
    );
    // By the clock and not with the next frame: on a busy machine those of many batches would start with the same one.
    up.startTime = performance.now() + delay;
    up.addEventListener('finish', () => element.remove());
    while (field.childElementCount > MOST) field.firstElementChild?.remove();
  };

  /** @param {Bubble} bubble */
  const stand = (bubble) => {
    const { width, height } = field.getBoundingClientRect();
    const columns = Math.max(1, Math.floor(width / CELL));
    const rows = Math.max(1, Math.floor(height / CELL));
    const at = place % (columns * rows);
    place = at + 1;
    const element = symbol(bubble);
    element.setAttribute(
      'transform',
      `translate(${((at % columns) + 0.5) * CELL} ${(Math.floor(at / columns) + 0.5) * CELL})`,
    );
    const old = field.children[at];
    if (old === undefined) field.append(element);
    else old.replaceWith(element);
    // After the window became smaller, what stood outside.
    while (field.childElementCount > columns * rows) field.lastElementChild?.remove();
  };

  /** @param {Batch} batch */
  return ({ shown }) => {
    // A hidden page would hear of them all at once when it is looked at again.
    if (document.hidden) return;
    shown.forEach((bubble, i) => {
      if (still.matches) stand(bubble);
      else rise(bubble, (i * BATCH_MS) / shown.length);
    });
  };
}
