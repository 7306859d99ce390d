/** A collector on 127.0.0.1: takes traces by OTLP over HTTP in protobuf, and reads them by the published numbers of the fields. */
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export type Value = string | number | boolean;

export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** '': none. */
  readonly parentId: string;
  readonly name: string;
  /** 1 internal, 2 server, 3 client. */
  readonly kind: number;
  /** Milliseconds since the epoch. */
  readonly start: number;
  readonly end: number;
  readonly attributes: Readonly<Record<string, Value>>;
  /** Ids of the traces that it is linked to. */
  readonly links: readonly string[];
  readonly failed: boolean;
  /** Of the process. */
  readonly resource: Readonly<Record<string, Value>>;
}

export interface OtlpReceiver {
  /** Base address. */
  readonly url: string;
  readonly spans: readonly ReceivedSpan[];
  readonly requests: readonly { readonly path: string; readonly headers: IncomingHttpHeaders; readonly body: Buffer }[];
  /** Waits until a span fits. */
  span(fits: (span: ReceivedSpan) => boolean, within?: number): Promise<ReceivedSpan>;
  close(): Promise<void>;
}

/** `hole`: takes every request and never answers. A number: answers with that status, and keeps nothing. */
export async function otlpReceiver(manner: 'good' | 'hole' | number = 'good'): Promise<OtlpReceiver> {
  const spans: ReceivedSpan[] = [];
  const requests: { path: string; headers: IncomingHttpHeaders; body: Buffer }[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    requests.push({ path: request.url ?? '', headers: request.headers, body });
    if (manner === 'hole') return;
    if (manner === 'good') spans.push(...spansIn(body));
    response.writeHead(manner === 'good' ? 200 : manner, { 'content-type': 'application/x-protobuf' }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    spans,
    requests,
    async span(fits, within = 20_000) {
      for (const end = Date.now() + within; Date.now() < end; await sleep(50)) {
        const found = spans.find(fits);
        if (found !== undefined) return found;
      }
      throw new Error(`no such span came; these did: ${[...new Set(spans.map(({ name }) => name))].join(', ')}`);
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

// ── opentelemetry/proto/collector/trace/v1, trace/v1, common/v1 ─────────────────────────────────────────────────────

const spansIn = (request: Buffer): readonly ReceivedSpan[] =>
  parts(request, 1).flatMap((ofProcess) => {
    const resource = attributesIn(parts(ofProcess, 1)[0] ?? Buffer.alloc(0), 1);
    return parts(ofProcess, 2).flatMap((scope) => parts(scope, 2).map((span) => ({ ...spanIn(span), resource })));
  });

function spanIn(span: Buffer): Omit<ReceivedSpan, 'resource'> {
  const status = parts(span, 15)[0];
  return {
    traceId: hex(span, 1),
    spanId: hex(span, 2),
    parentId: hex(span, 4),
    name: parts(span, 5)[0]?.toString() ?? '',
    kind: Number(numbers(span, 6)[0] ?? 0n),
    start: Number((numbers(span, 7)[0] ?? 0n) / 1_000n) / 1_000,
    end: Number((numbers(span, 8)[0] ?? 0n) / 1_000n) / 1_000,
    attributes: attributesIn(span, 9),
    links: parts(span, 13).map((link) => hex(link, 1)),
    failed: status !== undefined && numbers(status, 3)[0] === 2n,
  };
}

const hex = (message: Buffer, field: number): string => parts(message, field)[0]?.toString('hex') ?? '';

const attributesIn = (message: Buffer, field: number): Readonly<Record<string, Value>> =>
  Object.fromEntries(
    parts(message, field).map((pair) => [
      parts(pair, 1)[0]?.toString() ?? '',
      valueIn(parts(pair, 2)[0] ?? Buffer.alloc(0)),
    ]),
  );

function valueIn(any: Buffer): Value {
  const [text] = parts(any, 1);
  if (text !== undefined) return text.toString();
  const [flag] = numbers(any, 2);
  if (flag !== undefined) return flag === 1n;
  const [whole] = numbers(any, 3);
  if (whole !== undefined) return Number(BigInt.asIntN(64, whole));
  const bits = Buffer.alloc(8);
  bits.writeBigUInt64LE(numbers(any, 4)[0] ?? 0n);
  return bits.readDoubleLE();
}

// ── wire format ─────────────────────────────────────────────────────────────────────────────────────────────────────

const parts = (message: Buffer, field: number): readonly Buffer[] =>
  fields(message).flatMap((one) => (one.field === field && typeof one.value !== 'bigint' ? [one.value] : []));

const numbers = (message: Buffer, field: number): readonly bigint[] =>
  fields(message).flatMap((one) => (one.field === field && typeof one.value === 'bigint' ? [one.value] : []));

function fields(message: Buffer): readonly { readonly field: number; readonly value: bigint | Buffer }[] {
  const found: { field: number; value: bigint | Buffer }[] = [];
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++] ?? 0;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const key = Number(varint());
    const field = key >> 3;
    switch (key & 7) {
      case 0:
        found.push({ field, value: varint() });
        break;
      case 1:
        found.push({ field, value: message.readBigUInt64LE(at) });
        at += 8;
        break;
      case 2: {
        const length = Number(varint());
        found.push({ field, value: message.subarray(at, at + length) });
        at += length;
        break;
      }
      case 5:
        found.push({ field, value: BigInt(message.readUInt32LE(at)) });
        at += 4;
        break;
      default:
        throw new Error(`wire type ${key & 7} is none that is in use`);
    }
  }
  return found;
}
