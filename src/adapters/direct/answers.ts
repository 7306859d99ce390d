/** From what was read of a version's pods to answers, or to why there is none. Pure. */
import type { NoValueCode } from '../../domain/observation.ts';
import type { Instant, Role } from '../../domain/plan.ts';
import type { Figures } from '../prometheus/figures.ts';
import type { Bucket } from '../prometheus/quantile.ts';
import { growth, type Span, type Track } from './book.ts';
import type { Class } from './classes.ts';
import { MISSES, type Reader, type Side } from './watch.ts';

export interface NoAnswer {
  readonly ok: false;
  readonly code: NoValueCode;
  readonly message: string;
}

export interface Answering {
  readonly ok: true;
  /** Pods that must answer and do. */
  readonly readers: readonly Reader[];
  /** Part of the version's ready pods that was read. */
  readonly part: number;
  /** For people: "2 of 2 pods". */
  readonly words: string;
}

/**
 * Are enough of a version's pods answering to speak for it? Of the canary all must: a bad pod is perhaps just the one that
 * does not answer. Of the stable version half are enough: what they have in common is what counts.
 */
export function answering(role: Role, side: Side): Answering | NoAnswer {
  const { deployment, expected, readers, ready, bare, trouble } = side;
  if (trouble !== null && (readers.length === 0 || trouble.code !== 'no_data'))
    return { ok: false, code: trouble.code, message: trouble.message };
  const well = expected.filter(answers);
  const silent = expected.filter((reader) => !answers(reader));
  const of = expected.length + bare.length;
  const enough = role === 'canary' ? well.length === of : 2 * well.length >= of;
  if (enough) {
    const words = `${well.length} of ${ready} pods${ready > of ? ', chosen by their names' : ''}`;
    return { ok: true, readers: well, part: ready === 0 ? 1 : well.length / ready, words };
  }
  const code = well.length > 0 ? 'partial' : (silent[0]?.trouble?.code ?? 'unavailable');
  return {
    ok: false,
    code,
    message: `${well.length} of ${of} pods of ${deployment} could be read: ${why(silent, bare)}`,
  };
}

const answers = ({ book, misses }: Reader): boolean => book.first !== null && misses < MISSES;

function why([first]: readonly Reader[], bare: readonly string[]): string {
  if (first !== undefined)
    return `pod ${first.proxy.pod} at ${first.proxy.url} ${first.trouble?.message ?? 'was not read yet; ask again in a moment'}`;
  return `pod ${bare[0]} has no container istio-proxy or linkerd-proxy; have the proxy injected, or let the check name the provider prometheus`;
}

/** When these pods had all been read last. null: one of them never was, or there is none. */
export function readUntil(readers: readonly Reader[]): Instant | null {
  const last = readers.map(({ book }) => book.reads.at(-1) ?? null);
  return last.length === 0 || last.includes(null) ? null : Math.min(...last.filter((at) => at !== null));
}

export interface Look {
  readonly from: Instant;
  readonly to: Instant;
  /** Before this moment nothing was watched. */
  readonly began: Instant;
}

/**
 * All that a process counted belongs to the look-back if it started within it; or since the watch began, because then its
 * pod is new, and nobody sends requests to a pod that is not ready.
 */
export const spanOf = ({ proxy }: Reader, { from, to, began }: Look): Span => ({
  from,
  to,
  newborn: proxy.startedAt !== null && proxy.startedAt >= Math.min(from, began),
});

/** What the proxies counted of one version in the look-back. `classOf`: null where the series is another version's. */
export function figuresOf(side: Side, classOf: (track: Track) => Class | null, look: Look): Figures {
  let requests: number | null = null;
  let errors: number | null = null;
  const buckets = new Map<number, number>();
  for (const reader of side.readers) {
    const span = spanOf(reader, look);
    for (const track of reader.book.tracks) {
      const one = classOf(track);
      if (one === null) continue;
      const grown = growth(track, reader.book, span);
      if (one.request) requests = (requests ?? 0) + grown;
      if (one.error) errors = (errors ?? 0) + grown;
      if (one.bound !== null) buckets.set(one.bound, (buckets.get(one.bound) ?? 0) + grown);
    }
  }
  return { requests, errors, buckets: [...buckets] satisfies readonly Bucket[] as Bucket[] };
}
