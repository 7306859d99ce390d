/** Proxies that a test lets count, restart, vanish and miss scrapes, in front of a real Prometheus. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MetricsProvider } from '../../src/app/ports.ts';
import { type Cursor, consume, NO_CURSOR } from '../../src/domain/evidence/increments.ts';
import type { Instant, Role, Target } from '../../src/domain/plan.ts';
import type { Dialect, Labels, Outcome } from './counting-dialects.ts';

/** Bounds of the histograms, in milliseconds. */
export const BOUNDS = [100, 250];

/** Requests, errors, timed, slower than each of BOUNDS. */
export type Figures = readonly number[];

/** One process with a page of its own. */
export class ProxyPage {
  readonly #values = new Map<string, number>();
  readonly #server: Server;
  /** It is there, but its page is not: scrapes are missed. */
  up = true;
  /** Pages handed out. */
  served = 0;

  constructor() {
    this.#server = createServer((_request, response) => {
      if (!this.up) {
        response.writeHead(503).end();
        return;
      }
      this.served += 1;
      response.end(this.page());
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  add(name: string, labels: Labels, by: number): void {
    const text = Object.entries(labels)
      .filter(([, value]) => value !== '')
      .map(([label, value]) => `${label}=${JSON.stringify(value)}`);
    const key = `${name}{${text.join(',')}}`;
    this.#values.set(key, (this.#values.get(key) ?? 0) + by);
  }

  /** A new process: it begins with nothing. */
  restart(): void {
    this.#values.clear();
  }

  page(): string {
    return `${[...this.#values].map(([key, value]) => `${key} ${value}`).join('\n')}\n`;
  }

  /**
   * Until all that was counted so far can be queried: a page that is asked for once more has been followed by a commit of
   * the one before.
   */
  async scraped(): Promise<void> {
    const wanted = this.served + 2;
    for (const until = Date.now() + 20_000; this.served < wanted; await sleep(20))
      if (Date.now() > until) throw new Error('a page was not scraped within 20 s');
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((closed) => this.#server.close(closed));
  }
}

/** What was really counted, in the form in which the judge gets it. */
export class Truth {
  readonly #sum = new Map<string, number[]>();

  add(role: Role, pod: string | null, { request, error, timed }: Outcome, n: number, slow: Figures): void {
    if (!request) return;
    const isTimed = timed === true;
    this.addFigures(`${role} ${pod}`, [n, error ? n : 0, isTimed ? n : 0, ...slow.map((part) => (isTimed ? part : 0))]);
  }

  addFigures(key: string, figures: Figures): void {
    const before = this.#sum.get(key) ?? figures.map(() => 0);
    this.#sum.set(
      key,
      figures.map((n, i) => n + (before[i] ?? 0)),
    );
  }

  get sum(): Readonly<Record<string, Figures>> {
    return Object.fromEntries([...this.#sum].filter(([, figures]) => figures.some((n) => n !== 0)).sort());
  }
}

/** Writes `n` requests that ended so into a proxy's page; `slow`: how many of them were slower than each of BOUNDS. */
export function write(
  page: ProxyPage,
  dialect: Dialect,
  role: Role,
  pod: string,
  ended: Outcome,
  n: number,
  slow: Figures = BOUNDS.map(() => 0),
): void {
  const who = dialect.version(role, pod);
  page.add(dialect.requests, { ...who, ...ended.labels }, n);
  if (ended.timed === null) return;
  const onHistogram = Object.fromEntries(
    Object.entries(ended.labels).filter(([label]) => dialect.onHistogram.includes(label) || label in who),
  );
  const labels = { ...who, ...onHistogram };
  BOUNDS.forEach((bound, i) => {
    page.add(`${dialect.latency}_bucket`, { ...labels, le: String(bound) }, n - (slow[i] ?? 0));
  });
  page.add(`${dialect.latency}_bucket`, { ...labels, le: '2500' }, n);
  page.add(`${dialect.latency}_bucket`, { ...labels, le: '+Inf' }, n);
}

/** Looks as the service does: each asks for what came since the one before. */
export class Looker {
  readonly #provider: MetricsProvider;
  readonly #target: Target;
  readonly #view: string;
  readonly #bounds: readonly number[];
  readonly #from: Instant;
  readonly #truth = new Truth();
  #cursor: Cursor = NO_CURSOR;
  #to: Instant | null = null;

  constructor(
    provider: MetricsProvider,
    target: Target,
    view: string,
    from: Instant,
    bounds: readonly number[] = BOUNDS,
  ) {
    this.#provider = provider;
    this.#target = target;
    this.#view = view;
    this.#from = from;
    this.#bounds = bounds;
  }

  get counted(): Readonly<Record<string, Figures>> {
    return this.#truth.sum;
  }

  /** How much was counted by this look. */
  async look(): Promise<number> {
    if (this.#provider.count === undefined) throw new Error(`${this.#provider.name} cannot count`);
    const since = this.#to === null ? this.#from : Math.min(this.#to, ...Object.values(this.#cursor.exporters));
    const question = { target: this.#target, view: this.#view, bounds: this.#bounds, since };
    const answer = await this.#provider.count(question);
    if (!answer.ok) throw new Error(answer.message);
    const { cursor, counted } = consume(this.#cursor, answer.series, this.#from, true);
    this.#cursor = JSON.parse(JSON.stringify(cursor)) as Cursor;
    this.#to = Math.max(answer.at, this.#to ?? answer.at);
    let grown = 0;
    for (const [pod, sides] of counted)
      for (const role of ['stable', 'canary'] as const) {
        const { requests, errors, timed, slow } = sides[role];
        const figures = [requests, errors, timed, ...this.#bounds.map((_, i) => slow[i] ?? 0)];
        grown += figures.reduce((a, b) => a + b, 0);
        this.#truth.addFigures(`${role} ${pod}`, figures);
      }
    return grown;
  }
}
