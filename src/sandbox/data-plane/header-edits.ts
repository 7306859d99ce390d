/** Edits of headers that a VirtualService asks for, of a rule or of one destination. */
import type { HeaderEdit, HeaderEdits } from './routing.ts';

/** As the object has it. */
export interface WrittenEdits {
  readonly request?: Partial<HeaderEdit>;
  readonly response?: Partial<HeaderEdit>;
}

/** A header that comes more than once is a list: Set-Cookie must not be joined. */
export type Headers = Readonly<Record<string, string | readonly string[]>>;

const lowered = (values: Readonly<Record<string, string>> = {}): Record<string, string> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name.toLowerCase(), value]));

const edit = ({ set, add, remove = [] }: Partial<HeaderEdit> = {}): HeaderEdit => ({
  set: lowered(set),
  add: lowered(add),
  remove: remove.map((name) => name.toLowerCase()),
});

export const headerEdits = (written: WrittenEdits | undefined): HeaderEdits | null =>
  written === undefined ? null : { request: edit(written.request), response: edit(written.response) };

/** Removes first, then sets and adds, as Envoy does. `:authority` is the Host header. */
export function edited(headers: Headers, { set, add, remove }: HeaderEdit): Headers {
  const result: Record<string, string | readonly string[]> = { ...headers };
  for (const name of remove) delete result[name];
  for (const [name, value] of Object.entries(set)) result[plainName(name)] = value;
  for (const [name, value] of Object.entries(add)) {
    const present = result[plainName(name)];
    result[plainName(name)] = present === undefined ? value : [present, value].flat();
  }
  return result;
}

const plainName = (name: string): string => (name === ':authority' ? 'host' : name);

/** The destination's edits first, then the rule's: where both set one header, the rule's stays. */
export function editedBy(
  headers: Headers,
  side: keyof HeaderEdits,
  destination: HeaderEdits | null,
  rule: HeaderEdits | null,
): Headers {
  if (destination === null && rule === null) return headers;
  const once = destination === null ? headers : edited(headers, destination[side]);
  return rule === null ? once : edited(once, rule[side]);
}
