/**
 * Structural schemas as custom resource definitions carry them: pruning, defaulting, validation.
 * The schemas are plain OpenAPI, so that the same objects can be sent to a real API server as CRDs.
 */
import { isList, isObject, type Json, type JsonObject } from './json.ts';

export interface Schema {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean';
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly additionalProperties?: Schema;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  /** Documentation: the server does not check it. */
  readonly format?: 'int32' | 'int64' | 'double';
  readonly nullable?: boolean;
  readonly default?: Json;
  readonly 'x-kubernetes-int-or-string'?: true;
  readonly 'x-kubernetes-preserve-unknown-fields'?: true;
}

// ── words to write schemas with ─────────────────────────────────────────────────────────────────────────────────────

export const text: Schema = { type: 'string' };
export const flag: Schema = { type: 'boolean' };
export const number: Schema = { type: 'number' };
export const int32: Schema = { type: 'integer', format: 'int32' };
export const uint32: Schema = { type: 'integer', minimum: 0, maximum: 4_294_967_295 };
export const intOrText: Schema = { 'x-kubernetes-int-or-string': true };
export const anything: Schema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
export const list = (items: Schema, more: Partial<Schema> = {}): Schema => ({ type: 'array', items, ...more });
export const map = (of: Schema): Schema => ({ type: 'object', additionalProperties: of });
export const oneOf = (...values: string[]): Schema => ({ type: 'string', enum: values });
export const orNull = (schema: Schema): Schema => ({ ...schema, nullable: true });
export const object = (properties: Record<string, Schema>, ...required: string[]): Schema => ({
  type: 'object',
  properties,
  ...(required.length > 0 ? { required } : {}),
});
export const withDefault = (schema: Schema, value: Json): Schema => ({ ...schema, default: value });

// ── pruning ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const isOpen = (schema: Schema): boolean => schema['x-kubernetes-preserve-unknown-fields'] === true;

/** Drops fields that the schema does not know; their paths are added to `dropped`. Answers the same value where none is. */
export function prune(value: Json, schema: Schema, path = '', dropped: string[] = []): Json {
  if (isList(value)) return schema.items === undefined ? value : pruneList(value, schema.items, path, dropped);
  if (!isObject(value)) return value;
  if (schema.properties === undefined && schema.additionalProperties === undefined && isOpen(schema)) return value;
  return pruneObject(value, schema, path, dropped);
}

function pruneList(value: readonly Json[], items: Schema, path: string, dropped: string[]): Json {
  const pruned = value.map((item, i) => prune(item, items, `${path}[${i}]`, dropped));
  return pruned.every((item, i) => item === value[i]) ? value : pruned;
}

function pruneObject(value: JsonObject, schema: Schema, path: string, dropped: string[]): Json {
  let changed = false;
  const kept: Record<string, Json> = {};
  for (const [key, child] of Object.entries(value)) {
    const at = path === '' ? key : `${path}.${key}`;
    const known = schema.properties?.[key] ?? schema.additionalProperties;
    if (known === undefined && !isOpen(schema)) {
      dropped.push(at);
      changed = true;
      continue;
    }
    // A null that may not be one is dropped without a word, so that a default can take its place.
    if (child === null && known !== undefined && known.nullable !== true) {
      changed = true;
      continue;
    }
    const pruned = known === undefined ? child : prune(child, known, at, dropped);
    if (pruned !== child) changed = true;
    kept[key] = pruned;
  }
  return changed ? kept : value;
}

// ── defaults ────────────────────────────────────────────────────────────────────────────────────────────────────────

const defaulting = new WeakMap<Schema, boolean>();

function hasDefaults(schema: Schema): boolean {
  const known = defaulting.get(schema);
  if (known !== undefined) return known;
  const inner = [schema.items, schema.additionalProperties, ...Object.values(schema.properties ?? {})];
  const found = inner.some((child) => child !== undefined && (child.default !== undefined || hasDefaults(child)));
  defaulting.set(schema, found);
  return found;
}

/** Fills in defaults below values that are there. Answers the same value where none is missing. */
export function fillIn(value: Json, schema: Schema): Json {
  if (!hasDefaults(schema)) return value;
  if (isList(value)) {
    const items = schema.items as Schema;
    const filled = value.map((item) => fillIn(item, items));
    return filled.every((item, i) => item === value[i]) ? value : filled;
  }
  if (!isObject(value)) return value;
  const filled: Record<string, Json> = { ...value };
  let changed = false;
  for (const [key, child] of Object.entries(schema.properties ?? {})) {
    const before = filled[key];
    const after = before === undefined ? child.default : fillIn(before, child);
    if (after === undefined || after === before) continue;
    filled[key] = before === undefined ? fillIn(after, child) : after;
    changed = true;
  }
  return changed ? filled : value;
}

// ── validation ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** One complaint in the words of the API server. */
export interface Complaint {
  readonly field: string;
  readonly reason:
    | 'FieldValueInvalid'
    | 'FieldValueTypeInvalid'
    | 'FieldValueRequired'
    | 'FieldValueNotSupported'
    | 'FieldValueTooLong';
  readonly message: string;
}

export function validate(value: Json, schema: Schema, path = ''): Complaint[] {
  const complaints: Complaint[] = [];
  check(value, schema, path, complaints);
  return complaints;
}

const typeOf = (value: Json): string => {
  if (value === null) return 'null';
  if (isList(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
};

const fits = (found: string, wanted: NonNullable<Schema['type']>): boolean =>
  found === wanted || (found === 'integer' && wanted === 'number');

const wrongType = (path: string, wanted: string, found: string): Complaint => ({
  field: path,
  reason: 'FieldValueTypeInvalid',
  message: `Invalid value: "${found}": ${path} in body must be of type ${wanted}: "${found}"`,
});

function check(value: Json, schema: Schema, path: string, out: Complaint[]): void {
  if (value === null && schema.nullable === true) return;
  const found = typeOf(value);
  if (schema['x-kubernetes-int-or-string'] === true) {
    if (found !== 'integer' && found !== 'string') out.push(wrongType(path, 'integer,string', found));
    return;
  }
  if (schema.type !== undefined && !fits(found, schema.type)) {
    out.push(wrongType(path, schema.type, found));
    return;
  }
  if (typeof value === 'number') checkNumber(value, schema, path, out);
  else if (typeof value === 'string') checkText(value, schema, path, out);
  else if (isList(value)) checkList(value, schema, path, out);
  else if (isObject(value)) checkObject(value, schema, path, out);
}

function checkNumber(value: number, schema: Schema, path: string, out: Complaint[]): void {
  const bound = (words: string): number =>
    out.push({
      field: path,
      reason: 'FieldValueInvalid',
      message: `Invalid value: ${value}: ${path} in body should be ${words}`,
    });
  if (schema.minimum !== undefined && value < schema.minimum) bound(`greater than or equal to ${schema.minimum}`);
  if (schema.maximum !== undefined && value > schema.maximum) bound(`less than or equal to ${schema.maximum}`);
}

function checkText(value: string, schema: Schema, path: string, out: Complaint[]): void {
  if (schema.enum === undefined || schema.enum.includes(value)) return;
  const supported = schema.enum.map((known) => `"${known}"`).join(', ');
  out.push({
    field: path,
    reason: 'FieldValueNotSupported',
    message: `Unsupported value: "${value}": supported values: ${supported}`,
  });
}

function checkList(value: readonly Json[], schema: Schema, path: string, out: Complaint[]): void {
  const count = (words: string): number =>
    out.push({
      field: path,
      reason: 'FieldValueInvalid',
      message: `Invalid value: ${value.length}: ${path} in body should have ${words} items`,
    });
  if (schema.minItems !== undefined && value.length < schema.minItems) count(`at least ${schema.minItems}`);
  if (schema.maxItems !== undefined && value.length > schema.maxItems) count(`at most ${schema.maxItems}`);
  const { items } = schema;
  if (items !== undefined) value.forEach((item, i) => void check(item, items, `${path}[${i}]`, out));
}

function checkObject(value: JsonObject, schema: Schema, path: string, out: Complaint[]): void {
  const at = (key: string): string => (path === '' ? key : `${path}.${key}`);
  for (const key of schema.required ?? [])
    if (value[key] === undefined) out.push({ field: at(key), reason: 'FieldValueRequired', message: 'Required value' });
  for (const [key, child] of Object.entries(value)) {
    const known = schema.properties?.[key] ?? schema.additionalProperties;
    if (known !== undefined) check(child, known, at(key), out);
  }
}
