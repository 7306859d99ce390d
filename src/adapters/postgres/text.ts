/**
 * Text that Postgres can store. It refuses NUL and lone surrogates; an error message of a third party that holds one
 * would make every commit of its rollout fail, and with it the rollback.
 */
const NUL = String.fromCharCode(0);

export const storable = (text: string): string =>
  (text.includes(NUL) ? text.replaceAll(NUL, '�') : text).toWellFormed();

/** As JSON stringifies them: \u0000, \ud800 to \udfff. A backslash before makes it other text; that costs only time. */
const SUSPICIOUS = /\\u(0000|d[89a-f])/;

export function storableJson(value: unknown): string {
  const text = JSON.stringify(value) ?? 'null';
  return SUSPICIOUS.test(text) ? (JSON.stringify(value, (_, part: unknown) => clean(part)) ?? 'null') : text;
}

function clean(part: unknown): unknown {
  if (typeof part === 'string') return storable(part);
  if (typeof part !== 'object' || part === null || Array.isArray(part)) return part;
  return Object.fromEntries(Object.entries(part).map(([key, value]) => [storable(key), value]));
}
