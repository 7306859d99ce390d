/** Virtual time: events in order of their time, one seeded source of chance. Nothing here waits for real seconds. */

/** mulberry32: small, seeded, good enough to choose faults. */
export function chance(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export interface Scheduler {
  now(): number;
  random(): number;
  /** Runs `what` at now + `delay` (ms). */
  after(delay: number, what: () => void): void;
  /** Resolves at now + `delay`. */
  sleep(delay: number): Promise<void>;
  /** Runs events until `until` or until none is left. */
  run(until: number): Promise<void>;
}

interface Event {
  readonly at: number;
  readonly order: number;
  readonly what: () => void;
}

export function scheduler(seed: number): Scheduler {
  const random = chance(seed);
  const heap: Event[] = [];
  let time = 0;
  let order = 0;

  const before = (a: Event, b: Event): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);
  const push = (event: Event): void => {
    let i = heap.push(event) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!before(event, heap[parent] as Event)) break;
      heap[i] = heap[parent] as Event;
      i = parent;
    }
    heap[i] = event;
  };
  const pop = (): Event | undefined => {
    const top = heap[0];
    const last = heap.pop();
    if (top === undefined || last === undefined || heap.length === 0) return top;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Event, heap[child] as Event)) child += 1;
      if (!before(heap[child] as Event, last)) break;
      heap[i] = heap[child] as Event;
      i = child;
    }
    heap[i] = last;
    return top;
  };

  const after = (delay: number, what: () => void): void => {
    order += 1;
    push({ at: time + Math.max(0, delay), order, what });
  };

  return {
    now: () => time,
    random,
    after,
    sleep: (delay) => new Promise((resolve) => after(delay, resolve)),
    async run(until) {
      for (;;) {
        const next = heap[0];
        if (next === undefined || next.at > until) break;
        pop();
        time = next.at;
        next.what();
        // Lets every promise that follows from this event settle before the next one.
        await new Promise((resolve) => setImmediate(resolve));
      }
      time = Math.max(time, until);
    },
  };
}
