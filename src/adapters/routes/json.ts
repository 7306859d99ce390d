/** Reading objects of kinds that have no types here: every unknown field is kept, nothing is assumed. */

export type Json = Readonly<Record<string, unknown>>;

export const isRecord = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The field as an object; an absent or differently shaped one is empty. */
export const recordAt = (value: unknown, field: string): Json => {
  const found = isRecord(value) ? value[field] : undefined;
  return isRecord(found) ? found : {};
};

/** The field as a list; an absent or differently shaped one is empty. */
export const listAt = (value: unknown, field: string): readonly unknown[] => {
  const found = isRecord(value) ? value[field] : undefined;
  return Array.isArray(found) ? found : [];
};

/** The field as text; null: absent, empty or no text. */
export const textAt = (value: unknown, field: string): string | null => {
  const found = isRecord(value) ? value[field] : undefined;
  return typeof found === 'string' && found !== '' ? found : null;
};

export const numberAt = (value: unknown, field: string): number | null => {
  const found = isRecord(value) ? value[field] : undefined;
  return typeof found === 'number' ? found : null;
};
