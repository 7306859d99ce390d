/** The API of Jaeger's own page: `GET /api/traces`. Times in microseconds. Removed after 2.20. */
import { isRecord, listAt, numberAt, recordAt, textAt } from '../routes/json.ts';
import type { Span } from './span.ts';

/** null: not an answer of this API. */
export function readV1(json: unknown): readonly Span[] | null {
  if (!isRecord(json) || !('data' in json)) return null;
  // `data: null` is what some versions say for none.
  return listAt(json, 'data').flatMap((trace) => {
    const processes = recordAt(trace, 'processes');
    return listAt(trace, 'spans').map((span) => spanOf(trace, span, processes));
  });
}

function spanOf(trace: unknown, span: unknown, processes: Readonly<Record<string, unknown>>): Span {
  const process = recordAt(processes, textAt(span, 'processID') ?? '');
  return {
    traceId: textAt(span, 'traceID') ?? textAt(trace, 'traceID') ?? '',
    spanId: textAt(span, 'spanID') ?? '',
    service: textAt(process, 'serviceName') ?? '',
    operation: textAt(span, 'operationName') ?? '',
    start: (numberAt(span, 'startTime') ?? 0) / 1000,
    duration: (numberAt(span, 'duration') ?? 0) / 1000,
    tags: { ...tagsOf(listAt(process, 'tags')), ...tagsOf(listAt(span, 'tags')) },
    failed: false,
  };
}

const tagsOf = (tags: readonly unknown[]): Record<string, string> =>
  Object.fromEntries(
    tags.flatMap((tag) => {
      const key = textAt(tag, 'key');
      const value = isRecord(tag) ? tag['value'] : undefined;
      return key === null || value === undefined || value === null ? [] : [[key, String(value)]];
    }),
  );
