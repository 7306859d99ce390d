/** The two patch formats that custom resources take: JSON patch (RFC 6902) and merge patch (RFC 7386). */
import { equal, isList, isObject, type Json, type JsonObject, plainPart, without } from './json.ts';

/** The patch is well formed, but the object is not of the shape that it needs: HTTP 422. */
export class PatchFailed extends Error {}
/** The patch itself is malformed: HTTP 400. */
export class PatchMalformed extends Error {}

function parts(pointer: Json | undefined): string[] {
  if (typeof pointer !== 'string' || (pointer !== '' && !pointer.startsWith('/')))
    throw new PatchFailed(`no such path: ${JSON.stringify(pointer)}`);
  return pointer === '' ? [] : pointer.slice(1).split('/').map(plainPart);
}

function index(list: readonly Json[], part: string, highest: number): number {
  const at = /^(0|[1-9]\d*)$/.test(part) ? Number(part) : -1;
  if (at < 0 || at > highest) throw new PatchFailed(`index ${part} is outside of a list of ${list.length}`);
  return at;
}

/** undefined: the last part is absent. Where the path ends earlier, the patch fails. */
function valueAt(root: Json, path: readonly string[]): Json | undefined {
  let here: Json | undefined = root;
  for (const part of path) {
    if (isList(here)) here = here[index(here, part, here.length - 1)];
    else if (isObject(here)) here = Object.hasOwn(here, part) ? here[part] : undefined;
    else throw new PatchFailed(`nothing at ${part}`);
  }
  return here;
}

type Edit = (holder: readonly Json[] | JsonObject, key: string) => Json;

/** Copies the objects along the path, nothing else. */
function edit(root: Json, path: readonly string[], change: Edit): Json {
  const [first, ...rest] = path;
  if (first === undefined || (!isObject(root) && !isList(root)))
    throw new PatchFailed(`path ends early at ${first ?? 'the root'}`);
  if (rest.length === 0) return change(root, first);
  if (isList(root)) {
    const at = index(root, first, root.length - 1);
    return root.with(at, edit(root[at] as Json, rest, change));
  }
  const child = Object.hasOwn(root, first) ? root[first] : undefined;
  if (child === undefined) throw new PatchFailed(`nothing at ${first}`);
  return { ...root, [first]: edit(child, rest, change) };
}

const put =
  (value: Json, mode: 'add' | 'replace'): Edit =>
  (holder, key) => {
    if (isList(holder)) {
      if (mode === 'replace') return holder.with(index(holder, key, holder.length - 1), value);
      const at = key === '-' ? holder.length : index(holder, key, holder.length);
      return holder.toSpliced(at, 0, value);
    }
    const map = holder as JsonObject;
    if (mode === 'replace' && !Object.hasOwn(map, key)) throw new PatchFailed(`nothing to replace at ${key}`);
    return { ...map, [key]: value };
  };

const drop: Edit = (holder, key) => {
  if (isList(holder)) return holder.toSpliced(index(holder, key, holder.length - 1), 1);
  const map = holder as JsonObject;
  if (!Object.hasOwn(map, key)) throw new PatchFailed(`nothing to remove at ${key}`);
  return without(map, key);
};

function operate(root: Json, op: JsonObject): Json {
  const path = parts(op['path']);
  // The server's library takes an absent value for null.
  const value = op['value'] ?? null;
  switch (op['op']) {
    case 'add':
      return path.length === 0 ? value : edit(root, path, put(value, 'add'));
    case 'replace':
      return path.length === 0 ? value : edit(root, path, put(value, 'replace'));
    case 'remove':
      return edit(root, path, drop);
    case 'test':
      if (!equal(valueAt(root, path) ?? null, value)) throw new PatchFailed(`test failed at ${op['path']}`);
      return root;
    case 'copy':
    case 'move': {
      const from = parts(op['from']);
      const moved = valueAt(root, from);
      if (moved === undefined) throw new PatchFailed(`nothing at ${op['from']}`);
      return edit(op['op'] === 'move' ? edit(root, from, drop) : root, path, put(moved, 'add'));
    }
    default:
      throw new PatchFailed(`unexpected operation ${JSON.stringify(op['op'])}`);
  }
}

/** Throws PatchMalformed or PatchFailed. All operations or none. */
export function jsonPatch(target: JsonObject, ops: Json): JsonObject {
  if (!isList(ops)) throw new PatchMalformed('a JSON patch is a list of operations');
  const result = ops.reduce<Json>((root, op) => {
    if (!isObject(op)) throw new PatchMalformed('an operation of a JSON patch is an object');
    return operate(root, op);
  }, target);
  if (!isObject(result)) throw new PatchFailed('the result is no object');
  return result;
}

/** null removes, objects merge, everything else (lists too) replaces. */
export function mergePatch(target: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return patch;
  const merged: Record<string, Json> = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key];
    else merged[key] = mergePatch(merged[key], value);
  }
  return merged;
}
