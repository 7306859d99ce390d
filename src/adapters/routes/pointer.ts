/** JSON pointers (RFC 6901). */

const escaped = (part: string | number): string => String(part).replaceAll('~', '~0').replaceAll('/', '~1');

/** `pointer('metadata', 'annotations', 'a/b')` is "/metadata/annotations/a~1b". */
export const pointer = (...parts: readonly (string | number)[]): string =>
  parts.map((part) => `/${escaped(part)}`).join('');
