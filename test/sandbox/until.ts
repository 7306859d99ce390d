import { setTimeout as sleep } from 'node:timers/promises';

/** Polls until the value fits; the last one found is in the error. */
export async function until<T>(look: () => Promise<T>, fits: (found: T) => boolean, within = 20_000): Promise<T> {
  const deadline = Date.now() + within;
  for (;;) {
    const found = await look();
    if (fits(found)) return found;
    if (Date.now() > deadline) throw new Error(`not in ${within} ms; the last was ${JSON.stringify(found)}`);
    await sleep(100);
  }
}
