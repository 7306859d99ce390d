/** Does an error say that the database cannot be used now? The http layer knows no driver, but it must not call an outage a bug. */

/** SQLSTATE classes and codes: connection exceptions, too many connections, shutdown, failover to a read-only server, timeouts. */
const SQLSTATE = /^(?:08...|53[0-9]{3}|57P0[1-5]|57014|55P03|25006|40001|40P01)$/;
const NETWORK: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'store_unavailable',
]);
/** Errors of the driver and its pool that carry no code. */
const WORDS =
  /timeout exceeded when trying to connect|query read timeout|connection terminated|connection ended unexpectedly|client has encountered a connection error/i;

/** How deep a chain of causes is followed. */
const MAX_CAUSES = 5;

export function isUnavailable(error: unknown, depth = 0): boolean {
  if (typeof error !== 'object' || error === null || depth > MAX_CAUSES) return false;
  const { code, message, cause, errors } = error as {
    code?: unknown;
    message?: unknown;
    cause?: unknown;
    errors?: unknown;
  };
  if (typeof code === 'string' && (NETWORK.has(code) || SQLSTATE.test(code))) return true;
  if (typeof message === 'string' && WORDS.test(message)) return true;
  if (Array.isArray(errors) && errors.some((inner) => isUnavailable(inner, depth + 1))) return true;
  return isUnavailable(cause, depth + 1);
}
