/** Something fetched that is kept: fetched by one caller for all, asked for seldom, and used for a while after its source is gone. */
import type { Instant, Millis } from '../../domain/plan.ts';

export type Fetched<T> =
  | { readonly ok: true; readonly value: T }
  /** For people: which server, and what was wrong. */
  | { readonly ok: false; readonly message: string };

export interface Kept<T> {
  get(): Promise<Fetched<T>>;
  /** What is kept lacks something: fetched anew, if that was not done just now. */
  renewed(): Promise<Fetched<T>>;
}

export interface Ages {
  /** So long it is used without asking. */
  readonly fresh: Millis;
  /** So long it is used while its source does not answer. */
  readonly stale: Millis;
  /** Between two requests, whoever asks and however the first one went. */
  readonly pause: Millis;
}

/** `fetch` never rejects. */
export function kept<T>(fetch: () => Promise<Fetched<T>>, ages: Ages, now: () => Instant): Kept<T> {
  let have: { readonly value: T; readonly at: Instant } | null = null;
  let last: { readonly result: Fetched<T>; readonly at: Instant } | null = null;
  let pending: Promise<Fetched<T>> | null = null;

  async function ask(): Promise<Fetched<T>> {
    const result = await fetch();
    last = { result, at: now() };
    if (result.ok) have = { value: result.value, at: last.at };
    pending = null;
    return result;
  }
  const request = (): Promise<Fetched<T>> => {
    if (pending !== null) return pending;
    if (last !== null && now() - last.at < ages.pause) return Promise.resolve(last.result);
    pending = ask();
    return pending;
  };

  return {
    async get() {
      if (have === null || now() - have.at >= ages.stale) return request();
      // Nobody waits for a source that may hang, as long as what there is may be used.
      if (now() - have.at >= ages.fresh) void request();
      return { ok: true, value: have.value };
    },
    renewed: request,
  };
}
