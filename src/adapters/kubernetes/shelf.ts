/**
 * One list and the watch that keeps it up to date: of one kind, in one namespace or ('') in all.
 *
 * A watch can die without a sound (a proxy that dropped it, a server that forgot it), so silence is no proof. Every
 * stream is asked to end by itself after `streamMs`: the polite end, like any event or bookmark, proves that the server
 * was there, and the next stream starts at the last resourceVersion seen, which replays whatever was missed. A stream
 * that neither speaks nor ends in time was dead: what it did not say is fetched by a new list. Either way a lost event
 * is noticed within `streamMs` + `graceMs`, below 30 s, and in between nothing is answered that is known to be older
 * than a write of this process.
 */
import type { Logger } from '../../app/ports.ts';
import type { KindRef, Kube, KubeObject, ObjectRef } from './kube.ts';
import { slim } from './slim.ts';
import type { Stream, StreamEvents } from './transport.ts';

export interface ShelfTimes {
  /** Life of one stream. Default 24 s, up to a sixth less by chance so that processes do not move in step. */
  readonly streamMs: number;
  /** How much later than that the polite end may come. Default 3 s. */
  readonly graceMs: number;
  /** First pause after a failure, doubled up to the longest. Default 0.5 s, 30 s. */
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
  /** How long a refused list (403, kind not served) is taken for an answer. Default 10 min. */
  readonly deniedMs: number;
}

export const SHELF_TIMES: ShelfTimes = {
  streamMs: 24_000,
  graceMs: 3_000,
  firstPauseMs: 500,
  longestPauseMs: 30_000,
  deniedMs: 600_000,
};

export interface ShelfSource {
  /** All objects and the resourceVersion of the whole. */
  list(kind: KindRef): Promise<Kube<{ readonly items: readonly KubeObject[]; readonly resourceVersion: string }>>;
  watch(kind: KindRef, from: string, timeoutSeconds: number, events: StreamEvents): Stream;
}

export interface Shelf {
  /** Does the copy count now? */
  trusted(): boolean;
  /** The server refused list or watch: GETs are the only way. */
  denied(): boolean;
  /** Resolves when the first list is there or cannot be had, or after `wait` ms. */
  ready(wait: number): Promise<void>;
  /** null: not trusted now, or no such object. */
  find(ref: ObjectRef): KubeObject | null;
  learn(ref: ObjectRef, object: KubeObject): void;
  close(): void;
}

const REFUSED: ReadonlySet<string> = new Set(['forbidden', 'kind_not_served', 'rejected']);

/** What a reopened stream replays follows its headers at once; this is how long that may take. */
const CATCH_UP_MS = 100;

const keyOf = (namespace: string | undefined, name: string): string => `${namespace ?? ''}/${name}`;

/** resourceVersions of one kind grow. Where they are no numbers nothing can be said: false. */
const newer = (a: string | undefined, b: string | undefined): boolean =>
  Number(a ?? Number.NaN) > Number(b ?? Number.NaN);
const comparable = (a: string | undefined, b: string | undefined): boolean => !Number.isNaN(Number(a) - Number(b));

export function openShelf(source: ShelfSource, kind: KindRef, log: Logger, times: Partial<ShelfTimes> = {}): Shelf {
  const { streamMs, graceMs, firstPauseMs, longestPauseMs, deniedMs } = { ...SHELF_TIMES, ...times };

  let objects = new Map<string, KubeObject>();
  let version = '';
  let stream: Stream | null = null;
  let alive = false;
  /** The last stream died in silence: the next one counts only once it has spoken. */
  let suspicious = false;
  /** The last stream broke: the next one has to catch up. */
  let behind = false;
  let closed = false;
  let deniedUntil = 0;
  let failures = 0;
  let timer: NodeJS.Timeout | undefined;
  let settle: NodeJS.Timeout | undefined;
  const waiting = Promise.withResolvers<void>();
  const what = { kind: `${kind.plural}.${kind.group}`, namespace: kind.namespace };

  const later = (ms: number, then: () => void): void => {
    clearTimeout(timer);
    timer = setTimeout(then, ms);
    timer.unref();
  };

  const trust = (): void => {
    behind = false;
    alive = !suspicious;
  };

  const distrust = (): void => {
    clearTimeout(settle);
    alive = false;
  };

  const pause = (): number => {
    const longest = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(failures, 10));
    failures += 1;
    return longest * (0.5 + Math.random() / 2);
  };

  // ── list ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  const relist = async (): Promise<void> => {
    const listed = await source.list(kind);
    if (closed) return;
    if (!listed.ok) {
      waiting.resolve();
      if (REFUSED.has(listed.code)) deny(listed.message);
      else {
        log.debug({ ...what, code: listed.code }, `list failed, reading one by one: ${listed.message}`);
        later(listed.retryAfter === undefined ? pause() : listed.retryAfter * 1000, start);
      }
      return;
    }
    const before = objects;
    objects = new Map(
      listed.value.items.map((item) => [keyOf(item.metadata.namespace, item.metadata.name), slim(item)]),
    );
    version = listed.value.resourceVersion;
    // An object that this process wrote while the list was under way may be newer than the list.
    for (const [key, held] of before) {
      const fresh = objects.get(key);
      if (fresh !== undefined && newer(held.metadata.resourceVersion, fresh.metadata.resourceVersion))
        objects.set(key, held);
    }
    behind = false;
    watch();
  };

  const start = (): void => {
    distrust();
    relist().catch((error: unknown) => {
      log.error({ ...what, err: error }, 'a bug in the read cache: reading one by one');
      deny(String(error));
    });
  };

  const deny = (why: string): void => {
    if (deniedUntil === 0) log.warn(what, `no list-and-watch, every read is a GET of its own: ${why}`);
    deniedUntil = performance.now() + deniedMs;
    later(deniedMs, start);
  };

  // ── watch ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  const watch = (): void => {
    // A short one where proof of life is wanted: its polite end is the proof.
    const life = (suspicious ? streamMs / 6 : streamMs) * (1 - Math.random() / 6);
    const seconds = Math.max(1, Math.round(life / 1000));
    let openedAt = 0;
    stream?.close();
    stream = source.watch(kind, version, seconds, {
      opened() {
        openedAt = performance.now();
        if (behind) settle = setTimeout(trust, CATCH_UP_MS);
        else trust();
        deniedUntil = 0;
        waiting.resolve();
        later(seconds * 1000 + graceMs, () => {
          stream?.close();
          suspicious = true;
          log.warn(what, 'a watch went silent: listing again');
          start();
        });
      },
      line(text) {
        if (!take(text)) return;
        failures = 0;
        suspicious = false;
        if (!behind) trust();
      },
      ended(end) {
        if (closed) return;
        distrust();
        waiting.resolve();
        behind = end.kind !== 'polite';
        if (end.kind === 'polite') {
          const early = performance.now() - openedAt < seconds * 500;
          suspicious = suspicious && early;
          if (!early) failures = 0;
          // Early again and again: a server or proxy that does not hold streams.
          later(early ? pause() : 0, watch);
          return;
        }
        if (end.kind === 'answer' && end.status === 403) {
          deny(`watch: HTTP 403: ${end.text.slice(0, 300)}`);
          return;
        }
        if (end.kind === 'answer' && end.status === 410) {
          start();
          return;
        }
        log.debug({ ...what, end }, 'a watch broke: opening it again');
        later(pause(), end.kind === 'answer' ? start : watch);
      },
    });
  };

  /** false: the stream is of no use any more. */
  const take = (text: string): boolean => {
    const event = parsed(text);
    if (event === null) {
      log.warn(what, 'a watch sent something that is no event: listing again');
      broken();
      return false;
    }
    const { type, object } = event;
    if (type === 'ERROR') {
      // Usually 410: the version is older than what the server remembers.
      log.debug({ ...what, status: object['code'] }, `watch: ${String(object['message'])}`);
      broken();
      return false;
    }
    version = object.metadata.resourceVersion ?? version;
    const key = keyOf(object.metadata.namespace, object.metadata.name);
    if (type === 'BOOKMARK') return true;
    const held = objects.get(key);
    if (newer(held?.metadata.resourceVersion, version)) return true;
    if (type === 'DELETED') objects.delete(key);
    else objects.set(key, slim(object));
    return true;
  };

  const broken = (): void => {
    stream?.close();
    distrust();
    later(pause(), start);
  };

  start();
  return {
    trusted: () => alive,
    denied: () => performance.now() < deniedUntil,
    async ready(wait) {
      if (alive || version !== '') return;
      await Promise.race([waiting.promise, new Promise<void>((resolve) => setTimeout(resolve, wait).unref())]);
    },
    find: (ref) => (alive ? (objects.get(keyOf(ref.namespace, ref.name)) ?? null) : null),
    learn(ref, object) {
      const key = keyOf(ref.namespace, ref.name);
      const known = objects.get(key)?.metadata.resourceVersion;
      const told = object.metadata.resourceVersion;
      // Nothing held although the watch is past this version: the object has been deleted since it was read.
      const seen = known ?? (version === '' ? undefined : version);
      if (seen === undefined || newer(told, seen)) objects.set(key, slim(object));
      // Older or newer, who knows: the next read is a GET.
      else if (!comparable(told, seen)) objects.delete(key);
    },
    close() {
      closed = true;
      distrust();
      clearTimeout(timer);
      stream?.close();
      waiting.resolve();
    },
  };
}

interface WatchEvent {
  readonly type: string;
  readonly object: KubeObject;
}

function parsed(text: string): WatchEvent | null {
  try {
    const event = JSON.parse(text) as Partial<WatchEvent>;
    return typeof event.type === 'string' && typeof event.object?.metadata === 'object' ? (event as WatchEvent) : null;
  } catch {
    // Cut off in the middle of a line.
    return null;
  }
}
