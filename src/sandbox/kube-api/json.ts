/** JSON values as the API server keeps them. Never changed in place: a write makes new objects along the changed path only. */

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

export const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const isList = (value: Json | undefined): value is readonly Json[] => Array.isArray(value);

/** Equal as JSON; the order of keys does not matter. Shared structure makes it cheap. */
export function equal(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  if (isList(a)) return isList(b) && a.length === b.length && a.every((item, i) => equal(item, b[i]));
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && equal(a[key], b[key]));
}

export const childOf = (value: Json | undefined, key: string): Json | undefined =>
  isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;

export const objectAt = (value: Json | undefined, key: string): JsonObject => {
  const child = childOf(value, key);
  return isObject(child) ? child : {};
};

export const textAt = (value: Json | undefined, key: string): string | undefined => {
  const child = childOf(value, key);
  return typeof child === 'string' ? child : undefined;
};

export const numberAt = (value: Json | undefined, key: string): number | undefined => {
  const child = childOf(value, key);
  return typeof child === 'number' ? child : undefined;
};

/** One part of a JSON pointer (RFC 6901), to and fro. */
export const escapePart = (part: string): string => part.replaceAll('~', '~0').replaceAll('/', '~1');
export const plainPart = (part: string): string => part.replaceAll('~1', '/').replaceAll('~0', '~');

export const without = (object: JsonObject, ...keys: readonly string[]): JsonObject =>
  Object.fromEntries(Object.entries(object).filter(([key]) => !keys.includes(key)));
