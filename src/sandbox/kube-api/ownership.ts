/**
 * Who owns which field: metadata.managedFields, and server-side apply on top of it.
 *
 * Maps are granular, lists are atomic: no list of the served custom resources has a list type, so whoever sets one
 * element owns the whole list. That is why server-side apply cannot own "just the weights".
 */
import { childOf, equal, escapePart, isObject, type Json, type JsonObject, objectAt, plainPart } from './json.ts';

export type Operation = 'Update' | 'Apply';

export interface Owner {
  readonly manager: string;
  readonly operation: Operation;
  readonly apiVersion: string;
  readonly time: string;
  /** JSON pointers of the leaves. */
  readonly fields: ReadonlySet<string>;
}

export type Owners = readonly Owner[];

export interface Writer {
  readonly manager: string;
  readonly operation: Operation;
  readonly apiVersion: string;
  readonly time: string;
}

/** Set by the server itself: nobody owns them. */
const SYSTEM: ReadonlySet<string> = new Set([
  '/apiVersion',
  '/kind',
  ...[
    'name',
    'namespace',
    'uid',
    'resourceVersion',
    'generation',
    'creationTimestamp',
    'managedFields',
    'selfLink',
  ].map((f) => `/metadata/${f}`),
]);

const child = (path: string, key: string): string => `${path}/${escapePart(key)}`;

/** Leaves of an object; an empty map is a leaf. */
export function leaves(value: Json, path = '', found = new Map<string, Json>()): Map<string, Json> {
  if (SYSTEM.has(path)) return found;
  if (!isObject(value) || (path !== '' && Object.keys(value).length === 0)) return found.set(path, value);
  for (const [key, inner] of Object.entries(value)) leaves(inner, child(path, key), found);
  return found;
}

/** Leaves that differ between two objects; subtrees that both share are not entered. */
function differences(
  before: Json | undefined,
  after: Json | undefined,
  path: string,
  set: string[],
  gone: string[],
): void {
  if (before === after || SYSTEM.has(path)) return;
  if (isObject(before) && isObject(after)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)]))
      differences(before[key], after[key], child(path, key), set, gone);
    return;
  }
  if (equal(before, after)) return;
  if (before !== undefined) gone.push(...leaves(before, path).keys());
  if (after !== undefined) set.push(...leaves(after, path).keys());
}

/** After an ordinary write the writer owns what it changed, and nobody else does. */
export function afterUpdate(owners: Owners, writer: Writer, before: JsonObject | null, after: JsonObject): Owners {
  const set: string[] = [];
  const gone: string[] = [];
  differences(before ?? {}, after, '', set, gone);
  if (set.length === 0 && gone.length === 0) return owners;
  const moved = new Set([...set, ...gone]);
  const others = owners.map((owner) => {
    const kept = new Set([...owner.fields].filter((field) => !moved.has(field)));
    return kept.size === owner.fields.size ? owner : { ...owner, fields: kept };
  });
  return withOwner(others, writer, new Set(set), 'add');
}

function withOwner(owners: Owners, writer: Writer, fields: ReadonlySet<string>, mode: 'add' | 'replace'): Owners {
  const same = (owner: Owner): boolean =>
    owner.manager === writer.manager && owner.operation === writer.operation && owner.apiVersion === writer.apiVersion;
  const mine = owners.find(same);
  const all = mode === 'add' && mine !== undefined ? new Set([...mine.fields, ...fields]) : fields;
  const rest = owners.filter((owner) => !same(owner) && owner.fields.size > 0);
  return all.size === 0 ? rest : [...rest, { ...writer, fields: all }];
}

// ── managedFields, as they are shown ─────────────────────────────────────────────────────────────────────────────────

function tree(fields: ReadonlySet<string>): JsonObject {
  const root: Record<string, Json> = {};
  for (const field of fields) {
    let here = root;
    for (const part of field.slice(1).split('/')) {
      const key = `f:${plainPart(part)}`;
      here[key] ??= {};
      here = here[key] as Record<string, Json>;
    }
  }
  return root;
}

const shown = new WeakMap<Owner, JsonObject>();

function show(owner: Owner): JsonObject {
  const known = shown.get(owner);
  if (known !== undefined) return known;
  const { manager, operation, apiVersion, time, fields } = owner;
  const entry = { manager, operation, apiVersion, time, fieldsType: 'FieldsV1', fieldsV1: tree(fields) };
  shown.set(owner, entry);
  return entry;
}

export const managedFields = (owners: Owners): readonly JsonObject[] => owners.map(show);

// ── server-side apply ────────────────────────────────────────────────────────────────────────────────────────────────

export interface Conflict {
  readonly manager: string;
  readonly apiVersion: string;
  /** `.spec.http` */
  readonly field: string;
}

export interface AppliedConfig {
  readonly object: JsonObject;
  readonly owners: Owners;
  readonly conflicts: readonly Conflict[];
}

const dotted = (pointer: string): string => plainPart(pointer.replaceAll('/', '.'));

/** Merges an applied configuration into the live object. Conflicts are reported, the result is that of a forced apply. */
export function apply(live: JsonObject, owners: Owners, writer: Writer, config: JsonObject): AppliedConfig {
  const wanted = leaves(config);
  const present = leaves(live);
  const conflicts: Conflict[] = [];
  const mine = owners.find((owner) => owner.manager === writer.manager && owner.operation === 'Apply');
  const others = owners.filter((owner) => owner !== mine);
  for (const owner of others)
    for (const field of owner.fields)
      if (wanted.has(field) && !equal(wanted.get(field), present.get(field)))
        conflicts.push({ manager: owner.manager, apiVersion: owner.apiVersion, field: dotted(field) });

  const abandoned = [...(mine?.fields ?? [])].filter(
    (field) => !wanted.has(field) && !others.some((owner) => owner.fields.has(field)),
  );
  const pruned = abandoned.reduce<Json>(
    (object, field) => removeAt(object, field.slice(1).split('/')),
    live,
  ) as JsonObject;
  const object = overlay(pruned, config) as JsonObject;
  const taken = new Set(conflicts.map((conflict) => conflict.field));
  const left = others.map((owner) => ({
    ...owner,
    fields: new Set([...owner.fields].filter((field) => !taken.has(dotted(field)))),
  }));
  return { object, owners: withOwner(left, writer, new Set(wanted.keys()), 'replace'), conflicts };
}

function removeAt(value: Json, [part, ...rest]: readonly string[]): Json {
  if (part === undefined || !isObject(value)) return value;
  const key = plainPart(part);
  const inner = childOf(value, key);
  if (inner === undefined) return value;
  if (rest.length > 0) return { ...value, [key]: removeAt(inner, rest) };
  const { [key]: _, ...others } = value;
  return others;
}

function overlay(under: Json | undefined, over: Json): Json {
  if (!isObject(over) || !isObject(under)) return over;
  const merged: Record<string, Json> = { ...under };
  for (const [key, value] of Object.entries(over)) merged[key] = overlay(objectOr(under, key), value);
  return merged;
}

const objectOr = (value: JsonObject, key: string): Json | undefined =>
  isObject(childOf(value, key)) ? objectAt(value, key) : childOf(value, key);
