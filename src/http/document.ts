/** Bytes of a request -> one document of plain data that can be stored, with the place of every field in the text. */
import { createHash } from 'node:crypto';
import { readJson } from './json-text.ts';
import type { Fault, Refused } from './problem.ts';
import { refuse } from './problem.ts';
import type { YamlRead } from './yaml-text.ts';
import { readYaml, readYamlStream } from './yaml-text.ts';

export type Notation = 'json' | 'yaml';

export interface ReadDocument {
  readonly value: unknown;
  /** The place of a JSON pointer in the text, or of its nearest ancestor that is there. Lines and columns from 1. */
  readonly locate: (pointer: string) => { readonly line: number; readonly column: number } | null;
}

type Unreadable = Refused<'malformed_body' | 'invalid_body'>;

const MAX_DEPTH = 32;
const MAX_VALUES = 20_000;

/** May several YAML documents be one list? Where not, they are refused. */
export type Several = (documents: readonly unknown[]) => boolean;
const NEVER: Several = () => false;

export function readDocument(
  bytes: Uint8Array,
  notation: Notation,
  several: Several = NEVER,
): ReadDocument | Unreadable {
  const text = decode(bytes);
  if (text === null) return malformed('', 0, 'encoding', 'the body is not valid UTF-8');
  if (text.trim() === '') return malformed(text, 0, 'empty', 'the body is empty');
  const read = notation === 'json' ? fromJson(text) : fromYaml(text, several);
  if ('problem' in read) return read;
  const fault = unstorable(read.value);
  if (fault === null) return read;
  return refuse('invalid_body', fault.detail, { errors: [{ ...fault, ...read.locate(fault.pointer ?? '') }] });
}

function decode(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) return null;
    throw error;
  }
}

const placeOf = (text: string, offset: number): { line: number; column: number } => {
  const before = text.slice(0, offset);
  const newline = before.lastIndexOf('\n');
  return { line: before.split('\n').length, column: offset - newline };
};

function malformed(text: string, offset: number, code: string, message: string): Refused<'malformed_body'> {
  const place = placeOf(text, offset);
  const detail = `line ${place.line}, column ${place.column}: ${message}`;
  return refuse('malformed_body', detail, { errors: [{ pointer: '', code, detail: message, ...place }] });
}

function fromJson(text: string): ReadDocument | Refused<'malformed_body'> {
  const fault = readJson(text);
  if (fault !== null) return malformed(text, fault.offset, fault.code, fault.message);
  const places = (): Map<string, number> => {
    const found = new Map<string, number>();
    readJson(text, (pointer, offset) => found.set(pointer, offset));
    return found;
  };
  let known: Map<string, number> | null = null;
  const offsetOf = (pointer: string): number | null => {
    known ??= places();
    return known.get(pointer) ?? null;
  };
  return { value: JSON.parse(text) as unknown, locate: locator(text, offsetOf) };
}

function fromYaml(text: string, several: Several): ReadDocument | Refused<'malformed_body'> {
  const read = severalOf(text, several) ?? readYaml(text);
  if (!read.ok) return malformed(text, read.fault.offset, read.fault.code, read.fault.message);
  return { value: read.value, locate: locator(text, (pointer) => read.offsetOf(partsOf(pointer))) };
}

/** null: there are not several, or they may not be. */
function severalOf(text: string, several: Several): YamlRead | null {
  if (several === NEVER || !/^---/m.test(text)) return null;
  const read = readYamlStream(text);
  if (!read.ok) return read;
  const documents = read.value as readonly unknown[];
  return documents.length > 1 && several(documents) ? read : null;
}

const partsOf = (pointer: string): string[] =>
  pointer === ''
    ? []
    : pointer
        .slice(1)
        .split('/')
        .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));

/** A field that is missing has no place: its parent's is the next best. */
function locator(text: string, offsetOf: (pointer: string) => number | null): ReadDocument['locate'] {
  return (pointer) => {
    for (let at = pointer; ; at = at.slice(0, at.lastIndexOf('/'))) {
      const offset = offsetOf(at);
      if (offset !== null) return placeOf(text, offset);
      if (at === '') return null;
    }
  };
}

const escaped = (part: string): string => part.replaceAll('~', '~0').replaceAll('/', '~1');

/** Half a surrogate pair and NUL are legal in JSON text, but PostgreSQL's jsonb refuses both. */
const isStorable = (text: string): boolean => text.isWellFormed() && !text.includes('\u0000');

/** null: every value is finite, storable and not nested without end (YAML's aliases can make a circle). */
function unstorable(root: unknown): Fault | null {
  const waiting: { value: unknown; pointer: string; depth: number }[] = [{ value: root, pointer: '', depth: 0 }];
  for (let seen = 0; ; seen += 1) {
    const next = waiting.pop();
    if (next === undefined) return null;
    const { value, pointer, depth } = next;
    if (depth > MAX_DEPTH)
      return { pointer: '', code: 'too_deep', detail: `wanted at most ${MAX_DEPTH} levels of nesting` };
    if (seen > MAX_VALUES)
      return { pointer: '', code: 'too_many_values', detail: `wanted at most ${MAX_VALUES} values` };
    if (typeof value === 'number' && !Number.isFinite(value))
      return { pointer, code: 'not_finite', detail: `wanted a finite number; found ${value}` };
    if (typeof value === 'string' && !isStorable(value))
      return { pointer, code: 'not_text', detail: 'the text holds a NUL or half of a surrogate pair; remove it' };
    if (typeof value !== 'object' || value === null) continue;
    for (const [key, child] of Object.entries(value)) {
      if (!isStorable(key))
        return { pointer, code: 'not_text', detail: 'a key holds a NUL or half of a surrogate pair; remove it' };
      waiting.push({ value: child, pointer: `${pointer}/${escaped(key)}`, depth: depth + 1 });
    }
  }
}

/** SHA-256 of the value, whatever its notation, white space or order of keys: a proxy that re-encodes a body does not change it. */
export const hashOf = (value: unknown): string => createHash('sha256').update(canonical(value)).digest('hex');

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`).join(',')}}`;
}
