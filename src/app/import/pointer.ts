/** JSON pointers (RFC 6901) and the leaves of plain data. */

export const child = (pointer: string, key: string | number): string =>
  `${pointer}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`;

export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export interface Place {
  readonly pointer: string;
  readonly leaf: boolean;
  /** null stands there, which says as much as nothing. */
  readonly empty: boolean;
}

/** Every pointer in the order of the document, and whether it is a leaf: a scalar, or a list or mapping without members. */
export function* pointersIn(value: unknown, pointer = ''): Generator<Place> {
  const members = typeof value === 'object' && value !== null ? Object.entries(value) : [];
  yield { pointer, leaf: members.length === 0, empty: value === null };
  for (const [key, member] of members) yield* pointersIn(member, child(pointer, key));
}

export const isWithin = (pointer: string, ancestor: string): boolean =>
  pointer === ancestor || pointer.startsWith(`${ancestor}/`);
