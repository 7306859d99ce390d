/**
 * The users of a simulated service as a caller's proxy counts them, scraped every five seconds: series that are born with
 * their first request, a proxy that restarts, and the truth about both versions, to hold the evidence against.
 */

import { lookBack } from '../../src/adapters/prometheus/raw.ts';
import type { Counted, CountQuestion } from '../../src/app/ports.ts';
import type { CounterSeries, Sample } from '../../src/domain/evidence/counters.ts';
import type { Role } from '../../src/domain/plan.ts';
import { poisson } from '../evidence/special.ts';
import { chance } from './scheduler.ts';

export const SCRAPE = 5_000;
/** Part of the requests that fail. */
const USUAL = 0.001;
const BAD = 0.2;
/** Of a scrape: the proxy began anew since the one before it. */
const RESTARTS = 0.01;

export interface UsersOptions {
  readonly seed: number;
  /** The canary's weight now, in percent. */
  readonly weight: () => number;
  readonly now: () => number;
  /** Does the canary fail now? */
  readonly bad: () => boolean;
}

interface Counts {
  readonly requests: number;
  readonly errors: number;
}

export type Totals = { readonly [role in Role]: Counts };

export interface Users {
  /** To be called every `SCRAPE`. */
  scrape(): void;
  count(question: Pick<CountQuestion, 'since'>): Counted;
  /** All that the scrapes up to `at` have shown, since the first one. */
  shownUntil(at: number): Totals;
}

const KINDS = ['stable ok', 'stable failed', 'canary ok', 'canary failed'] as const;
type Kind = (typeof KINDS)[number];
const ALWAYS: Kind = 'stable ok';

const roleOf = (kind: Kind): Role => (kind.startsWith('canary') ? 'canary' : 'stable');

export function users({ seed, weight, now, bad }: UsersOptions): Users {
  const random = chance(seed ^ 0x05e5);
  const perScrape = (40 + random() * 200) * (SCRAPE / 1000);
  const samples = new Map<Kind, Sample[]>(KINDS.map((kind) => [kind, []]));
  const held = new Map<Kind, number>();
  const shown: { readonly at: number; readonly totals: Totals }[] = [];

  /** What the proxy counted since the scrape before. */
  function counted(): Readonly<Record<Kind, number>> {
    const all = Math.floor(perScrape);
    const canary = Math.min(all, Math.floor((all * weight()) / 100 + random()));
    const stable = all - canary;
    const failed = (requests: number, part: number) => Math.min(requests, poisson(random, requests * part));
    const [broken, unlucky] = [failed(canary, bad() ? BAD : USUAL), failed(stable, USUAL)];
    return {
      'stable ok': stable - unlucky,
      'stable failed': unlucky,
      'canary ok': canary - broken,
      'canary failed': broken,
    };
  }

  /** What it counted before, and what it had not counted yet when it began anew, nobody will ever see. */
  function restarted(): Readonly<Record<Kind, number>> {
    const some = Math.floor(Math.min(held.get(ALWAYS) ?? 0, perScrape) / 2);
    held.clear();
    return { 'stable ok': some, 'stable failed': 0, 'canary ok': 0, 'canary failed': 0 };
  }

  return {
    scrape() {
      const grown = random() < RESTARTS && (held.get(ALWAYS) ?? 0) > 10 ? restarted() : counted();
      const before = shown.at(-1)?.totals ?? NOTHING;
      for (const kind of KINDS) {
        if (grown[kind] > 0) held.set(kind, (held.get(kind) ?? 0) + grown[kind]);
        const value = held.get(kind);
        if (value !== undefined) samples.get(kind)?.push([now(), value]);
      }
      const grow = (role: Role): Counts => {
        const [ok, failed] = [grown[`${role} ok`], grown[`${role} failed`]];
        return { requests: before[role].requests + ok + failed, errors: before[role].errors + failed };
      };
      shown.push({ at: now(), totals: { stable: grow('stable'), canary: grow('canary') } });
    },
    count({ since }) {
      const from = now() - lookBack(since, now(), SCRAPE);
      const series = KINDS.map((kind): CounterSeries => {
        return {
          id: kind,
          exporter: 'caller',
          startedAt: null,
          role: roleOf(kind),
          pod: null,
          adds: kind.endsWith('failed') ? { requests: 1, errors: 1 } : { requests: 1, timed: 1 },
          samples: (samples.get(kind) ?? []).filter(([at]) => at > from),
        };
      });
      return {
        ok: true,
        at: now(),
        view: 'callers',
        series: series.filter(({ samples: own }) => own.length > 0),
        query: 'q',
      };
    },
    shownUntil: (at) => shown.findLast((scrape) => scrape.at <= at)?.totals ?? NOTHING,
  };
}

const NOTHING: Totals = { stable: { requests: 0, errors: 0 }, canary: { requests: 0, errors: 0 } };
