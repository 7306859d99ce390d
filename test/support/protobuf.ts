/** The protobuf exposition of metrics, as far as a native histogram needs it: Prometheus scrapes those in no other form. */
import type { Labels } from './counting-dialects.ts';

export const PROTOBUF = 'application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited';

export interface NativeMetric {
  readonly labels: Labels;
  /** Bucket i ends at 2^(i / 2^schema). */
  readonly schema: number;
  /** Observations by index of their bucket. */
  readonly buckets: ReadonlyMap<number, number>;
}

export interface CounterMetric {
  readonly labels: Labels;
  readonly value: number;
}

export const counterFamily = (name: string, metrics: readonly CounterMetric[]): Buffer =>
  family(
    name,
    COUNTER,
    metrics.map(({ labels, value }) => [...labelPairs(labels), message(3, [double(1, value)])]),
  );

export const nativeFamily = (name: string, metrics: readonly NativeMetric[]): Buffer =>
  family(
    name,
    HISTOGRAM,
    metrics.map(({ labels, schema, buckets }) => [...labelPairs(labels), message(7, native(schema, buckets))]),
  );

const COUNTER = 0;
const HISTOGRAM = 4;

/** Length first: many families in one body. */
function family(name: string, type: number, metrics: readonly (readonly Buffer[])[]): Buffer {
  const body = Buffer.concat([text(1, name), integer(3, type), ...metrics.map((parts) => message(4, parts))]);
  return Buffer.concat([varint(BigInt(body.length)), body]);
}

const labelPairs = (labels: Labels): readonly Buffer[] =>
  Object.entries(labels).map(([name, value]) => message(1, [text(1, name), text(2, value)]));

/** Without a sum, which nobody reads here. One span per bucket; counts as differences to the one before. */
function native(schema: number, buckets: ReadonlyMap<number, number>): readonly Buffer[] {
  const rising = [...buckets].sort(([a], [b]) => a - b);
  const total = rising.reduce((sum, [, count]) => sum + count, 0);
  const spans = rising.map(([index], i) => {
    const before = rising[i - 1];
    return message(12, [signed(1, before === undefined ? index : index - before[0] - 1), integer(2, 1)]);
  });
  const deltas = rising.map(([, count], i) => signed(13, count - (rising[i - 1]?.[1] ?? 0)));
  return [integer(1, total), double(2, 0), signed(5, schema), double(6, 2 ** -128), integer(7, 0), ...spans, ...deltas];
}

// ── wire format ─────────────────────────────────────────────────────────────────────────────────────────────────────

const key = (field: number, wire: 0 | 1 | 2): Buffer => varint(BigInt((field << 3) | wire));

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

const integer = (field: number, value: number): Buffer => Buffer.concat([key(field, 0), varint(BigInt(value))]);

/** Zigzag: 0, -1, 1, -2. */
const signed = (field: number, value: number): Buffer =>
  Buffer.concat([key(field, 0), varint(BigInt(value < 0 ? -2 * value - 1 : 2 * value))]);

function double(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return Buffer.concat([key(field, 1), bytes]);
}

const bytes = (field: number, body: Buffer): Buffer =>
  Buffer.concat([key(field, 2), varint(BigInt(body.length)), body]);
const text = (field: number, value: string): Buffer => bytes(field, Buffer.from(value));
const message = (field: number, parts: readonly Buffer[]): Buffer => bytes(field, Buffer.concat(parts));
