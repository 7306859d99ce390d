/** A seal on what was written: tells it from what somebody has changed since. No secret, so no proof against forgers. */
import { createHash } from 'node:crypto';
import { isRecord } from './json.ts';

const LENGTH = 16;

/** Hexadecimal. The order of fields does not matter (an API server has its own), that of lists does. */
export const sealOf = (value: unknown): string =>
  createHash('sha256')
    .update(JSON.stringify(sorted(value)))
    .digest('hex')
    .slice(0, LENGTH);

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .toSorted()
      .map((field) => [field, sorted(value[field])]),
  );
}
