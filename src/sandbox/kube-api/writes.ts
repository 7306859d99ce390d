/** The way of a write through the API server: prune, default, validate, admit, compare, store. */
import { randomUUID } from 'node:crypto';
import { admit, bodyOf, checkIdentity, checkRevision, checkSchema, checkTexts, unknownFields } from './checks.ts';
import { equal, isList, isObject, type Json, type JsonObject, numberAt, objectAt, textAt, without } from './json.ts';
import { type Kind, type KindVersion, NAMESPACE } from './kinds.ts';
import { afterUpdate, apply, type Owners, type Writer } from './ownership.ts';
import { jsonPatch, mergePatch, PatchFailed, PatchMalformed } from './patch.ts';
import {
  alreadyExists,
  applyConflicts,
  badRequest,
  deleted,
  modified,
  needsRevision,
  notFound,
  patchRefused,
} from './refusal.ts';
import { apiVersionOf, conform, type Entry, type Storage, viewThrough } from './storage.ts';

export interface Place {
  readonly kind: Kind;
  readonly version: KindVersion;
  readonly namespace: string;
  readonly name: string;
  readonly status: boolean;
}

export interface Manners {
  readonly manager: string;
  readonly dryRun: boolean;
  readonly force: boolean;
  /** What happens to unknown fields. */
  readonly unknown: 'Ignore' | 'Warn' | 'Strict';
  /** Seeding goes past the webhook and may set what the server sets otherwise. */
  readonly seed: boolean;
  /** The object is the result of a patch, not one that was sent whole. */
  readonly patching: boolean;
}

export interface Outcome {
  readonly before: Entry | null;
  /** What was stored; null: nothing was (dry run, or no change). */
  readonly stored: Entry | null;
  readonly created: boolean;
  readonly answer: JsonObject;
  readonly warnings: readonly string[];
}

export interface Writes {
  create(place: Place, body: JsonObject, manners: Manners): Outcome;
  replace(place: Place, body: JsonObject, manners: Manners): Outcome;
  jsonPatch(place: Place, ops: Json, manners: Manners): Outcome;
  mergePatch(place: Place, patch: Json, manners: Manners): Outcome;
  apply(place: Place, config: JsonObject, manners: Manners): Outcome;
  remove(place: Place, preconditions: JsonObject, manners: Manners): Outcome;
  seed(place: Place, object: JsonObject, manners: Manners, operation: Writer['operation']): Outcome;
}

const METADATA: ReadonlySet<string> = new Set([
  'name',
  'generateName',
  'namespace',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'labels',
  'annotations',
  'ownerReferences',
  'finalizers',
]);

export function openWrites(storage: Storage, now: () => number): Writes {
  const seconds = (): string => new Date(now()).toISOString().replace(/\.\d+Z$/, 'Z');

  const existing = ({ kind, namespace, name }: Place): Entry => {
    const found = storage.find(kind, namespace, name);
    if (found === undefined) throw notFound(kind, name);
    return found;
  };

  const writer = (place: Place, manners: Manners, operation: Writer['operation'] = 'Update'): Writer => ({
    manager: manners.manager,
    operation,
    apiVersion: apiVersionOf(place.kind, place.version.name),
    time: seconds(),
  });

  const needsNamespace = ({ kind, namespace }: Place): void => {
    if (kind.namespaced && storage.find(NAMESPACE, '', namespace) === undefined) throw notFound(NAMESPACE, namespace);
  };

  /** Everything after the new object is known. `owners`: those that server-side apply worked out. */
  function finish(
    place: Place,
    before: Entry | null,
    wanted: JsonObject,
    manners: Manners,
    owners: Owners | null,
    operation?: Writer['operation'],
  ): Outcome {
    const { kind, version } = place;
    const { object: fitted, dropped } = conform(wanted, version);
    checkTexts(wanted, manners);
    const unknown = unknownFields(wanted, [...dropped, ...unknownMetadata(wanted)], manners);
    checkIdentity(place, before, fitted, manners);
    checkRevision(place, before, fitted, manners);
    checkSchema(place, fitted);

    const body = manners.seed ? fitted : withStatus(place, before, fitted);
    const stored: JsonObject = {
      ...body,
      apiVersion: apiVersionOf(kind, kind.storage),
      kind: kind.kind,
      metadata: metadataOf(place, before, body, manners),
    };
    const said = manners.seed || place.status ? [] : admit(kind, stored);
    const warnings = said.length === 0 ? unknown : [...unknown, ...said];
    if (before !== null && sameContent(before.object, stored))
      return { before, stored: null, created: false, answer: viewThrough(before, version), warnings };

    const object = withGeneration(kind, before, stored, manners);
    const own =
      owners ?? afterUpdate(before?.owners ?? [], writer(place, manners, operation), before?.object ?? null, object);
    if (manners.dryRun)
      return { before, stored: null, created: before === null, answer: dryAnswer(object, version, kind), warnings };
    const entry = storage.store(kind, place.namespace, place.name, object, own);
    if (!manners.seed && isGone(entry.object))
      return { before, stored: storage.remove(entry), created: false, answer: viewThrough(entry, version), warnings };
    return { before, stored: entry, created: before === null, answer: viewThrough(entry, version), warnings };
  }

  const metadataOf = (place: Place, before: Entry | null, object: JsonObject, manners: Manners): JsonObject => {
    const given = objectAt(object, 'metadata');
    const old = before === null ? {} : objectAt(before.object, 'metadata');
    const kept = Object.fromEntries(Object.entries(given).filter(([key]) => METADATA.has(key)));
    const chosen = (key: string): string | undefined => (manners.seed ? textAt(given, key) : undefined);
    const terminating = chosen('deletionTimestamp') ?? textAt(old, 'deletionTimestamp');
    return {
      ...without(kept, 'resourceVersion', 'deletionTimestamp'),
      name: place.name,
      ...(place.kind.namespaced ? { namespace: place.namespace } : {}),
      uid: chosen('uid') ?? textAt(old, 'uid') ?? randomUUID(),
      creationTimestamp: chosen('creationTimestamp') ?? textAt(old, 'creationTimestamp') ?? seconds(),
      ...(terminating === undefined ? {} : { deletionTimestamp: terminating }),
    };
  };

  return {
    create(place, body, manners) {
      needsNamespace(place);
      if (storage.find(place.kind, place.namespace, place.name) !== undefined)
        throw alreadyExists(place.kind, place.name);
      return finish(place, null, body, manners, null);
    },
    replace(place, body, manners) {
      const before = existing(place);
      if (textAt(objectAt(body, 'metadata'), 'resourceVersion') === undefined)
        throw needsRevision(place.kind, place.name);
      return finish(place, before, body, manners, null);
    },
    jsonPatch(place, ops, manners) {
      const before = existing(place);
      return finish(
        place,
        before,
        attempt(() => jsonPatch(viewThrough(before, place.version), ops)),
        manners,
        null,
      );
    },
    mergePatch(place, patch, manners) {
      const before = existing(place);
      if (!isObject(patch)) throw badRequest('a merge patch is an object');
      return finish(place, before, mergePatch(viewThrough(before, place.version), patch) as JsonObject, manners, null);
    },
    apply(place, config, manners) {
      const before = storage.find(place.kind, place.namespace, place.name) ?? null;
      if (before === null) needsNamespace(place);
      const live = before === null ? {} : viewThrough(before, place.version);
      const merged = apply(live, before?.owners ?? [], writer(place, manners, 'Apply'), config);
      if (merged.conflicts.length > 0 && !manners.force) throw applyConflicts(merged.conflicts);
      return finish(place, before, merged.object, manners, merged.owners);
    },
    remove(place, preconditions, manners) {
      const { kind, namespace, name, version } = place;
      const before = existing(place);
      const metadata = objectAt(before.object, 'metadata');
      const wanted = textAt(preconditions, 'resourceVersion');
      if (wanted !== undefined && wanted !== metadata['resourceVersion']) throw modified(kind, name);
      const gone = deleted(kind, name, textAt(metadata, 'uid') ?? '');
      if (manners.dryRun) return { before, stored: null, created: false, answer: gone, warnings: [] };
      if (hasFinalizers(metadata)) {
        const stored = storage.store(kind, namespace, name, markedForDeletion(before.object, seconds()), before.owners);
        return { before, stored, created: false, answer: viewThrough(stored, version), warnings: [] };
      }
      return { before, stored: storage.remove(before), created: false, answer: gone, warnings: [] };
    },
    seed(place, object, manners, operation) {
      const before = storage.find(place.kind, place.namespace, place.name) ?? null;
      const status = object['status'] ?? before?.object['status'];
      return finish(place, before, status === undefined ? object : { ...object, status }, manners, null, operation);
    },
  };
}

// ── helpers ─────────────────────────────────────────────────────────────────────────────────────────────────────────

function attempt(patch: () => JsonObject): JsonObject {
  try {
    return patch();
  } catch (error) {
    if (error instanceof PatchFailed) throw patchRefused();
    if (error instanceof PatchMalformed) throw badRequest(error.message);
    throw error;
  }
}

/** Fields of metadata that nobody knows. */
const unknownMetadata = (object: JsonObject): readonly string[] =>
  Object.keys(objectAt(object, 'metadata'))
    .filter((key) => !METADATA.has(key) && key !== 'managedFields' && key !== 'selfLink')
    .map((key) => `metadata.${key}`);

/** The main endpoint leaves the status alone, `/status` everything else. */
function withStatus(place: Place, before: Entry | null, object: JsonObject): JsonObject {
  if (!place.kind.statusSubresource) return object;
  if (place.status && before !== null) return { ...before.object, ...pick(object, 'status') };
  return { ...without(object, 'status'), ...pick(before?.object ?? {}, 'status') };
}

const pick = (object: JsonObject, key: string): JsonObject => (object[key] === undefined ? {} : { [key]: object[key] });

const withoutBookkeeping = (metadata: JsonObject): JsonObject =>
  without(metadata, 'managedFields', 'resourceVersion', 'generation');

function sameContent(before: JsonObject, after: JsonObject): boolean {
  const [a, b] = [before, after].map((object) => without(object, 'metadata'));
  if (!equal(a, b)) return false;
  return equal(withoutBookkeeping(objectAt(before, 'metadata')), withoutBookkeeping(objectAt(after, 'metadata')));
}

/** Moves on changes outside of metadata and status only. */
function withGeneration(kind: Kind, before: Entry | null, object: JsonObject, manners: Manners): JsonObject {
  if (!kind.generation) return object;
  const metadata = objectAt(object, 'metadata');
  const chosen = manners.seed ? numberAt(metadata, 'generation') : undefined;
  const old = numberAt(objectAt(before?.object, 'metadata'), 'generation') ?? 0;
  const watched = (whole: JsonObject): JsonObject =>
    without(bodyOf(whole), ...(kind.statusSubresource ? ['status'] : []));
  const moved = before === null || !equal(watched(before.object), watched(object));
  const generation = chosen ?? (moved ? old + 1 : old);
  return seenByController(kind, { ...object, metadata: { ...metadata, generation } }, generation, manners);
}

/** A seeded Deployment whose status does not say which generation it is about is about the newest. */
function seenByController(kind: Kind, object: JsonObject, generation: number, manners: Manners): JsonObject {
  const status = object['status'];
  if (!manners.seed || kind.kind !== 'Deployment' || !isObject(status) || status['observedGeneration'] !== undefined)
    return object;
  return { ...object, status: { ...status, observedGeneration: generation } };
}

const dryAnswer = (object: JsonObject, version: KindVersion, kind: Kind): JsonObject =>
  conform({ ...object, apiVersion: apiVersionOf(kind, version.name) }, version).object;

const hasFinalizers = (metadata: JsonObject): boolean => {
  const finalizers = metadata['finalizers'];
  return isList(finalizers) && finalizers.length > 0;
};

const isGone = (object: JsonObject): boolean => {
  const metadata = objectAt(object, 'metadata');
  return metadata['deletionTimestamp'] !== undefined && !hasFinalizers(metadata);
};

/** The mark counts as a change of what is wanted: it moves the generation. */
function markedForDeletion(object: JsonObject, now: string): JsonObject {
  const metadata = objectAt(object, 'metadata');
  if (metadata['deletionTimestamp'] !== undefined) return object;
  const generation = numberAt(metadata, 'generation');
  const next = generation === undefined ? {} : { generation: generation + 1 };
  return { ...object, metadata: { ...metadata, ...next, deletionTimestamp: now, deletionGracePeriodSeconds: 0 } };
}
