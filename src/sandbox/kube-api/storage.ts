/**
 * The objects, their resourceVersions and what happened to them. One counter for all kinds, as in etcd.
 * Objects are kept as JSON plus their serialised text for each version that was asked for.
 */
import { isObject, type Json, type JsonObject, objectAt, without } from './json.ts';
import type { Kind, KindVersion } from './kinds.ts';
import type { Owners } from './ownership.ts';
import { managedFields } from './ownership.ts';
import { fillIn, prune } from './schema.ts';

export interface Entry {
  readonly kind: Kind;
  readonly namespace: string;
  readonly name: string;
  readonly revision: number;
  /** In the storage version, complete with metadata. */
  readonly object: JsonObject;
  readonly owners: Owners;
  readonly views: Map<string, JsonObject>;
  readonly texts: Map<string, string>;
}

export type EventType = 'ADDED' | 'MODIFIED' | 'DELETED';

export interface Event {
  readonly type: EventType;
  readonly revision: number;
  readonly entry: Entry;
  readonly before: Entry | null;
}

export interface Storage {
  readonly revision: () => number;
  find(kind: Kind, namespace: string, name: string): Entry | undefined;
  /** Entries of one namespace; of all where it is ''. */
  all(kind: Kind, namespace: string): Entry[];
  /** Stores the object under a new resourceVersion and tells the watchers. */
  store(kind: Kind, namespace: string, name: string, object: JsonObject, owners: Owners): Entry;
  remove(entry: Entry): Entry;
  /** Events after a revision; null: some of them are forgotten already. */
  since(kind: Kind, revision: number): readonly Event[] | null;
  /** Oldest revision from which a watch of the kind can start. */
  oldest(kind: Kind): number;
  subscribe(kind: Kind, listener: (event: Event) => void): () => void;
  /** Forgets all events, as etcd's compaction does. */
  compact(): void;
}

interface Shelf {
  readonly entries: Map<string, Entry>;
  readonly listeners: Set<(event: Event) => void>;
  events: Event[];
  oldest: number;
}

const keyOf = (namespace: string, name: string): string => `${namespace}/${name}`;

const BEGINNING = 100;

export function openStorage(history: number): Storage {
  const shelves = new Map<string, Shelf>();
  // Not 1: a server that has just started has a past, and a watch from there is too old.
  let revision = BEGINNING;

  const shelfOf = (kind: Kind): Shelf => {
    const id = `${kind.group}/${kind.plural}`;
    let shelf = shelves.get(id);
    if (shelf === undefined) {
      shelf = { entries: new Map(), listeners: new Set(), events: [], oldest: BEGINNING };
      shelves.set(id, shelf);
    }
    return shelf;
  };

  const tell = (shelf: Shelf, event: Event): void => {
    shelf.events.push(event);
    // Trimmed in slabs: a shift per event would copy the list on every write.
    if (shelf.events.length >= history * 2) {
      const dropped = shelf.events.splice(0, shelf.events.length - history);
      shelf.oldest = dropped.at(-1)?.revision ?? shelf.oldest;
    }
    for (const listener of shelf.listeners) listener(event);
  };

  const make = (kind: Kind, namespace: string, name: string, object: JsonObject, owners: Owners): Entry => {
    revision += 1;
    const metadata: Record<string, Json> = { ...objectAt(object, 'metadata'), resourceVersion: String(revision) };
    if (owners.length > 0) metadata['managedFields'] = managedFields(owners);
    return {
      kind,
      namespace,
      name,
      revision,
      object: { ...object, metadata },
      owners,
      views: new Map(),
      texts: new Map(),
    };
  };

  return {
    revision: () => revision,
    find: (kind, namespace, name) => shelfOf(kind).entries.get(keyOf(namespace, name)),
    all: (kind, namespace) => {
      const entries = [...shelfOf(kind).entries.values()];
      return namespace === '' ? entries : entries.filter((entry) => entry.namespace === namespace);
    },
    store(kind, namespace, name, object, owners) {
      const shelf = shelfOf(kind);
      const key = keyOf(namespace, name);
      const before = shelf.entries.get(key) ?? null;
      const entry = make(kind, namespace, name, object, owners);
      shelf.entries.set(key, entry);
      tell(shelf, { type: before === null ? 'ADDED' : 'MODIFIED', revision: entry.revision, entry, before });
      return entry;
    },
    remove(before) {
      const shelf = shelfOf(before.kind);
      shelf.entries.delete(keyOf(before.namespace, before.name));
      const entry = make(before.kind, before.namespace, before.name, before.object, before.owners);
      tell(shelf, { type: 'DELETED', revision: entry.revision, entry, before });
      return entry;
    },
    since(kind, from) {
      const shelf = shelfOf(kind);
      return from < shelf.oldest ? null : shelf.events.filter((event) => event.revision > from);
    },
    oldest: (kind) => shelfOf(kind).oldest,
    subscribe(kind, listener) {
      const { listeners } = shelfOf(kind);
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    compact() {
      for (const shelf of shelves.values()) {
        shelf.events = [];
        shelf.oldest = revision;
      }
    },
  };
}

// ── one object, seen through one version ─────────────────────────────────────────────────────────────────────────────

export const apiVersionOf = (kind: Kind, version: string): string =>
  kind.group === '' ? version : `${kind.group}/${version}`;

export const versionOf = (kind: Kind, name: string): KindVersion | undefined =>
  kind.versions.find((version) => version.name === name);

/**
 * Conversion "None": only apiVersion changes. But what the version's schema does not know is pruned, and what it has a
 * default for is filled in: this is how a read through an old version hides fields, and a write through it loses them.
 */
export function viewThrough(entry: Entry, version: KindVersion): JsonObject {
  let view = entry.views.get(version.name);
  if (view === undefined) {
    const named = { ...entry.object, apiVersion: apiVersionOf(entry.kind, version.name), kind: entry.kind.kind };
    view = conform(named, version).object;
    entry.views.set(version.name, view);
  }
  return view;
}

/** Prunes and fills in everything but apiVersion, kind and metadata. */
export function conform(
  object: JsonObject,
  version: KindVersion,
): { readonly object: JsonObject; readonly dropped: readonly string[] } {
  if (version.schema === null) return { object, dropped: [] };
  const { apiVersion, kind, metadata, ...rest } = object as Record<string, Json>;
  const dropped: string[] = [];
  const body = fillIn(prune(rest, version.schema, '', dropped), version.schema);
  return {
    object: {
      apiVersion: apiVersion ?? '',
      kind: kind ?? '',
      metadata: metadata ?? {},
      ...(isObject(body) ? body : {}),
    },
    dropped,
  };
}

export function textThrough(entry: Entry, version: KindVersion): string {
  let text = entry.texts.get(version.name);
  if (text === undefined) {
    text = JSON.stringify(viewThrough(entry, version));
    entry.texts.set(version.name, text);
  }
  return text;
}

/** An element of a list: built-in kinds leave out what the list says already. */
export function itemThrough(entry: Entry, version: KindVersion): string {
  if (!entry.kind.builtIn) return textThrough(entry, version);
  const key = `${version.name} item`;
  let text = entry.texts.get(key);
  if (text === undefined) {
    text = JSON.stringify(without(viewThrough(entry, version), 'apiVersion', 'kind'));
    entry.texts.set(key, text);
  }
  return text;
}

export const labelsOf = (entry: Entry): JsonObject => objectAt(objectAt(entry.object, 'metadata'), 'labels');
