/**
 * What a fleet rollout becomes, given what its children were found to be. Pure. It lists no effects: what is to be started,
 * aborted or taken back is derived from the next state (`wishes`), so that a crash after the commit costs one look.
 */
import { duration } from '../format.ts';
import type { Instant } from '../plan.ts';
import type { Status, TerminalStatus } from '../rollout.ts';
import { TERMINAL } from '../rollout.ts';
import type { Child, Fleet, FleetEnd, FleetFact, FleetFactType, FleetPhase } from './fleet.ts';
import { fleetStatus, waveWords } from './fleet.ts';

export interface FleetChange {
  readonly fleet: Fleet;
  readonly facts: readonly FleetFact[];
}

/** What one look found of one child. */
export interface ChildSeen {
  readonly wave: number;
  readonly cluster: string;
  readonly rollout: string;
  readonly status: Status;
  /** Its outcome, or why it stands still; "": neither. */
  readonly message: string;
  readonly revert: { readonly rollout: string; readonly status: Status } | null;
  /** After its promotion: why its pods cannot serve; null: they can, or nobody looked. */
  readonly unwell: string | null;
}

export interface FleetSeen {
  readonly at: Instant;
  readonly children: readonly ChildSeen[];
}

/** What is to be brought about now. Each may be tried twice: the store lets only one come true. */
export type Wish =
  | { readonly name: 'start'; readonly wave: number; readonly cluster: string }
  | { readonly name: 'abort'; readonly wave: number; readonly cluster: string; readonly rollout: string }
  | { readonly name: 'revert'; readonly wave: number; readonly cluster: string; readonly rollout: string };

export const SYSTEM = 'sluice';

export const same = (fleet: Fleet): FleetChange => ({ fleet, facts: [] });

interface Told {
  readonly actor?: string;
  readonly wave?: number | null;
  readonly cluster?: string | null;
  readonly data?: FleetFact['data'];
}

export function tell(
  { fleet, facts }: FleetChange,
  at: Instant,
  type: FleetFactType,
  message: string,
  { actor = SYSTEM, wave = fleet.phase.wave, cluster = null, data = {} }: Told = {},
): FleetChange {
  const fact: FleetFact = { seq: fleet.factCount + 1, at, type, actor, wave, cluster, message, data };
  return { fleet: { ...fleet, factCount: fact.seq }, facts: [...facts, fact] };
}

const into = (change: FleetChange, phase: FleetPhase): FleetChange => ({
  ...change,
  fleet: { ...change.fleet, phase },
});

export const isEnd = (status: Status | null): status is TerminalStatus =>
  status !== null && (TERMINAL as readonly string[]).includes(status);
const isLiveChild = ({ rollout, status }: Child): boolean => rollout !== null && !isEnd(status);

export function advanceFleet(fleet: Fleet, seen: FleetSeen): FleetChange {
  if (fleet.phase.name === 'ended') return same(fleet);
  const change = noted(same(fleet), seen);
  const { phase } = change.fleet;
  switch (phase.name) {
    case 'running':
      return whileRunning(change, seen.at, phase.wave);
    case 'baking':
      return whileBaking(change, seen, phase);
    case 'paused':
      return phase.cause === 'approval' ? (failing(change, seen.at) ?? change) : change;
    case 'rolling_back':
      return whileGoingBack(change, seen.at, phase);
    case 'ended':
      return change;
    default:
      return phase satisfies never;
  }
}

// ── what was found ──────────────────────────────────────────────────────────────────────────────────────────────────

function noted(change: FleetChange, { at, children }: FleetSeen): FleetChange {
  let next = change;
  for (const found of children) {
    const child = childOf(next.fleet, found.wave, found.cluster);
    if (child === null) continue;
    const { wave, cluster } = found;
    const revert = found.revert?.rollout ?? child.revert;
    const revertStatus = found.revert?.status ?? child.revertStatus;
    const same_ =
      child.rollout === found.rollout &&
      child.status === found.status &&
      child.revert === revert &&
      child.revertStatus === revertStatus &&
      child.message === found.message &&
      (child.unwell ?? null) === found.unwell;
    if (same_) continue;
    const { rollout, status, message, unwell } = found;
    const { unwell: _, ...known } = child;
    const pods = unwell === null ? {} : { unwell };
    next = withChild(next, wave, { ...known, rollout, status, message, revert, revertStatus, ...pods });
    const about = { wave, cluster };
    if (child.rollout === null)
      next = tell(next, at, 'child_started', `${cluster}: rollout ${rollout} is ${status}`, about);
    if (child.status !== status && isEnd(status))
      next = tell(next, at, 'child_ended', `${cluster}: ${status}. ${message}`, about);
    if (child.revert === null && revert !== null)
      next = tell(next, at, 'child_reverting', `${cluster}: rollout ${revert} takes ${rollout} back`, about);
    if (child.revertStatus !== revertStatus && isEnd(revertStatus))
      next = tell(next, at, 'child_reverted', `${cluster}: rollout ${revert} ended as ${revertStatus}`, about);
  }
  return next;
}

const childOf = ({ children }: Fleet, wave: number, cluster: string): Child | null =>
  children[wave]?.find((child) => child.cluster === cluster) ?? null;

function withChild(change: FleetChange, wave: number, child: Child): FleetChange {
  const children = change.fleet.children.map((of, i) =>
    i === wave ? of.map((one) => (one.cluster === child.cluster ? child : one)) : of,
  );
  return { ...change, fleet: { ...change.fleet, children } };
}

/** A child that the cluster, or the store, refuses to start: as bad as one that failed. */
export function childRefused(fleet: Fleet, at: Instant, wave: number, cluster: string, message: string): FleetChange {
  const child = childOf(fleet, wave, cluster);
  if (child === null || child.rollout !== null || child.refused !== null || fleet.phase.name !== 'running')
    return same(fleet);
  const next = withChild(same(fleet), wave, { ...child, refused: message });
  return tell(next, at, 'child_refused', `${cluster}: not started: ${message}`, { wave, cluster });
}

/** A promotion that cannot be taken back: `again`: not now. */
export function childHeld(
  fleet: Fleet,
  at: Instant,
  wave: number,
  cluster: string,
  held: NonNullable<Child['held']>,
): FleetChange {
  const child = childOf(fleet, wave, cluster);
  if (child === null || fleet.phase.name !== 'rolling_back' || child.held?.message === held.message) return same(fleet);
  const next = withChild(same(fleet), wave, { ...child, held });
  return tell(next, at, 'child_held', `${cluster}: ${held.message}${held.again ? '; it is tried again' : ''}`, {
    wave,
    cluster,
  });
}

// ── forward ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const wentWrong = ({ cluster, refused, status, message, revert, unwell, waived }: Child): string | null => {
  if (waived === true) return null;
  if (unwell !== undefined && revert === null) return `${cluster}: ${unwell}`;
  if (refused !== null) return `${cluster} was not started: ${refused}`;
  if (isEnd(status) && status !== 'succeeded') return `${cluster} is ${status}: ${message}`;
  return revert === null ? null : `${cluster} was taken back after its promotion`;
};

/** Of every wave so far: what was promoted must still be so, and run, for as long as there are waves to come. */
const wrongSoFar = ({ children }: Fleet, wave: number): readonly string[] =>
  children
    .slice(0, wave + 1)
    .flat()
    .flatMap((child) => wentWrong(child) ?? []);

function whileRunning(change: FleetChange, at: Instant, wave: number): FleetChange {
  const children = change.fleet.children[wave] ?? [];
  const wrong = wrongSoFar(change.fleet, wave);
  if (wrong.length > 0) {
    // Where a person is asked, the others of the wave come to their own ends first: the question is about all of them.
    const waits =
      change.fleet.spec.onFailure === 'pause' &&
      children.some((child) => child.waived !== true && wentWrong(child) === null && child.status !== 'succeeded');
    return waits ? change : failed(change, at, wave, wrong.join('; '));
  }
  if (!children.every(({ status }) => status === 'succeeded')) return change;
  const words = `${waveWords(change.fleet.spec, wave)} is promoted in ${children.map(({ cluster }) => cluster).join(', ')}`;
  return tell(into(change, { name: 'baking', wave, since: at }), at, 'wave_promoted', words);
}

function whileBaking(
  change: FleetChange,
  seen: FleetSeen,
  { wave, since }: Extract<FleetPhase, { name: 'baking' }>,
): FleetChange {
  const worse = failing(change, seen.at);
  if (worse !== null) return worse;
  const bake = change.fleet.spec.waves[wave]?.bake ?? 0;
  if (seen.at - since < bake) return change;
  return letThrough(change, seen.at, wave);
}

/** null: what was promoted still runs. */
function failing(change: FleetChange, at: Instant): FleetChange | null {
  const { wave } = change.fleet.phase;
  const wrong = wrongSoFar(change.fleet, wave);
  return wrong.length === 0 ? null : failed(change, at, wave, wrong.join('; '));
}

function failed(change: FleetChange, at: Instant, wave: number, what: string): FleetChange {
  const { spec } = change.fleet;
  const message = `${waveWords(spec, wave)} failed: ${what}`;
  if (spec.onFailure === 'pause') {
    const words = `${message}. Promote to go on without it, abort to take everything back`;
    return tell(
      into(change, { name: 'paused', wave, since: at, cause: 'failed', message: words }),
      at,
      'paused',
      words,
      { data: { cause: 'failed' } },
    );
  }
  return goBack(change, at, { cause: 'failed', to: spec.onFailure === 'all' ? 0 : wave, message }, SYSTEM);
}

function letThrough(change: FleetChange, at: Instant, wave: number): FleetChange {
  const { spec } = change.fleet;
  const isLast = wave + 1 >= spec.waves.length;
  if (spec.waves[wave]?.approval !== 'required' || isLast) return nextWave(change, at, wave);
  const bake = spec.waves[wave]?.bake ?? 0;
  const baked = bake === 0 ? '' : ` and has baked ${duration(bake)}`;
  const message = `Waiting for approval: ${waveWords(spec, wave)} is promoted${baked}. Promote to begin the next wave, abort to take everything back`;
  return tell(into(change, { name: 'paused', wave, since: at, cause: 'approval', message }), at, 'paused', message, {
    data: { cause: 'approval' },
  });
}

function nextWave(change: FleetChange, at: Instant, wave: number): FleetChange {
  const { fleet } = change;
  const next = wave + 1;
  const waves = fleet.spec.waves;
  if (next < waves.length) {
    const words = `${waveWords(fleet.spec, next)} begins: ${waves[next]?.clusters.join(', ')}`;
    return tell(into(change, { name: 'running', wave: next }), at, 'wave_started', words);
  }
  const without = fleet.children.flat().filter((child) => child.status !== 'succeeded' || child.revert !== null);
  const note = without.length === 0 ? '' : `, without ${without.map(({ cluster }) => cluster).join(', ')}`;
  const count = fleet.children.flat().length - without.length;
  const message = `Promoted in ${count} cluster${count === 1 ? '' : 's'} in ${waves.length} wave${waves.length === 1 ? '' : 's'} after ${duration(at - fleet.createdAt)}${note}`;
  return ended(change, at, 'succeeded', message);
}

// ── back ────────────────────────────────────────────────────────────────────────────────────────────────────────────

function goBack(
  change: FleetChange,
  at: Instant,
  { cause, to, message }: { cause: 'failed' | 'aborted'; to: number; message: string },
  actor: string,
): FleetChange {
  const { wave } = change.fleet.phase;
  const words = `${message}. ${to === wave ? 'This wave goes' : `Waves ${wave + 1} to ${to + 1} go`} back`;
  const next = into(change, { name: 'rolling_back', wave, to, since: at, cause, message });
  return tell(next, at, 'rollback_started', words, { actor, data: { cause } });
}

/** Nothing of it is left with the canary, or nothing more can be done about it here. */
const isBack = ({ rollout, status, revertStatus, held }: Child): boolean => {
  if (rollout === null) return true;
  if (!isEnd(status)) return false;
  return status !== 'succeeded' || isEnd(revertStatus) || held?.again === false;
};
const cameBack = (child: Child): boolean =>
  child.rollout === null ||
  (child.status === 'succeeded' ? child.revertStatus === 'rolled_back' : child.status !== 'failed');

/** The wave that goes back now: the last one that is not back. null: all are. */
function frontOf({ children }: Fleet, wave: number, to: number): number | null {
  for (let i = wave; i >= to; i -= 1) if (!(children[i] ?? []).every(isBack)) return i;
  return null;
}

function whileGoingBack(
  change: FleetChange,
  at: Instant,
  { wave, to, cause, message }: Extract<FleetPhase, { name: 'rolling_back' }>,
): FleetChange {
  const { fleet } = change;
  if (frontOf(fleet, wave, to) !== null) return change;
  const left = fleet.children
    .slice(to, wave + 1)
    .flat()
    .filter((child) => !cameBack(child));
  if (left.length > 0) {
    const names = left.map(({ cluster, held, message: why }) => `${cluster} (${held?.message ?? why})`).join(', ');
    return ended(change, at, 'failed', `${message}. Not brought back: ${names}`);
  }
  const clusters = fleet.children
    .slice(to, wave + 1)
    .flat()
    .map(({ cluster }) => cluster);
  const kept =
    to === 0
      ? ''
      : `; promoted before and kept: ${fleet.spec.waves
          .slice(0, to)
          .flatMap((w) => w.clusters)
          .join(', ')}`;
  const words = `${message}. All traffic is on the stable version in ${clusters.join(', ')}${kept}`;
  return ended(change, at, cause === 'aborted' ? 'aborted' : 'rolled_back', words);
}

function ended(change: FleetChange, at: Instant, status: FleetEnd, message: string, actor = SYSTEM): FleetChange {
  const { wave } = change.fleet.phase;
  return tell(into(change, { name: 'ended', wave, status, at, message }), at, 'ended', message, {
    actor,
    data: { status },
  });
}

/** What the committed state asks for. A wave's children are started together; going back, one wave after the other. */
export function wishes(fleet: Fleet): readonly Wish[] {
  const { phase, children } = fleet;
  if (phase.name === 'running') {
    const { wave } = phase;
    return (children[wave] ?? [])
      .filter(({ rollout, refused }) => rollout === null && refused === null)
      .map(({ cluster }) => ({ name: 'start', wave, cluster }));
  }
  if (phase.name !== 'rolling_back') return [];
  const front = frontOf(fleet, phase.wave, phase.to);
  if (front === null) return [];
  return (children[front] ?? []).flatMap((child): Wish[] => {
    const { cluster, rollout, status, revert } = child;
    if (rollout === null || isBack(child)) return [];
    const about = { wave: front, cluster, rollout };
    if (isLiveChild(child)) return status === 'rolling_back' ? [] : [{ name: 'abort', ...about }];
    return revert === null ? [{ name: 'revert', ...about }] : [];
  });
}

// ── people ──────────────────────────────────────────────────────────────────────────────────────────────────────────

export interface FleetRefusal {
  readonly code: 'not_waiting' | 'finished' | 'rolling_back' | 'not_rolling_back' | 'moved_on';
  readonly message: string;
}
export type FleetCommand =
  | { readonly name: 'promote'; readonly reason?: string }
  | { readonly name: 'abort'; readonly reason: string }
  /** A person takes over what could not be brought back. */
  | { readonly name: 'give_up'; readonly reason: string };

/** What somebody saw when they decided: where it is otherwise by now, nothing happens. Absent: whatever it is. */
export interface FleetExpectation {
  readonly wave?: number | undefined;
  /** null: it asked for nobody. */
  readonly awaiting?: 'approval' | 'failed' | null | undefined;
}

/** The question that a person is asked; null: none. */
export const fleetAwaits = ({ phase }: Pick<Fleet, 'phase'>): 'approval' | 'failed' | null =>
  phase.name === 'paused' ? phase.cause : null;

/** "paused at wave 1 of 2 (first), awaiting approval" */
function fleetWords(fleet: Fleet): string {
  const awaiting = fleetAwaits(fleet);
  const question =
    awaiting === null ? '' : `, awaiting ${awaiting === 'approval' ? 'approval' : 'a decision about its failure'}`;
  return `${fleetStatus(fleet)} at ${waveWords(fleet.spec, fleet.phase.wave)}${question}`;
}

/** Who lets a wave through goes on without what is wrong so far. */
const waiving = (fleet: Fleet, wave: number): Fleet => ({
  ...fleet,
  children: fleet.children.map((of, i) =>
    i > wave ? of : of.map((child) => (wentWrong(child) === null ? child : { ...child, waived: true as const })),
  ),
});

export const isFleetRefusal = (result: FleetChange | FleetRefusal): result is FleetRefusal => 'code' in result;

export function orderFleet(
  fleet: Fleet,
  command: FleetCommand,
  actor: string,
  at: Instant,
  expected: FleetExpectation = {},
): FleetChange | FleetRefusal {
  const { id, phase } = fleet;
  if (phase.name === 'ended') {
    const fulfilled = command.name === 'promote' ? phase.status === 'succeeded' : phase.status !== 'succeeded';
    if (fulfilled) return same(fleet);
    return { code: 'finished', message: `fleet rollout ${id} has already ended as ${phase.status}` };
  }
  const movedOn =
    (expected.wave !== undefined && expected.wave !== phase.wave) ||
    (expected.awaiting !== undefined && expected.awaiting !== fleetAwaits(fleet));
  if (movedOn)
    return { code: 'moved_on', message: `fleet rollout ${id} is ${fleetWords(fleet)} by now; nothing was done` };
  switch (command.name) {
    case 'promote': {
      if (phase.name === 'rolling_back')
        return { code: 'rolling_back', message: `fleet rollout ${id} goes back; that cannot be stopped` };
      if (phase.name === 'running')
        return {
          code: 'not_waiting',
          message: `${waveWords(fleet.spec, phase.wave)} of fleet rollout ${id} is under way: promote the rollouts of its clusters, or wait`,
        };
      const why = command.reason ?? '';
      const words = `${actor} let ${waveWords(fleet.spec, phase.wave)} through${why === '' ? '' : `: ${why}`}`;
      return nextWave(tell(same(waiving(fleet, phase.wave)), at, 'promoted', words, { actor }), at, phase.wave);
    }
    case 'abort': {
      const message = `Aborted by ${actor} at ${waveWords(fleet.spec, phase.wave)}${command.reason === '' ? '' : `: ${command.reason}`}`;
      if (phase.name === 'rolling_back' && phase.to === 0) return same(fleet);
      return goBack(same(fleet), at, { cause: 'aborted', to: 0, message }, actor);
    }
    case 'give_up': {
      if (phase.name !== 'rolling_back')
        return { code: 'not_rolling_back', message: `fleet rollout ${id} is ${phase.name}: abort it first` };
      const live = fleet.children
        .flat()
        .filter((child) => isLiveChild(child) || (child.revert !== null && !isEnd(child.revertStatus)));
      if (live.length > 0)
        return {
          code: 'rolling_back',
          message: `rollouts of fleet rollout ${id} are still live in ${live.map(({ cluster }) => cluster).join(', ')}: give those up first`,
        };
      const words = `${actor} took over by hand${command.reason === '' ? '' : ` (${command.reason})`}. ${phase.message}`;
      return ended(same(fleet), at, 'failed', words, actor);
    }
    default:
      return command satisfies never;
  }
}
