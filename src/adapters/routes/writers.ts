/** Who wrote an object, as the API server keeps it in managedFields. */
import type { KubeObject } from '../kubernetes/kube.ts';
import { FIELD_MANAGER } from '../kubernetes/kube.ts';
import { isRecord, recordAt } from './json.ts';

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

/** Does this writer own that field of the spec? null: the server does not say. */
export const ownsField = ({ fields }: Writer, field: string): boolean | null =>
  isRecord(fields) ? recordAt(fields, 'f:spec')[`f:${field}`] !== undefined : null;

/**
 * The newest writer, for people: "kubectl-edit (Update) at 2026-01-02T03:04:05Z"; null: not known.
 * Times have whole seconds. Of those of one second it is the owner of `field`, the list that holds the weights: a list
 * without merge keys belongs to whoever changed it last. Failing that another one than us, since this is read on drift.
 */
export function lastWriter(object: KubeObject, field: string): string | null {
  const rank = (writer: Writer): number =>
    ownsField(writer, field) === true ? 0 : writer.manager === FIELD_MANAGER ? 2 : 1;
  const [newest] = [...writersOf(object)].sort((a, b) => b.time.localeCompare(a.time) || rank(a) - rank(b));
  if (newest === undefined) return null;
  return `${newest.manager} (${newest.operation})${newest.time === '' ? '' : ` at ${newest.time}`}`;
}
