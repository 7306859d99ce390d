/** At most so many at a time; the others wait in order, each no longer than it can. */
export class Gate {
  readonly #queue: (() => void)[] = [];
  #free: number;

  constructor(places: number) {
    this.#free = places;
  }

  /** true: come in, and call `leave` afterwards. false: no place became free in `patience` milliseconds. */
  enter(patience: number): Promise<boolean> {
    if (this.#free > 0) {
      this.#free -= 1;
      return Promise.resolve(true);
    }
    return new Promise((resolve) => {
      const called = () => {
        clearTimeout(timer);
        resolve(true);
      };
      const timer = setTimeout(() => {
        this.#queue.splice(this.#queue.indexOf(called), 1);
        resolve(false);
      }, patience);
      this.#queue.push(called);
    });
  }

  /** Hands the place to the next in line. */
  leave(): void {
    const next = this.#queue.shift();
    if (next === undefined) this.#free += 1;
    else next();
  }
}
