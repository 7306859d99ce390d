/**
 * Reads answered from a list that a watch keeps up to date, so that thousands of rollouts do not mean thousands of GETs.
 *
 * Few readers go straight to the API server. A namespace with many gets a shelf (one list, one watch); a kind that is
 * read in many namespaces gets one shelf for the whole cluster, where access allows it. A shelf answers only while its
 * watch proves that it lives; everything else is a GET. See shelf.ts for the proof.
 */
import type { Logger } from '../../app/ports.ts';
import type { Kube, KubeObject, ObjectRef } from './kube.ts';
import { openShelf, type Shelf, type ShelfSource, type ShelfTimes } from './shelf.ts';

export interface CacheTuning extends Partial<ShelfTimes> {
  /** GETs of one kind and namespace within `countMs` that are worth a watch. Default 12 in 30 s: four rollouts at 10 s. */
  readonly watchAfter?: number;
  readonly countMs?: number;
  /** Namespaces with a shelf of the same kind that are worth one watch of the whole cluster. Default 8. */
  readonly widenAfter?: number;
  /** A shelf that nobody reads is closed after this long. Default 2 min. */
  readonly idleMs?: number;
  /** How long a read waits for a list under way before it makes a GET of its own. Default 2 s. */
  readonly waitMs?: number;
}

export interface ReadCache {
  read(ref: ObjectRef, maxAge: number): Promise<Kube<KubeObject>>;
  /** A newer state of the object is known (the answer of a write or a GET): nothing older is answered from now on. */
  learn(ref: ObjectRef, object: KubeObject): void;
  /** For tests and /metrics: shelves that answer, and all. */
  readonly shelves: { readonly trusted: number; readonly open: number };
  close(): void;
}

export interface CacheSource {
  get(ref: ObjectRef): Promise<Kube<KubeObject>>;
  readonly shelf: ShelfSource;
  readonly log: Logger;
}

/** Below this a caller wants the truth, not a copy. */
const FRESHEST_FROM_SHELF = 1_000;

interface Namespace {
  gets: number;
  since: number;
  shelf: Shelf | null;
  usedAt: number;
}

interface KindReaders {
  readonly namespaces: Map<string, Namespace>;
  wide: Shelf | null;
  wideUsedAt: number;
}

export function openReadCache(source: CacheSource, tuning: CacheTuning = {}): ReadCache {
  const watchAfter = tuning.watchAfter ?? 12;
  const countMs = tuning.countMs ?? 30_000;
  const widenAfter = tuning.widenAfter ?? 8;
  const idleMs = tuning.idleMs ?? 120_000;
  const waitMs = tuning.waitMs ?? 2_000;
  const kinds = new Map<string, KindReaders>();
  const now = (): number => performance.now();

  const readersOf = ({ group, version, plural }: ObjectRef): KindReaders => {
    const key = `${group}/${version}/${plural}`;
    let readers = kinds.get(key);
    if (readers === undefined) {
      readers = { namespaces: new Map(), wide: null, wideUsedAt: 0 };
      kinds.set(key, readers);
    }
    return readers;
  };

  const namespaceOf = (readers: KindReaders, namespace: string): Namespace => {
    let found = readers.namespaces.get(namespace);
    if (found === undefined) {
      found = { gets: 0, since: now(), shelf: null, usedAt: now() };
      readers.namespaces.set(namespace, found);
    }
    return found;
  };

  const open = (ref: ObjectRef, namespace: string): Shelf =>
    openShelf(
      source.shelf,
      { group: ref.group, version: ref.version, plural: ref.plural, namespace },
      source.log,
      tuning,
    );

  /** The shelf that should answer for this object; null: nobody watches, make a GET. */
  const shelfFor = (ref: ObjectRef): Shelf | null => {
    const readers = readersOf(ref);
    if (readers.wide !== null && !readers.wide.denied()) {
      readers.wideUsedAt = now();
      return readers.wide;
    }
    const place = namespaceOf(readers, ref.namespace);
    place.usedAt = now();
    if (place.shelf !== null) return place.shelf.denied() ? null : place.shelf;
    count(place);
    if (readers.wide === null && crowded(readers)) {
      readers.wide = open(ref, '');
      readers.wideUsedAt = now();
      return readers.wide;
    }
    if (place.gets <= watchAfter) return null;
    place.shelf = open(ref, ref.namespace);
    return place.shelf;
  };

  const count = (place: Namespace): void => {
    if (now() - place.since > countMs) {
      place.since = now();
      place.gets = 0;
    }
    place.gets += 1;
  };

  /** Many namespaces, each with a shelf or with so few reads that none opens one: together they are worth a wide one. */
  const crowded = (readers: KindReaders): boolean => {
    const recent = [...readers.namespaces.values()].filter(
      (place) => place.shelf !== null || (place.gets > 0 && now() - place.usedAt < countMs),
    );
    return recent.length > widenAfter;
  };

  const tidy = setInterval(
    () => {
      for (const readers of kinds.values()) {
        const wide = readers.wide;
        if (wide !== null && now() - readers.wideUsedAt > idleMs && !wide.denied()) {
          wide.close();
          readers.wide = null;
        }
        const covered = wide?.trusted() === true;
        for (const [name, place] of readers.namespaces) {
          if (place.shelf !== null && (covered || now() - place.usedAt > idleMs)) {
            place.shelf.close();
            place.shelf = null;
          }
          if (now() - place.usedAt > idleMs) readers.namespaces.delete(name);
        }
      }
    },
    Math.min(idleMs / 2, 15_000),
  );
  tidy.unref();

  const every = function* (): Generator<Shelf> {
    for (const readers of kinds.values()) {
      if (readers.wide !== null) yield readers.wide;
      for (const { shelf } of readers.namespaces.values()) if (shelf !== null) yield shelf;
    }
  };

  const get = async (ref: ObjectRef): Promise<Kube<KubeObject>> => {
    const got = await source.get(ref);
    if (got.ok) learn(ref, got.value);
    return got;
  };

  const learn = (ref: ObjectRef, object: KubeObject): void => {
    const readers = kinds.get(`${ref.group}/${ref.version}/${ref.plural}`);
    readers?.wide?.learn(ref, object);
    readers?.namespaces.get(ref.namespace)?.shelf?.learn(ref, object);
  };

  return {
    async read(ref, maxAge) {
      if (maxAge < FRESHEST_FROM_SHELF) return get(ref);
      const shelf = shelfFor(ref);
      if (shelf === null) return get(ref);
      await shelf.ready(waitMs);
      const held = shelf.find(ref);
      // A missing object is confirmed: a deletion stops a rollout, so it is never taken from a copy.
      return held === null ? get(ref) : { ok: true, value: held };
    },
    learn,
    get shelves() {
      const all = [...every()];
      return { trusted: all.filter((shelf) => shelf.trusted()).length, open: all.length };
    },
    close() {
      clearInterval(tidy);
      for (const shelf of every()) shelf.close();
      kinds.clear();
    },
  };
}
