/** Is everything there that requests need? Asked by probes every few seconds, so one answer serves all of them for a while. */
import type { Millis } from '../domain/plan.ts';

export interface NotReady {
  readonly part: string;
  /** What is wrong and what to do. */
  readonly message: string;
}
export type Ready = () => Promise<readonly NotReady[]>;

const FRESH: Millis = 1_000;
const DEADLINE: Millis = 3_000;

/** Never rejects and never takes longer than its deadline: an error or a silence is a part that is not ready. */
export function readiness(ready: Ready, now: () => Millis): Ready {
  let asked: { readonly at: Millis; readonly answer: Promise<readonly NotReady[]> } | null = null;
  return () => {
    if (asked === null || now() - asked.at >= FRESH) asked = { at: now(), answer: inTime(ready) };
    return asked.answer;
  };
}

async function inTime(ready: Ready): Promise<readonly NotReady[]> {
  const { promise: late, resolve } = Promise.withResolvers<readonly NotReady[]>();
  const timer = setTimeout(
    () =>
      resolve([
        {
          part: 'readiness',
          message: `the checks did not answer within ${DEADLINE} ms; look at the parts that the server depends on`,
        },
      ]),
    DEADLINE,
  );
  try {
    return await Promise.race([ready(), late]);
  } catch (error) {
    return [
      { part: 'readiness', message: `the checks failed: ${error instanceof Error ? error.message : String(error)}` },
    ];
  } finally {
    clearTimeout(timer);
  }
}
