/** Load on the loopback: a steady, bounded stream of requests, and what the users behind it saw. */
import { Agent, request } from 'node:http';

/** Counts of what users saw. */
export interface Seen {
  readonly requests: number;
  /** Answered with 5xx, refused (401, 403), or not answered at all. */
  readonly failed: number;
  /** Answered in more than `slowAfter`. */
  readonly slow: number;
}

export interface Users extends Seen {
  /** By the workload that answered; "nobody": no version did. */
  readonly by: Readonly<Record<string, Seen>>;
}

/** One request, as its user saw it. */
export interface Answered {
  /** The workload that answered; "nobody": no version did. */
  readonly by: string;
  readonly failed: boolean;
  readonly tookMs: number;
}

export interface Traffic {
  /** Tells of each request when it is over, until the returned function is called. */
  readonly follow: (listener: (request: Answered) => void) => () => void;
  /** All since the start. */
  readonly users: () => Users;
  /** Failed requests since the start, by what users got: "myapp-v2 500", "nobody 503", "ECONNRESET". */
  readonly failures: () => Readonly<Record<string, number>>;
  /** Per second, the oldest first, for the last ten minutes. `at`: start of the second, Unix time in milliseconds. */
  readonly timeline: () => readonly (Users & { readonly at: number })[];
  /** How often a user with cookies was answered by another version than the time before: "myapp-v1 > myapp-v2". Empty without `users`. */
  readonly switches: () => Readonly<Record<string, number>>;
  /** Users with cookies by the version that answered them last. */
  readonly standing: () => Readonly<Record<string, number>>;
  setRate(requestsPerSecond: number): void;
  stop(): Promise<void>;
}

export interface TrafficOptions {
  /** http://127.0.0.1:<port> */
  readonly url: string;
  /** Service that is called. */
  readonly host: string;
  readonly path: string;
  /** Default: GET. */
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** So many users take turns, each with the cookies that it was given. Default: nobody keeps any. */
  readonly users?: number;
  readonly requestsPerSecond: number;
  /** Milliseconds. */
  readonly slowAfter: number;
  /** Users give up after this many milliseconds. */
  readonly patience: number;
}

/** Header by which the app says which workload answered. */
export const SERVED_BY = 'x-served-by';
export const MAX_RATE = 500;
/** In place of a version, where none answered. */
export const NOBODY = 'nobody';
const TICK = 20;
const MAX_IN_FLIGHT = 256;
const KEPT_SECONDS = 600;

interface Counts {
  requests: number;
  failed: number;
  slow: number;
}
type Book = Map<string, Counts>;

/** Never leaves the machine: the sandbox is no load generator for other people's servers. */
export function startTraffic(options: TrafficOptions): Traffic {
  const { hostname, port } = new URL(options.url);
  if (hostname !== '127.0.0.1') throw new Error(`traffic goes to 127.0.0.1 only; found ${hostname}`);
  const agent = new Agent({ keepAlive: true, maxSockets: MAX_IN_FLIGHT });
  const total: Book = new Map();
  const seconds = new Map<number, Book>();
  const failures = new Map<string, number>();
  const listeners = new Set<(request: Answered) => void>();
  let rate = bounded(options.requestsPerSecond);
  const jars = Array.from({ length: options.users ?? 0 }, (): User => ({ cookies: new Map(), by: null }));
  let turn = 0;
  const switches = new Map<string, number>();
  let due = 0;
  let last = performance.now();
  let inFlight = 0;
  let stopped = false;

  const note = (by: string, failure: string | null, tookMs: number): void => {
    if (failure !== null) more(failures, failure);
    const second = Math.floor(Date.now() / 1000) * 1000;
    let book = seconds.get(second);
    if (book === undefined) {
      book = new Map();
      seconds.set(second, book);
      for (const at of seconds.keys()) if (at < second - KEPT_SECONDS * 1000) seconds.delete(at);
    }
    for (const counts of [entry(total, by), entry(book, by)]) {
      counts.requests += 1;
      if (failure !== null) counts.failed += 1;
      if (tookMs > options.slowAfter) counts.slow += 1;
    }
    for (const listener of listeners) listener({ by, failed: failure !== null, tookMs });
  };

  const send = (): void => {
    const started = performance.now();
    const user = jars.length === 0 ? null : (jars[turn % jars.length] ?? null);
    turn += 1;
    inFlight += 1;
    let noted = false;
    const done = (by: string, failure: string | null): void => {
      if (noted) return;
      noted = true;
      inFlight -= 1;
      if (!stopped) note(by, failure, performance.now() - started);
    };
    const outgoing = request(
      {
        agent,
        host: hostname,
        port,
        path: options.path,
        method: options.method ?? 'GET',
        headers: { ...options.headers, host: options.host, ...(user === null ? {} : cookieHeader(user.cookies)) },
        timeout: options.patience,
      },
      (response) => {
        response.resume();
        response.once('error', (error) => done(NOBODY, codeOf(error)));
        response.once('end', () => {
          const { statusCode = 0, headers } = response;
          const served = headers[SERVED_BY];
          const by = typeof served === 'string' ? served : NOBODY;
          if (user !== null) {
            keepCookies(user.cookies, headers['set-cookie'] ?? []);
            if (by !== NOBODY) {
              if (user.by !== null && user.by !== by) more(switches, `${user.by} > ${by}`);
              user.by = by;
            }
          }
          done(by, isFailure(statusCode) ? `${by} ${statusCode}` : null);
        });
      },
    );
    outgoing.once('timeout', () => outgoing.destroy(new Error('no answer in time')));
    outgoing.once('error', (error) => done(NOBODY, codeOf(error)));
    outgoing.end();
  };

  const timer = setInterval(() => {
    const now = performance.now();
    // After a pause of the process the missed requests are not made up for: that would be a burst that no user sends.
    due = Math.min(due + ((now - last) / 1000) * rate, Math.max(1, rate / 10));
    last = now;
    for (; due >= 1; due -= 1) if (inFlight < MAX_IN_FLIGHT) send();
  }, TICK);

  return {
    follow(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    users: () => summed(total),
    failures: () => Object.fromEntries(failures),
    switches: () => Object.fromEntries(switches),
    standing() {
      const at = new Map<string, number>();
      for (const { by } of jars) if (by !== null) more(at, by);
      return Object.fromEntries(at);
    },
    timeline: () => [...seconds].map(([at, book]) => ({ at, ...summed(book) })),
    setRate(requestsPerSecond) {
      rate = bounded(requestsPerSecond);
    },
    async stop() {
      stopped = true;
      clearInterval(timer);
      agent.destroy();
    },
  };
}

/** To a user who is allowed to ask, a refusal is as bad as an error. */
const isFailure = (status: number): boolean => status >= 500 || status === 401 || status === 403;

const more = (counts: Map<string, number>, what: string): Map<string, number> =>
  counts.set(what, (counts.get(what) ?? 0) + 1);

interface User {
  readonly cookies: Map<string, string>;
  /** Version of the last answer that came from one. */
  by: string | null;
}

/** A jar for one site: names and values, and Max-Age=0 as the end of one. */
function keepCookies(jar: Map<string, string>, given: readonly string[]): void {
  for (const cookie of given) {
    const [, name = '', value = ''] = /^\s*([^=;]+)=([^;]*)/.exec(cookie) ?? [];
    if (/;\s*max-age=0(;|$)/i.test(cookie)) jar.delete(name);
    else if (name !== '') jar.set(name, value);
  }
}

const cookieHeader = (jar: ReadonlyMap<string, string>): Record<string, string> =>
  jar.size === 0 ? {} : { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; ') };

const codeOf = (error: NodeJS.ErrnoException): string => error.code ?? error.message;

function bounded(rate: number): number {
  if (rate >= 0 && rate <= MAX_RATE) return rate;
  throw new Error(`wanted 0 to ${MAX_RATE} requests per second; found ${rate}`);
}

function entry(book: Book, by: string): Counts {
  const found = book.get(by);
  if (found !== undefined) return found;
  const made = { requests: 0, failed: 0, slow: 0 };
  book.set(by, made);
  return made;
}

function summed(book: Book): Users {
  const sum = { requests: 0, failed: 0, slow: 0 };
  for (const counts of book.values()) {
    sum.requests += counts.requests;
    sum.failed += counts.failed;
    sum.slow += counts.slow;
  }
  return { ...sum, by: Object.fromEntries([...book].map(([by, counts]) => [by, { ...counts }])) };
}

const minus = (a: Seen, b: Seen | undefined): Seen => ({
  requests: a.requests - (b?.requests ?? 0),
  failed: a.failed - (b?.failed ?? 0),
  slow: a.slow - (b?.slow ?? 0),
});

/** What users saw between two looks. */
export const since = (now: Users, before: Users): Users => ({
  ...minus(now, before),
  by: Object.fromEntries(Object.entries(now.by).map(([by, seen]) => [by, minus(seen, before.by[by])])),
});
