/** The only place where a value becomes PromQL text. */

const PRINTABLE = /^[ !#-&(-[\]-_a-~]$/;
/** Names of Kubernetes objects are: nothing to look at one by one. */
const ALL_PRINTABLE = /^[ !#-&(-[\]-_a-~]*$/;

/**
 * The value as it must stand between quotes so that Prometheus reads exactly this value.
 *
 * Quotes of all three kinds become numeric escapes, which are valid in "..." and '...' alike: the text can end no string,
 * whichever quotes stand around it. All but printable ASCII is escaped too: a newline ends a string, and PromQL refuses
 * U+FFFD in plain sight.
 */
export function escaped(value: string): string {
  if (ALL_PRINTABLE.test(value)) return value;
  let out = '';
  for (const char of value.toWellFormed()) out += PRINTABLE.test(char) ? char : escapedChar(char);
  return out;
}

function escapedChar(char: string): string {
  const code = char.codePointAt(0) as number;
  if (char === '\\') return '\\\\';
  if (code < 0x80) return `\\x${hex(code, 2)}`;
  return code <= 0xffff ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`;
}

const hex = (code: number, digits: number): string => code.toString(16).padStart(digits, '0');

/** A PromQL string with this value. */
export const quoted = (value: string): string => `"${escaped(value)}"`;

/**
 * A regular expression that matches this text and nothing else. Only RE2's metacharacters are escaped: Prometheus answers
 * an alternation of plain literals from its index, without running the expression.
 */
export const literally = (value: string): string => value.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&');

/** `label="a"`, or `label=~"a|b"`; the values in order, each once. */
export function oneOf(label: string, values: readonly string[]): string {
  const distinct = [...new Set(values)].sort();
  return distinct.length === 1
    ? `${label}=${quoted(distinct[0] as string)}`
    : `${label}=~${quoted(distinct.map(literally).join('|'))}`;
}

/** A host that begins with one of these names: alone, with its namespace, in full, or with a port. */
export const hostOf = (label: string, names: readonly string[]): string =>
  `${label}=~${quoted(`(${[...new Set(names)].sort().map(literally).join('|')})([.:].*)?`)}`;

/** Milliseconds as PromQL writes them: "30s", "1500ms". */
export const promDuration = (ms: number): string => {
  const whole = Math.max(1, Math.round(ms));
  return whole % 1000 === 0 ? `${whole / 1000}s` : `${whole}ms`;
};
