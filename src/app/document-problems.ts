/** What is wrong with a document that people wrote, in its own words: what was wanted, and what was found as it was written. */
import type { z } from 'zod';
import { short } from './units.ts';
import type { Problem } from './usecases.ts';

/** RFC 6901. */
export const pointerTo = (path: readonly PropertyKey[]): string =>
  path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

type Issue = z.core.$ZodIssue;

const KINDS: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
  null: 'null',
};
const kind = (expected: string): string => KINDS[expected] ?? expected;

/** The schema library's words where a schema has none of its own. undefined: it is worded elsewhere. */
const inWords: z.core.$ZodErrorMap = (issue) => {
  switch (issue.code) {
    case 'invalid_type':
      return `wanted ${kind(issue.expected)}`;
    case 'invalid_value':
      return issue.values.length === 1
        ? `wanted ${JSON.stringify(issue.values[0])}`
        : `wanted one of ${issue.values.map(String).join(', ')}`;
    case 'too_small':
      return `wanted ${issue.inclusive === false ? 'more than' : 'at least'} ${amount(issue.origin, issue.minimum)}`;
    case 'too_big':
      return `wanted ${issue.inclusive === false ? 'less than' : 'at most'} ${amount(issue.origin, issue.maximum)}`;
    case 'not_multiple_of':
      return `wanted a multiple of ${issue.divisor}`;
    case 'invalid_format':
      return issue.format === 'regex'
        ? `wanted a string like ${issue.pattern}`
        : `wanted a string of the form ${issue.format}`;
    case 'invalid_key':
      return `that key cannot be used: ${issue.issues[0]?.message ?? 'wanted another one'}`;
    case 'invalid_element':
      return `that entry cannot be used: ${issue.issues[0]?.message ?? 'wanted another one'}`;
    default:
      return undefined;
  }
};

function amount(origin: string, limit: number | bigint): string {
  const one = Number(limit) === 1;
  if (origin === 'string') return `${limit} ${one ? 'character' : 'characters'}`;
  return origin === 'array' || origin === 'set' ? `${limit} ${one ? 'entry' : 'entries'}` : String(limit);
}

/** For unions that a field tells apart: the words where that field has none of the known values, or is not there. */
export const unknownKind =
  (what: string, field: string, known: readonly string[]) =>
  ({ code, input }: { readonly code: string; readonly input?: unknown }): string | undefined => {
    // Where it is no object at all, too.
    if (code === 'invalid_type') return undefined;
    const found = (input as Readonly<Record<string, unknown>> | undefined)?.[field];
    return found === undefined
      ? `wanted one of ${known.join(', ')}; the field is missing`
      : `unknown ${what} ${short(found)}; known: ${known.join(', ')}`;
  };

/** How a schema is asked, so that what it finds can be said in the document's words. */
export const ASKED = { reportInput: true, error: inWords } as const;

/** `document`: what was parsed, with `ASKED`. By a schema that transforms, an issue has the value in the plan's inner units. */
export const problemsOf = (error: z.ZodError, document: unknown): Problem[] => problemsIn(error.issues, [], document);

function problemsIn(issues: readonly Issue[], at: readonly PropertyKey[], document: unknown): Problem[] {
  return issues.flatMap((issue): Problem[] => {
    const path = [...at, ...issue.path];
    const pointer = pointerTo(path);
    const written = valueAt(document, path);
    if (issue.code === 'invalid_union' && issue.errors.length > 0 && issue.message === NO_WORDS) {
      const any = ofAnyForm(issue.errors);
      return any === null || written === undefined
        ? problemsIn(meant(issue.errors), path, document)
        : [{ pointer, code: issue.code, message: withFound(any, issue, written) }];
    }
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => ({
        pointer: `${pointer}${pointerTo([key])}`,
        code: 'unknown_field',
        message: `unknown field ${JSON.stringify(key)}: remove it or correct its spelling`,
      }));
    if (issue.code === 'invalid_type' && issue.input === undefined)
      return [{ pointer, code: 'required', message: `wanted ${kind(issue.expected)}; the field is missing` }];
    return [{ pointer, code: issue.code, message: withFound(issue.message, issue, written) }];
  });
}

/** The schema library's message where a union has none of its own. */
const NO_WORDS = 'Invalid input';

/** Of the forms that a value may have, the one that was meant: that which fits furthest, or by its type at least. */
function meant(forms: readonly (readonly Issue[])[]): readonly Issue[] {
  const depth = (form: readonly Issue[]): number => Math.max(0, ...form.map(({ path }) => path.length));
  const otherType = (form: readonly Issue[]): boolean =>
    form.some(({ code, path }) => code === 'invalid_type' && path.length === 0);
  return forms.toSorted((a, b) => depth(b) - depth(a) || Number(otherType(a)) - Number(otherType(b)))[0] ?? [];
}

/** Where the value has none of the forms at all: "wanted one of none, required, or an object". null: one of them was meant. */
function ofAnyForm(forms: readonly (readonly Issue[])[]): string | null {
  const flat = forms.flat();
  const none = flat.every(
    ({ code, path }) => path.length === 0 && (code === 'invalid_type' || code === 'invalid_value'),
  );
  if (!none) return null;
  const wanted = [...new Set(flat.map(({ message }) => message.replace(/^wanted /, '')))];
  return `wanted ${wanted.join(', or ')}`;
}

/** What the document has there; undefined: nothing, or it is not the document's (a default). */
function valueAt(document: unknown, path: readonly PropertyKey[]): unknown {
  let value = document;
  for (const part of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Readonly<Record<PropertyKey, unknown>>)[part];
  }
  return value;
}

/** Says what was found, where the message does not, and where it says something. */
function withFound(message: string, issue: Issue, written: unknown): string {
  if (message.includes('found') || (typeof written === 'string' && message.includes(short(written)))) return message;
  const found = foundWords(issue, written);
  return found === null ? message : `${message}; found ${found}`;
}

function foundWords({ code, path }: Issue, written: unknown): string | null {
  if (code === 'invalid_key') return short(path.at(-1));
  if (typeof written === 'number') return String(written);
  if (written === null || typeof written === 'string' || typeof written === 'boolean') return short(written);
  if (Array.isArray(written) && (code === 'too_small' || code === 'too_big')) return String(written.length);
  // Of an object that only lacks something, "found an object" says nothing.
  const otherKind = code === 'invalid_type' || code === 'invalid_value' || code === 'invalid_union';
  if (!otherKind || written === undefined) return null;
  return Array.isArray(written) ? 'a list' : 'an object';
}
