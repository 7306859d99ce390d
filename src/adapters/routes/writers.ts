/** Who wrote an object, as the API server keeps it in managedFields. */
import type { KubeObject } from '../kubernetes/kube.ts';
import { FIELD_MANAGER } from '../kubernetes/kube.ts';
import { isRecord } from './json.ts';

export interface Writer {
  readonly manager: string;
  /** "Update", or "Apply" (server-side apply). */
  readonly operation: string;
  /** RFC 3339, whole seconds; '' where the server does not say. */
  readonly time: string;
  /** Ownership tree (`f:spec` ...); null: not said. */
  readonly fields: unknown;
}

/** Writers of the object itself; those of its status say nothing about the route. */
export function writersOf(object: KubeObject): readonly Writer[] {
  const { managedFields } = object.metadata;
  if (!Array.isArray(managedFields)) return [];
  return managedFields
    .filter((entry: unknown) => isRecord(entry) && (entry['subresource'] ?? '') === '')
    .map((entry: Record<string, unknown>) => ({
      manager: String(entry['manager'] ?? 'unknown'),
      operation: String(entry['operation'] ?? 'Update'),
      time: String(entry['time'] ?? ''),
      fields: entry['fieldsV1'] ?? null,
    }));
}

/**
 * The newest writer, for people: "kubectl-edit (Update) at 2026-01-02T03:04:05Z"; null: not known.
 * Times have whole seconds: of two in the same second the other one is named, since this is read where a drift was seen.
 */
export function lastWriter(object: KubeObject): string | null {
  const [newest] = [...writersOf(object)].sort((a, b) => b.time.localeCompare(a.time) || rank(a) - rank(b));
  if (newest === undefined) return null;
  return `${newest.manager} (${newest.operation})${newest.time === '' ? '' : ` at ${newest.time}`}`;
}

const rank = (writer: Writer): number => (writer.manager === FIELD_MANAGER ? 1 : 0);
