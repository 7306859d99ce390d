/** A very small SVG writer: text in, a self-contained picture out. No script, no font but the reader's, readable on dark pages. */

export type Attributes = Readonly<Record<string, string | number>>;

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
/** Tenths of a pixel are enough, and keep the file small. */
const written = (value: string | number): string =>
  typeof value === 'number' ? String(Math.round(value * 10) / 10) : escaped(value);

export function element(name: string, attributes: Attributes, ...children: readonly string[]): string {
  const list = Object.entries(attributes).map(([key, value]) => ` ${key}="${written(value)}"`);
  const head = `<${name}${list.join('')}`;
  return children.length === 0 ? `${head}/>` : `${head}>${children.join('')}</${name}>`;
}

export const text = (x: number, y: number, words: string, more: Attributes = {}): string =>
  element('text', { x, y, ...more }, escaped(words));

export const line = (x1: number, y1: number, x2: number, y2: number, stroke: string, more: Attributes = {}): string =>
  element('line', { x1, y1, x2, y2, stroke, ...more });

export const dot = (cx: number, cy: number, r: number, fill: string, more: Attributes = {}): string =>
  element('circle', { cx, cy, r, fill, ...more });

export const path = (points: readonly (readonly [number, number])[], stroke: string, more: Attributes = {}): string =>
  element('polyline', {
    points: points.map(([x, y]) => `${written(x)},${written(y)}`).join(' '),
    fill: 'none',
    stroke,
    'stroke-width': 2,
    ...more,
  });

/** `title`: what the picture shows, for those who cannot see it too. */
export const picture = (width: number, height: number, title: string, parts: readonly string[]): string =>
  `${element(
    'svg',
    {
      xmlns: 'http://www.w3.org/2000/svg',
      viewBox: `0 0 ${width} ${height}`,
      width,
      height,
      role: 'img',
      'font-family': 'system-ui, sans-serif',
      'font-size': 12,
      fill: '#222',
    },
    `\n${element('title', {}, escaped(title))}`,
    `\n${element('rect', { width, height, fill: '#fff' })}`,
    ...parts.map((part) => `\n${part}`),
    '\n',
  )}\n`;

/** From values to pixels. */
export type Scale = (value: number) => number;

export const linear =
  (low: number, high: number, from: number, to: number): Scale =>
  (value) =>
    from + ((to - from) * (value - low)) / (high - low);

export const logarithmic = (low: number, high: number, from: number, to: number): Scale => {
  const scale = linear(Math.log(low), Math.log(high), from, to);
  return (value) => scale(Math.log(value));
};
