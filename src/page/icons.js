/** Shapes that say what colours say, for those who cannot tell them apart. Drawn on 16 by 16. */
import { s } from './dom.js';

/** @type {Readonly<Record<string, string>>} */
const PATHS = {
  // states
  pending:
    'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2Zm0 1.6a4.4 4.4 0 1 1 0 8.8 4.4 4.4 0 0 1 0-8.8Zm-.8 1.7h1.5v2.5l1.8 1.1-.8 1.2-2.5-1.5V5.300Z',
  progressing: 'M4 2.500v11l9.500-5.500L4 2.500Z',
  paused: 'M3.500 2.500h3.200v11H3.500v-11Zm5.800 0h3.200v11H9.300v-11Z',
  rolling_back: 'M7 2.500v3h2.500a4 4 0 0 1 0 8H5v-2h4.500a2 2 0 1 0 0-4H7v3L2 6.500l5-4Z',
  succeeded: 'm6.300 12.800-4.100-4.100 1.700-1.700 2.400 2.400 5.800-5.900 1.700 1.700-7.500 7.600Z',
  rolled_back: 'M7 2.500v3h2.500a4 4 0 0 1 0 8H5v-2h4.500a2 2 0 1 0 0-4H7v3L2 6.500l5-4Z',
  aborted: 'M3 3h10v10H3V3Z',
  superseded: 'm3 3 5 5-5 5V3Zm5 0 5 5-5 5V3Z',
  failed: 'M8 1.500 15 14H1L8 1.500Zm-.9 4.700.3 4h1.200l.3-4H7.100Zm.9 4.900a.9.9 0 1 0 0 1.800.9.9 0 0 0 0-1.800Z',
  running: 'M4 2.500v11l9.500-5.500L4 2.500Z',
  baking:
    'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2Zm0 1.6a4.4 4.4 0 1 1 0 8.8 4.4 4.4 0 0 1 0-8.8Zm-.8 1.7h1.500v2.500l1.800 1.100-.8 1.200-2.500-1.500V5.300Z',
  guarding:
    'M8 1.500 13.500 3.500v4c0 3.300-2.300 5.800-5.500 7-3.200-1.200-5.500-3.700-5.500-7v-4L8 1.500Zm0 1.800L4.100 4.700v2.800c0 2.400 1.600 4.300 3.900 5.300 2.300-1 3.900-2.900 3.900-5.300V4.700L8 3.300Z',
  strict: 'M8 1.500 13.500 3.500v4c0 3.300-2.300 5.800-5.500 7-3.200-1.200-5.500-3.700-5.500-7v-4L8 1.500Z',
  // verdicts
  pass: 'M8 3a5 5 0 1 0 0 10A5 5 0 0 0 8 3Z',
  fail: 'M4.200 2.500 8 6.300l3.800-3.800 1.700 1.700L9.700 8l3.800 3.800-1.700 1.700L8 9.700l-3.800 3.800-1.700-1.700L6.300 8 2.500 4.200l1.700-1.700Z',
  inconclusive: 'M8 1.500 14.500 8 8 14.500 1.500 8 8 1.500Zm0 2.600L4.100 8 8 11.900 11.900 8 8 4.100Z',
  error: 'M3 3h10v10H3V3Zm2 2v6h6V5H5Z',
  none: 'M3 7.200h10v1.600H3V7.200Z',
  warn: 'M8 1.500 15 14H1L8 1.500Zm-.9 4.700.3 4h1.200l.3-4H7.100Zm.9 4.900a.9.9 0 1 0 0 1.800.9.9 0 0 0 0-1.800Z',
  unknown: 'M8 1.500 14.500 8 8 14.500 1.500 8 8 1.500Zm0 2.600L4.100 8 8 11.900 11.900 8 8 4.100Z',
  person: 'M8 2a3 3 0 1 1 0 6 3 3 0 0 1 0-6Zm0 7c3 0 5.500 1.700 5.500 4v1h-11v-1c0-2.300 2.500-4 5.500-4Z',
  out: 'M9 2h5v5h-1.700V4.900L7.600 9.600 6.400 8.400l4.700-4.700H9V2ZM3 4h3.500v1.700H4.700v5.600h5.600V9.500H12V13H3V4Z',
  theme: 'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2Zm0 1.600v8.800a4.400 4.400 0 0 1 0-8.800Z',
};

/**
 * @param {string} name
 * @param {string} [label] what it says where no words stand beside it
 */
export const icon = (name, label) =>
  s(
    'svg',
    {
      class: `icon icon-${name}`,
      viewBox: '0 0 16 16',
      ...(label === undefined ? { 'aria-hidden': 'true' } : { role: 'img', 'aria-label': label }),
    },
    s('path', { d: PATHS[name] ?? PATHS['none'] ?? '', 'fill-rule': 'evenodd' }),
  );

/** @param {string} name */
export const pathOf = (name) => PATHS[name] ?? PATHS['none'] ?? '';
