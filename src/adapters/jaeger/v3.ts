/** The API of OTLP: `GET /api/v3/traces`. The body is a stream of JSON documents, mostly one. */
import { isRecord, listAt, recordAt, textAt } from '../routes/json.ts';
import type { Span } from './span.ts';

/** null: not an answer of this API. */
export function readV3(text: string): readonly Span[] | null {
  const parts = documents(text);
  if (parts === null || parts.length === 0) return null;
  const results = parts.map((part) => (isRecord(part) && isRecord(part['result']) ? part['result'] : null));
  if (results.some((result) => result === null)) return null;
  return results.flatMap((result) =>
    listAt(result, 'resourceSpans').flatMap((group) => {
      const resource = attributesOf(recordAt(group, 'resource'));
      return listAt(group, 'scopeSpans').flatMap((scope) =>
        listAt(scope, 'spans').map((span) => spanOf(span, resource)),
      );
    }),
  );
}

function documents(text: string): readonly unknown[] | null {
  try {
    return [JSON.parse(text)];
  } catch {
    const lines = text.split('\n').filter((line) => line.trim() !== '');
    try {
      return lines.map((line) => JSON.parse(line) as unknown);
    } catch {
      return null;
    }
  }
}

/** 2, or by its name. */
const ERROR: ReadonlySet<unknown> = new Set([2, '2', 'STATUS_CODE_ERROR']);

function spanOf(span: unknown, resource: Readonly<Record<string, string>>): Span {
  const start = nanos(span, 'startTimeUnixNano');
  return {
    traceId: hexOf(textAt(span, 'traceId') ?? ''),
    spanId: hexOf(textAt(span, 'spanId') ?? ''),
    service: resource['service.name'] ?? '',
    operation: textAt(span, 'name') ?? '',
    start,
    duration: Math.max(0, nanos(span, 'endTimeUnixNano') - start),
    tags: { ...resource, ...attributesOf(span) },
    failed: ERROR.has(recordAt(span, 'status')['code']),
  };
}

/** Nanoseconds as text (they are beyond what a number holds) -> milliseconds. */
const nanos = (span: unknown, field: string): number => {
  const found = isRecord(span) ? span[field] : undefined;
  const ms = Number(found) / 1e6;
  return Number.isFinite(ms) ? ms : 0;
};

function attributesOf(holder: unknown): Record<string, string> {
  return Object.fromEntries(
    listAt(holder, 'attributes').flatMap((attribute) => {
      const key = textAt(attribute, 'key');
      // {"stringValue": "x"}, {"intValue": "503"}, {"boolValue": true}
      const [value] = Object.values(recordAt(attribute, 'value'));
      return key === null || value === undefined || typeof value === 'object' ? [] : [[key, String(value)]];
    }),
  );
}

/** OTLP's JSON has ids in hexadecimal; protobuf's usual JSON, which some versions send, has base64. */
function hexOf(id: string): string {
  if (/^[0-9a-fA-F]*$/.test(id) && (id.length === 32 || id.length === 16)) return id.toLowerCase();
  return /^[A-Za-z0-9+/]+={0,2}$/.test(id) ? Buffer.from(id, 'base64').toString('hex') : id;
}
