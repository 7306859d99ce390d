/** Any document as indented lines: for answers whose shape is the server's own business. Pure. */
import { duration, plain } from '../../domain/format.ts';
import type { Line } from './line.ts';
import { table, toned } from './line.ts';

type Json = Readonly<Record<string, unknown>>;
const isRecord = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isScalar = (value: unknown): boolean => typeof value !== 'object' || value === null;
/** Figures of one kind stand in one line, each with its unit. */
const isFigures = (value: unknown): value is readonly number[] =>
  Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === 'number');

/** "canaryWeightNow" -> "canary weight now"; the unit is in the value. */
export const title = (key: string): string =>
  key
    .replace(/Ms$/, '')
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replaceAll('_', ' ')
    .toLowerCase();

/** Of figures whose name does not end in theirs. */
const UNITS: Readonly<Record<string, readonly [one: string, many: string]>> = { harm: ['request', 'requests'] };

export function scalar(key: string, value: unknown): string {
  if (value === null || value === undefined) return '-';
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (typeof value !== 'number') return String(value);
  if (/Ms$/.test(key)) return value === 0 ? '0 ms' : duration(value);
  const unit = Object.hasOwn(UNITS, key) ? UNITS[key] : undefined;
  if (unit !== undefined) return `${plain(value)} ${unit[value === 1 ? 0 : 1]}`;
  return /percent$/i.test(key) ? `${plain(value)} %` : plain(value);
}

const SENTENCES = ['words', 'sentence', 'sentences'];

/**
 * Sentences come first: they say what the figures mean. Then single figures, then the rest. `within`: the key that holds the
 * document, which has the unit of its figures where they have none of their own ("intervalPercent": low and high).
 */
export function documentLines(document: unknown, indent = 0, within = ''): readonly Line[] {
  const space = ' '.repeat(indent);
  if (Array.isArray(document)) return listLines(document, indent);
  if (!isRecord(document)) return [[`${space}${scalar('', document)}`]];
  const entries = Object.entries(document);
  const sentences = entries.filter(([key]) => SENTENCES.includes(key));
  const others = entries.filter(([key]) => !SENTENCES.includes(key));
  const isShort = (value: unknown): boolean => isScalar(value) || isFigures(value);
  const rest = [...others.filter(([, value]) => isShort(value)), ...others.filter(([, value]) => !isShort(value))];
  const width = Math.max(0, ...rest.filter(([, value]) => isShort(value)).map(([key]) => title(key).length));
  return [
    ...sentences.flatMap(([, value]) => listLines([value].flat(), indent)),
    ...rest.flatMap(([key, value]): Line[] =>
      isShort(value)
        ? [[toned('quiet', `${space}${title(key).padEnd(width)}  `), figures(hasUnit(within) ? within : key, value)]]
        : isEmpty(value)
          ? []
          : [[toned('strong', `${space}${title(key)}`)], ...documentLines(value, indent + 2, key)],
    ),
  ];
}

const hasUnit = (key: string): boolean => /Ms$|percent$/i.test(key);

const figures = (key: string, value: unknown): string =>
  isFigures(value) ? value.map((one) => scalar(key, one)).join(', ') : scalar(key, value);

const isEmpty = (value: unknown): boolean => Object.keys(value as object).length === 0;

function listLines(list: readonly unknown[], indent: number): readonly Line[] {
  const space = ' '.repeat(indent);
  if (list.every(isScalar)) return list.map((value): Line => [`${space}${scalar('', value)}`]);
  const records = list.filter(isRecord);
  const flat = records.length === list.length && records.every((record) => Object.values(record).every(isScalar));
  if (!flat) return list.flatMap((value) => [[`${space}-`] as Line, ...documentLines(value, indent + 2)]);
  const keys = [...new Set(records.flatMap((record) => Object.keys(record)))];
  const rows = [keys.map(title), ...records.map((record) => keys.map((key) => scalar(key, record[key])))];
  return table(rows).map((line): Line => [space, ...line]);
}
