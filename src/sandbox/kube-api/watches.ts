/** Watch streams: one JSON event per line, bookmarks, and the ways in which a watch ends or goes silent. */
import type { ServerResponse } from 'node:http';
import type { Kind, KindVersion } from './kinds.ts';
import { expired } from './refusal.ts';
import type { LabelTest } from './selector.ts';
import {
  apiVersionOf,
  type Entry,
  type Event,
  type EventType,
  labelsOf,
  type Storage,
  textThrough,
} from './storage.ts';

export interface WatchRequest {
  readonly kind: Kind;
  readonly version: KindVersion;
  readonly namespace: string;
  /** null: start with everything that is there. */
  readonly from: number | null;
  readonly labels: LabelTest;
  /** From a field selector metadata.name=x; null: any. */
  readonly name: string | null;
  readonly bookmarks: boolean;
  /** Seconds; null: no end. */
  readonly timeout: number | null;
  /** Opened, and silent for ever. */
  readonly mute: boolean;
}

export interface Watches {
  open(request: WatchRequest, response: ServerResponse): void;
  readonly count: () => number;
  /** All present and future streams stay open and say nothing more. */
  mute(on: boolean): void;
  /** Ends all streams: politely (as after timeoutSeconds) or by cutting the connection. */
  end(how: 'politely' | 'cut'): void;
}

export function openWatches(storage: Storage, bookmarkMs: number): Watches {
  const streams = new Set<{ end(how: 'politely' | 'cut'): void }>();
  let muted = false;

  const open = (request: WatchRequest, response: ServerResponse): void => {
    const { kind, version } = request;
    const silent = (): boolean => muted || request.mute;
    const line = (type: string, object: string): void => {
      if (!silent()) response.write(`{"type":"${type}","object":${object}}\n`);
    };
    const selects = (entry: Entry): boolean =>
      (request.namespace === '' || entry.namespace === request.namespace) &&
      (request.name === null || entry.name === request.name) &&
      request.labels(labelsOf(entry));
    let seen: number | null = null;
    const send = ({ type, revision, entry, before }: Event): void => {
      seen = revision;
      const shown = shownAs(type, selects(entry), before !== null && selects(before));
      if (shown !== null) line(shown, textThrough(entry, version));
    };
    // A stream that met no event sends no bookmark either: a real server has nothing to mark there.
    const bookmark = (): void => {
      if (seen === null) return;
      const object = {
        kind: kind.kind,
        apiVersion: apiVersionOf(kind, version.name),
        metadata: { resourceVersion: String(seen), creationTimestamp: null },
      };
      line('BOOKMARK', JSON.stringify(object));
    };

    response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private' });
    response.flushHeaders();
    const missed = request.from === null ? null : storage.since(kind, request.from);
    if (request.from !== null && missed === null) {
      line('ERROR', JSON.stringify(expired(request.from, storage.oldest(kind))));
      response.end();
      return;
    }
    if (missed === null)
      for (const entry of storage.all(kind, request.namespace))
        send({ type: 'ADDED', revision: entry.revision, entry, before: null });
    else missed.forEach(send);

    const unsubscribe = storage.subscribe(kind, send);
    const beat = request.bookmarks ? setInterval(bookmark, bookmarkMs) : undefined;
    const stream = {
      end(how: 'politely' | 'cut') {
        if (how === 'cut') response.destroy();
        else response.end();
      },
    };
    const timer =
      request.timeout === null
        ? undefined
        : setTimeout(() => {
            if (silent()) return;
            if (request.bookmarks) bookmark();
            stream.end('politely');
          }, request.timeout * 1000);
    streams.add(stream);
    response.on('close', () => {
      streams.delete(stream);
      unsubscribe();
      clearInterval(beat);
      clearTimeout(timer);
    });
  };

  return {
    open,
    count: () => streams.size,
    mute: (on) => {
      muted = on;
    },
    end: (how) => {
      for (const stream of streams) stream.end(how);
    },
  };
}

/** An object that enters or leaves the selection is added or deleted, as the watcher sees it. */
function shownAs(type: EventType, selected: boolean, wasSelected: boolean): EventType | null {
  if (type === 'DELETED') return wasSelected ? 'DELETED' : null;
  if (type === 'ADDED') return selected ? 'ADDED' : null;
  if (selected) return wasSelected ? 'MODIFIED' : 'ADDED';
  return wasSelected ? 'DELETED' : null;
}
