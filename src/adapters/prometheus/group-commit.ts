/**
 * Many askers, few requests. Questions of one lane that come together leave together; while a lane has requests under way,
 * or had a group leave a moment ago, its new questions gather and leave as the next group. So the number of requests
 * depends on the pace and on how fast the far side answers, not on how many ask.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { Gate } from './gate.ts';

export interface Lane<Unit, Result> {
  /** Cuts a group into pieces of which each fits one request. */
  cut(units: readonly Unit[]): readonly (readonly Unit[])[];
  /** Asks for the units of one piece; one result per unit, in their order. Must settle on its own. Rejects for bugs only. */
  send(units: readonly Unit[]): Promise<readonly Result[]>;
}

export interface GroupCommitOptions<Result> {
  /** Requests under way at a time, over all lanes. */
  readonly maxInFlight: number;
  /** How long the first question of an idle lane waits for others, in ms. */
  readonly linger: number;
  /** Least time between two groups of one lane, in ms. 0: a group leaves as soon as the one before is answered. */
  readonly pace?: number;
  /** For how long after its request left an answer is given again to the same question, in ms. */
  readonly fresh: number;
  /** How long a question may wait until its request leaves, in ms. */
  readonly patience: number;
  /** The answer to a question that waited longer. */
  readonly tooLate: () => Result;
}

interface Asked<Unit, Result> {
  readonly unit: Unit;
  readonly promise: Promise<Result>;
  readonly resolve: (result: Result) => void;
  readonly reject: (bug: unknown) => void;
}

interface LaneState<Unit, Result> {
  readonly lane: Lane<Unit, Result>;
  waiting: Map<string, Asked<Unit, Result>>;
  /** Since when the oldest of `waiting` waits, and what ends that. */
  waitingSince: number;
  waitTimer: NodeJS.Timeout | null;
  /** Runs in the context of the oldest of `waiting`: the group is asked for it, and not for who asked before. */
  onBehalf: ReturnType<typeof AsyncLocalStorage.snapshot>;
  /** Under way, or answered a moment ago. */
  readonly known: Map<string, Promise<Result>>;
  busy: boolean;
  /** When the last group left. */
  leftAt: number;
}

export class GroupCommit<Unit, Result> {
  readonly #lanes = new Map<string, LaneState<Unit, Result>>();
  readonly #gate: Gate;
  readonly #options: GroupCommitOptions<Result>;

  constructor(options: GroupCommitOptions<Result>) {
    this.#options = options;
    this.#gate = new Gate(options.maxInFlight);
  }

  /** `lane`: name of the lane; `open` makes it when it is new. `key`: units with the same key are the same question. */
  ask(lane: string, open: () => Lane<Unit, Result>, key: string, unit: Unit): Promise<Result> {
    const state = this.#lane(lane, open);
    const same = state.known.get(key) ?? state.waiting.get(key)?.promise;
    if (same !== undefined) return same;
    const asked = { unit, ...Promise.withResolvers<Result>() };
    state.waiting.set(key, asked);
    if (state.waiting.size === 1) this.#firstInLine(lane, state);
    return asked.promise;
  }

  #lane(name: string, open: () => Lane<Unit, Result>): LaneState<Unit, Result> {
    const found = this.#lanes.get(name);
    if (found !== undefined) return found;
    const state: LaneState<Unit, Result> = {
      lane: open(),
      waiting: new Map(),
      waitingSince: 0,
      waitTimer: null,
      onBehalf: AsyncLocalStorage.snapshot(),
      known: new Map(),
      busy: false,
      leftAt: Number.NEGATIVE_INFINITY,
    };
    this.#lanes.set(name, state);
    return state;
  }

  #firstInLine(name: string, state: LaneState<Unit, Result>): void {
    state.waitingSince = performance.now();
    state.onBehalf = AsyncLocalStorage.snapshot();
    if (!state.busy)
      setTimeout(() => this.#depart(name, state), Math.max(this.#options.linger, this.#untilNext(state)));
    else state.waitTimer = setTimeout(() => this.#giveUp(name, state), this.#options.patience);
  }

  /** Milliseconds until the lane's pace lets the next group go. */
  #untilNext({ leftAt }: LaneState<Unit, Result>): number {
    return Math.max(0, leftAt + (this.#options.pace ?? 0) - performance.now());
  }

  #giveUp(name: string, state: LaneState<Unit, Result>): void {
    const late = state.waiting;
    state.waiting = new Map();
    for (const asked of late.values()) asked.resolve(this.#options.tooLate());
    this.#tidy(name, state);
  }

  #depart(name: string, state: LaneState<Unit, Result>): void {
    const group = state.waiting;
    const { onBehalf } = state;
    const leaveBy = state.waitingSince + this.#options.patience;
    state.waiting = new Map();
    if (state.waitTimer !== null) clearTimeout(state.waitTimer);
    state.waitTimer = null;
    state.busy = true;
    const sentAt = performance.now();
    state.leftAt = sentAt;
    for (const [key, asked] of group) state.known.set(key, asked.promise);
    const askers = new Map([...group.values()].map((asked) => [asked.unit, asked]));
    const pieces = state.lane.cut([...askers.keys()]);
    const sent = onBehalf(() => pieces.map((piece) => this.#sendPiece(state.lane, piece, askers, leaveBy)));
    void Promise.all(sent).then(() => {
      const left = Math.max(0, sentAt + this.#options.fresh - performance.now());
      setTimeout(() => this.#forget(name, state, [...group.keys()]), left).unref();
      state.busy = false;
      if (state.waiting.size === 0) return;
      const wait = this.#untilNext(state);
      if (wait === 0) {
        this.#depart(name, state);
        return;
      }
      // They leave with the next group for certain: nothing has to end their waiting.
      if (state.waitTimer !== null) clearTimeout(state.waitTimer);
      state.waitTimer = null;
      setTimeout(() => this.#depart(name, state), wait);
    });
  }

  async #sendPiece(
    lane: Lane<Unit, Result>,
    piece: readonly Unit[],
    askers: ReadonlyMap<Unit, Asked<Unit, Result>>,
    leaveBy: number,
  ): Promise<void> {
    const entered = await this.#gate.enter(Math.max(0, leaveBy - performance.now()));
    if (!entered) {
      for (const unit of piece) askers.get(unit)?.resolve(this.#options.tooLate());
      return;
    }
    try {
      const results = await lane.send(piece);
      piece.forEach((unit, i) => {
        askers.get(unit)?.resolve(results[i] as Result);
      });
    } catch (bug) {
      for (const unit of piece) askers.get(unit)?.reject(bug);
    } finally {
      this.#gate.leave();
    }
  }

  #forget(name: string, state: LaneState<Unit, Result>, keys: readonly string[]): void {
    for (const key of keys) state.known.delete(key);
    this.#tidy(name, state);
  }

  /** A lane exists per window and per custom query text: those without work must not pile up. */
  #tidy(name: string, state: LaneState<Unit, Result>): void {
    if (!state.busy && state.waiting.size === 0 && state.known.size === 0) this.#lanes.delete(name);
  }
}
