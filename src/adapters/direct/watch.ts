/**
 * Reads the proxies of one target's two versions again and again: all of them at the same moments, so that what is
 * compared was counted over the same time. Runs while it is asked, and a little longer.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { NoValueCode } from '../../domain/observation.ts';
import type { Instant, Millis, Role } from '../../domain/plan.ts';
import type { KubeClient } from '../kubernetes/kube.ts';
import type { Gate } from '../prometheus/gate.ts';
import { Book, type BookOptions } from './book.ts';
import type { PageTrouble } from './page.ts';
import { chosen, findPods, type Pods, type Sidecar } from './pods.ts';

export interface WatchOptions {
  readonly kube: KubeClient;
  readonly namespace: string;
  /** Deployment of each version. */
  readonly deployments: { readonly [role in Role]: string };
  readonly keep: BookOptions['keep'];
  /** Time between two readings of one pod, and the deadline of each. */
  readonly interval: Millis;
  readonly maxSeries: number;
  /** Numbers kept of all pods together. Above it, the older half of the time is forgotten. */
  readonly maxNumbers: number;
  /** Pods of one version that are read. */
  readonly maxPods: number;
  /** Places of all watches together. */
  readonly gate: Gate;
  /** Pods that one process reads, over all watches. */
  readonly budget: { left: number };
  /** Reads one page. null: the samples are whole. */
  readonly read: (url: string, onSample: (series: string, value: number) => void) => Promise<PageTrouble | null>;
  readonly now: () => Instant;
}

/** One pod of a version, and what is known of it. */
export interface Reader {
  proxy: Sidecar;
  readonly book: Book;
  /** Why the last reading failed; null: it did not, or there was none yet. */
  trouble: PageTrouble | null;
  /** Readings that failed one after the other. */
  misses: number;
  /** Its pod is there and among the chosen ones. */
  listed: boolean;
}

/** What is known of a version. */
export interface Side {
  readonly deployment: string;
  readonly readers: readonly Reader[];
  /** Pods that must answer: ready, and chosen. */
  readonly expected: readonly Reader[];
  /** Ready pods of the version, chosen or not. */
  readonly ready: number;
  /** Ready pods without a proxy. */
  readonly bare: readonly string[];
  /** Why the pods are not known; null: they are. */
  readonly trouble: { readonly code: NoValueCode; readonly message: string } | null;
}

/** Between two looks at which pods there are. A pod that is found late has lost nothing: its counters began at 0. */
const LOOK: Millis = 5_000;
/** After a failed reading: the pod may be gone. */
const LOOK_AGAIN: Millis = 1_000;
/** As long as the API server does not answer, the pods that it named last are read. */
const BELIEVED: Millis = 60_000;
/** A single failed reading is made good by the next. */
export const MISSES = 2;
const IDLE: Millis = 30_000;
/** Rounds between two looks at how many there are. */
const WEIGHED_EVERY = 16;
/** A clock that was set back by more is another clock, on which what was read has no place. */
const SET_BACK: Millis = 5_000;
const KEPT_MOST: Millis = 10 * 60_000;
const KEPT_LEAST: Millis = 60_000;

class Version {
  readonly readers = new Map<string, Reader>();
  pods: Extract<Pods, { ok: true }> | null = null;
  trouble: Extract<Pods, { ok: false }> | null = null;
  lookedAt: Instant = Number.NEGATIVE_INFINITY;
  believedAt: Instant = Number.NEGATIVE_INFINITY;
  looking: Promise<void> | null = null;
  readonly deployment: string;

  constructor(deployment: string) {
    this.deployment = deployment;
  }
}

export class Watch {
  /** Before this moment nothing is known. */
  began: Instant;
  /** The last moment at which the pods were read; null: they were not yet. */
  last: Instant | null = null;
  readonly #options: WatchOptions;
  readonly #versions: { readonly [role in Role]: Version };
  readonly #stopping = new AbortController();
  readonly #ended: Promise<void>;
  readonly #settled = Promise.withResolvers<void>();
  #askedAt: Instant;
  #window: Millis = 0;
  #rounds = 0;
  #over = false;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.began = options.now();
    this.#askedAt = this.began;
    this.#versions = {
      stable: new Version(options.deployments.stable),
      canary: new Version(options.deployments.canary),
    };
    this.#ended = this.#run();
  }

  /** Somebody wants to know, over the last `window`: go on, and keep as much. */
  ask(window: Millis): void {
    this.#askedAt = this.#options.now();
    this.#window = Math.max(this.#window, window);
  }

  /** true: it reads no more, and never will. */
  get over(): boolean {
    return this.#over;
  }

  /** Resolves when there is something to count with (two readings), or cannot be, or after `patience`. */
  async settled(patience: Millis): Promise<void> {
    await Promise.race([this.#settled.promise, this.#ended, sleep(patience, undefined, { ref: false })]);
  }

  /** Resolves when it has ended because nobody asked, or by `stop`. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  stop(): Promise<void> {
    this.#stopping.abort();
    return this.#ended;
  }

  side(role: Role): Side {
    const version = this.#versions[role];
    const readers = [...version.readers.values()];
    return {
      deployment: version.deployment,
      readers,
      expected: readers.filter(({ listed, proxy }) => listed && proxy.expected),
      ready: (version.pods?.proxies.filter(({ expected }) => expected).length ?? 0) + (version.pods?.bare.length ?? 0),
      bare: version.pods?.bare ?? [],
      trouble: version.trouble ?? (version.pods === null ? notYet(version.deployment) : null),
    };
  }

  async #run(): Promise<void> {
    const { interval, now } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted && now() - this.#askedAt <= this.#patience()) {
      const started = performance.now();
      await this.#round();
      const left = interval - (performance.now() - started);
      // A process that hangs together by this timer alone may end.
      if (left > 0) await sleep(left, undefined, { ref: false, signal }).catch(() => {});
    }
    this.#over = true;
    for (const version of Object.values(this.#versions))
      for (const reader of version.readers.values()) this.#drop(version, reader);
  }

  /** Two windows, so that evaluations as far apart as their windows are long find something to count with. */
  #patience(): Millis {
    return Math.min(Math.max(IDLE, 2 * this.#window), KEPT_MOST);
  }

  async #round(): Promise<void> {
    const { now } = this.#options;
    const versions = Object.values(this.#versions);
    if (this.last !== null && now() < this.last - SET_BACK) this.#beginAnew();
    await Promise.all(versions.map((version) => this.#look(version)));
    // Rising, whatever the clock does.
    const at = Math.max(now(), (this.last ?? 0) + 1);
    const readers = versions.flatMap(({ readers }) => [...readers.values()]).filter(({ listed }) => listed);
    await Promise.all(readers.map((reader) => this.#read(reader, at)));
    this.last = at;
    this.#rounds += 1;
    if (this.#rounds >= 2 || readers.length === 0) this.#settled.resolve();
    const keep = Math.min(Math.max(KEPT_LEAST, this.#window + 4 * this.#options.interval), KEPT_MOST);
    for (const version of versions) this.#tidy(version, at - keep);
    if (this.#rounds % WEIGHED_EVERY === 0) this.#lighten(at);
  }

  #lighten(at: Instant): void {
    const books = Object.values(this.#versions).flatMap(({ readers }) => [...readers.values()].map(({ book }) => book));
    const size = books.reduce((sum, book) => sum + book.size, 0);
    if (size <= this.#options.maxNumbers) return;
    const oldest = Math.min(at, ...books.flatMap(({ reads }) => reads[0] ?? []));
    for (const book of books) book.trim((oldest + at) / 2);
  }

  #beginAnew(): void {
    this.began = this.#options.now();
    this.last = null;
    this.#askedAt = this.began;
    for (const version of Object.values(this.#versions)) {
      for (const reader of version.readers.values()) this.#drop(version, reader);
      version.lookedAt = Number.NEGATIVE_INFINITY;
      version.pods = null;
    }
  }

  /** Looks for pods, where it is time; waits for the answer only where none is known. */
  async #look(version: Version): Promise<void> {
    const { now } = this.#options;
    const failing = [...version.readers.values()].some(({ listed, misses }) => listed && misses > 0);
    const due = version.lookedAt + (failing || version.pods === null ? LOOK_AGAIN : LOOK) <= now();
    if (due && version.looking === null) {
      version.lookedAt = now();
      version.looking = this.#list(version).finally(() => {
        version.looking = null;
      });
    }
    if (version.pods === null) await version.looking;
  }

  async #list(version: Version): Promise<void> {
    const { kube, namespace, now } = this.#options;
    const pods = await findPods(kube, namespace, version.deployment);
    if (pods.ok || pods.code === 'no_data') {
      version.believedAt = now();
      version.trouble = pods.ok ? null : pods;
      version.pods = pods.ok ? pods : { ok: true, proxies: [], bare: [] };
      this.#enlist(version, version.pods.proxies);
    } else if (now() - version.believedAt > BELIEVED) version.trouble = pods;
  }

  #enlist(version: Version, proxies: readonly Sidecar[]): void {
    const { keep, maxSeries, maxPods, budget } = this.#options;
    const wanted = new Map(chosen(proxies, maxPods).map((proxy) => [proxy.pod, proxy]));
    for (const [pod, reader] of version.readers) {
      const proxy = wanted.get(pod);
      reader.listed = proxy !== undefined;
      if (proxy !== undefined) reader.proxy = proxy;
    }
    for (const [pod, proxy] of wanted) {
      if (version.readers.has(pod)) continue;
      if (budget.left <= 0) {
        version.trouble = FULL;
        return;
      }
      budget.left -= 1;
      const book = new Book({ keep, labels: proxy.labels, maxSeries });
      version.readers.set(pod, { proxy, book, trouble: null, misses: 0, listed: true });
    }
  }

  async #read(reader: Reader, at: Instant): Promise<void> {
    const { read, gate, interval } = this.#options;
    const samples: [string, number][] = [];
    let trouble: PageTrouble | null = CROWDED;
    if (await gate.enter(interval))
      try {
        trouble = await read(reader.proxy.url, (series, value) => samples.push([series, value]));
      } finally {
        gate.leave();
      }
    const wrong = trouble === null ? reader.book.enter(at, samples) : null;
    reader.trouble = wrong === null ? trouble : { code: 'malformed', message: wrong };
    reader.misses = reader.trouble === null ? 0 : reader.misses + 1;
  }

  #tidy(version: Version, since: Instant): void {
    for (const reader of version.readers.values()) {
      reader.book.trim(since);
      if (!reader.listed && (reader.book.reads.at(-1) ?? 0) < since) this.#drop(version, reader);
    }
  }

  #drop(version: Version, reader: Reader): void {
    if (version.readers.delete(reader.proxy.pod)) this.#options.budget.left += 1;
  }
}

const notYet = (deployment: string): { readonly code: NoValueCode; readonly message: string } => ({
  code: 'timeout',
  message: `the pods of ${deployment} are not known yet: the API server has not answered; ask again in a moment`,
});

const FULL = {
  ok: false,
  code: 'unavailable',
  message:
    'this process reads as many pods directly as it can; add workers, or let the plan name the provider prometheus',
} as const;

const CROWDED: PageTrouble = {
  code: 'timeout',
  message: 'was not read: too many readings at a time; raise the concurrency of direct telemetry, or add workers',
};
