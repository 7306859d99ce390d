/** The connection pool of one caller's proxy to one destination: what is over its limits gets no answer from a pod. */

/** Infinity: no limit. */
export interface PoolLimits {
  /** Of HTTP/1.1: each carries one request at a time. */
  readonly connections: number;
  /** Requests that wait for a connection. */
  readonly pending: number;
  /** Requests under way. */
  readonly requests: number;
}

/** Gives the place back. */
export type Leave = () => void;

export interface Pool {
  /** Resolves when there is a connection; null: overflow. */
  enter(): Promise<Leave> | null;
}

export function openPool({ connections, pending, requests }: PoolLimits): Pool {
  const waiting: (() => void)[] = [];
  let active = 0;
  const leave = (): void => {
    const next = waiting.shift();
    // The connection goes on to the next one: it stays in use.
    if (next === undefined) active -= 1;
    else next();
  };
  return {
    enter() {
      if (active + waiting.length >= requests) return null;
      if (active < connections) {
        active += 1;
        return Promise.resolve(leave);
      }
      if (waiting.length >= pending) return null;
      return new Promise((fulfil) => waiting.push(() => fulfil(leave)));
    },
  };
}
