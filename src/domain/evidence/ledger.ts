/**
 * What a rollout's evidence rests on and where it stands: how it is judged, what has been counted, and the judge's memory.
 * Plain JSON, and all there is. Stored in the transaction of the decision: a tick that is repeated counts nothing twice.
 */
import type { Instant, Millis, Role, Weight } from '../plan.ts';
import type { Pace } from './calibrate.ts';
import type { Block, Group, Side } from './counts.ts';
import type { CounterSeries, Cursor, Sides } from './increments.ts';
import { consume, NO_CURSOR } from './increments.ts';
import type { Seats } from './seats.ts';
import { GROUPS, NO_SEATS, seated, seatOf } from './seats.ts';
import type { EvidenceSettings } from './settings.ts';
import type { EvidenceState } from './state.ts';
import { begin, step } from './state.ts';
import type { Finding } from './verdict.ts';
import { finding } from './verdict.ts';

/** How one rollout is judged: fixed before it starts, so that every verdict can be computed again. */
export interface EvidenceSetup {
  /** Name of the metrics provider that counts. */
  readonly provider: string;
  /** The provider's view that is counted; null: its first choice. */
  readonly view: string | null;
  readonly pace: Pace;
  readonly settings: EvidenceSettings;
  /** How it is judged and why so, for people. */
  readonly words: string;
  /** What the A/A check said of the service's past; null: there was none to look at. */
  readonly calibration: {
    readonly trials: number;
    readonly rolledBack: number;
    readonly passed: boolean;
    readonly pods: number;
    readonly past: Millis;
  } | null;
}

/** Who counts now: another one than the setup's where that had to be given up. */
export interface Source {
  readonly provider: string;
  readonly view: string | null;
}

/** Of the ledger and of all that is in it. What another format holds cannot be gone on with. */
const FORMAT = 2;

export interface Ledger {
  readonly format: typeof FORMAT;
  readonly setup: EvidenceSetup;
  readonly source: Source;
  /** When the canary first had a weight in force, by the database's clock; null: not yet. */
  readonly began: Instant | null;
  /** From when on this source's counters count, by its clock; what they had before is their baseline. */
  readonly countedFrom: Instant | null;
  /** Until when everything is counted, by the source's clock; null: nothing is. */
  readonly countedTo: Instant | null;
  readonly cursor: Cursor;
  /** Group of each pod by version, and the block in which it last had requests. */
  readonly seats: Seats;
  /** The block that is being counted; null: none was begun. */
  readonly open: OpenBlock | null;
  readonly state: EvidenceState;
}

interface OpenBlock {
  readonly since: Instant;
  /** Canary share in percent in which it began. Counts of two weights are not pooled. */
  readonly weight: Weight;
  /** false: requests of before the weight was in force are in it, which the first scrape after that brings. */
  readonly settled: boolean;
  /** By pod; '' where the view cannot tell. */
  readonly pods: Readonly<Record<string, Sides>>;
}

export const openLedger = (setup: EvidenceSetup): Ledger => ({
  format: FORMAT,
  setup,
  source: { provider: setup.provider, view: setup.view },
  began: null,
  countedFrom: null,
  countedTo: null,
  cursor: NO_CURSOR,
  seats: NO_SEATS,
  open: null,
  state: begin(setup.settings),
});

/** false: another version of this service wrote it. */
export const canGoOn = (ledger: Ledger): boolean => ledger.format === FORMAT;

/** What a source has counted. */
export interface Count {
  readonly source: Source;
  readonly at: Instant;
  readonly series: readonly CounterSeries[];
}

/** The moment of the look. */
export interface Moment {
  /** By the database's clock. */
  readonly at: Instant;
  /** When the present step's weight was read back. */
  readonly reachedAt: Instant;
  /** The weight in force. */
  readonly weight: Weight;
  /** false: the canary's share of the service's requests is not known to be the weight, so it is not judged. */
  readonly shareKnown: boolean;
}

/** One block that was judged, and what the evidence then said. */
export interface JudgedBlock {
  readonly at: Instant;
  /** In which most of it was counted. */
  readonly weight: Weight;
  /** The weight in which it began, where requests of two are in it. Absent: of one. */
  readonly began?: Weight;
  readonly block: Block;
  readonly finding: Finding;
}

export interface Taken {
  readonly ledger: Ledger;
  /** The block that this count closed; null: it goes on. */
  readonly closed: JudgedBlock | null;
}

/** A side that has not been heard (a scrape that was missed) is waited for so many blocks. */
const PATIENCE = 3;

/** Enters what was counted, and judges the block where it is complete. After a verdict against the canary nothing counts. */
export function take(before: Ledger, count: Count, moment: Moment): Taken {
  if (before.state.crossed !== null) return { ledger: before, closed: null };
  const ledger = fromSource(before, count);
  const { reachedAt, weight } = moment;
  const began = ledger.began ?? reachedAt;
  const countedFrom = ledger.countedFrom ?? reachedAt;
  // Counted from its first weight on: what the canary has is all since then. Not so after a change of source.
  const canaryIsNew = countedFrom === began;
  const { cursor, counted } = consume(ledger.cursor, count.series, countedFrom, canaryIsNew);
  const start = ledger.open ?? { since: began, weight, settled: false, pods: {} };
  const open: OpenBlock = { ...start, pods: merged(start.pods, counted, ledger.setup.settings.bounds.length) };
  const countedTo = Math.max(count.at, ledger.countedTo ?? count.at);
  const next: Ledger = { ...ledger, began, countedFrom, countedTo, cursor, open };
  if (!isComplete(open, ledger.setup.pace.block, moment)) return { ledger: next, closed: null };
  return judged(next, open, began, moment);
}

/**
 * Another source's counters are other counters, and all of its first answer is their baseline: what it has of before was
 * counted by the one before it, and of the moments in between rather nothing is counted than something twice.
 */
const fromSource = (ledger: Ledger, { source, at }: Count): Ledger =>
  ledger.source.provider === source.provider && (ledger.source.view ?? source.view) === source.view
    ? { ...ledger, source }
    : {
        ...ledger,
        source,
        countedFrom: ledger.countedTo === null ? null : Math.max(at, ledger.countedTo),
        cursor: NO_CURSOR,
      };

function isComplete(open: OpenBlock, length: Millis, { at, weight }: Moment): boolean {
  if (weight !== open.weight) return true;
  const age = at - open.since;
  return age >= length * PATIENCE || (age >= length && isHeard(open));
}

const isHeard = ({ pods }: OpenBlock): boolean => {
  const sides = Object.values(pods);
  return sides.some(({ canary }) => canary.requests > 0) && sides.some(({ stable }) => stable.requests > 0);
};

function judged(ledger: Ledger, open: OpenBlock, began: Instant, moment: Moment): Taken {
  const { at, weight, reachedAt, shareKnown } = moment;
  const { settings } = ledger.setup;
  const changed = weight !== open.weight || reachedAt > open.since;
  const index = (ledger.state.block ?? -1) + 1;
  const seats = seated(
    ledger.seats,
    { canary: heardIn(open.pods, 'canary'), stable: heardIn(open.pods, 'stable') },
    index,
  );
  const block: Block = {
    index,
    from: open.since - began,
    to: at - began,
    // Requests of two weights have the share of neither.
    share: shareKnown && open.settled && !changed ? open.weight / 100 : 0,
    groups: groupsOf(open.pods, seats, settings.bounds.length),
  };
  const state = step(ledger.state, settings, block);
  const before = reachedAt - open.since;
  const closed: JudgedBlock = {
    at,
    weight: changed && before < (at - open.since) / 2 ? weight : open.weight,
    ...(weight === open.weight ? {} : { began: open.weight }),
    block,
    finding: finding(state, settings),
  };
  return { ledger: { ...ledger, seats, state, open: { since: at, weight, settled: !changed, pods: {} } }, closed };
}

/** When the block that is being counted will be complete. */
export const blockEndsAt = ({ open, setup }: Ledger, at: Instant): Instant => (open?.since ?? at) + setup.pace.block;

// ── pods ────────────────────────────────────────────────────────────────────────────────────────────────────────────

function groupsOf(pods: OpenBlock['pods'], seats: Seats, bounds: number): readonly Group[] {
  const parts = Object.keys(pods).every((name) => name === '') ? 1 : GROUPS;
  const groups = Array.from({ length: parts }, () => ({ canary: emptySide(bounds), stable: emptySide(bounds) }));
  for (const [name, sides] of Object.entries(pods)) {
    for (const role of ['canary', 'stable'] as const) {
      const group = groups[parts === 1 ? 0 : (seatOf(seats, role, name) ?? 0)];
      if (group !== undefined && !isEmpty(sides[role])) group[role] = plus(group[role], sides[role]);
    }
  }
  return groups.map(({ canary, stable }) => ({ canary: plausible(canary), stable: plausible(stable) }));
}

const heardIn = (pods: OpenBlock['pods'], role: Role): readonly string[] =>
  Object.keys(pods).filter((name) => name !== '' && !isEmpty((pods[name] as Sides)[role]));

/**
 * Never more of a kind than there are. Samples that were written apart (a remote write that got half of a scrape through)
 * may say so for a moment, and the judge's factors are only defined within.
 */
const plausible = (side: Side): Side => ({
  ...side,
  errors: within(side.errors, side.requests),
  slow: side.slow.map((n) => within(n, side.timed)),
});

const within = (n: number, most: number): number => Math.min(Math.max(0, n), most);

const isEmpty = ({ requests, errors, timed }: Side): boolean => requests === 0 && errors === 0 && timed === 0;

const emptySide = (bounds: number): Side => ({
  requests: 0,
  errors: 0,
  timed: 0,
  slow: Array.from({ length: bounds }, () => 0),
});

const plus = (a: Side, b: Side): Side => ({
  requests: a.requests + b.requests,
  errors: a.errors + b.errors,
  timed: a.timed + b.timed,
  slow: a.slow.map((n, i) => n + (b.slow[i] ?? 0)),
});

function merged(pods: OpenBlock['pods'], counted: ReadonlyMap<string | null, Sides>, bounds: number) {
  const sum: Record<string, Sides> = { ...pods };
  for (const [pod, sides] of counted) {
    const name = pod ?? '';
    const known = Object.hasOwn(sum, name) ? sum[name] : undefined; // a pod may be called "constructor"
    const before = known ?? { canary: emptySide(bounds), stable: emptySide(bounds) };
    sum[name] = { canary: plus(before.canary, sides.canary), stable: plus(before.stable, sides.stable) };
  }
  return sum;
}
