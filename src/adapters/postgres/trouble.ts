/** Which errors of the driver mean "not now", and what they are called for people. */
import { StoreUnavailable } from '../../app/ports.ts';

interface DriverError extends Error {
  /** SQLSTATE of the server, or the system's name (ECONNREFUSED). */
  readonly code?: string;
  readonly constraint?: string;
}

const asDriverError = (error: unknown): DriverError | null => (error instanceof Error ? error : null);

/** SQLSTATE classes and codes after which the same statement may well succeed. */
const PASSING = [
  /^08/, // connection lost or refused
  /^53/, // too many connections, disk full, out of memory
  /^57P0[1-5]/, // shutting down, starting up, database dropped under us
  /^57014$/, // statement timeout
  /^55P03$/, // lock not available
  /^40001$|^40P01$/, // serialization failure, deadlock
  /^25006$/, // read-only: a standby, or a primary that is handing over
  /^25P03$/, // idle-in-transaction timeout
  /^28/, // password being rotated, pg_hba being changed
];

const NETWORK = /^(ECONN|EPIPE|ETIMEDOUT|EHOST|ENET|ENOTFOUND|EAI_|EADDRNOTAVAIL|EMFILE|ENFILE|ERR_SSL|ERR_TLS)/;

/** The driver has no codes for these. */
const WORDS =
  /^Connection terminated|connection error and is not queryable|was closed and is not queryable|timeout exceeded when trying to connect|^Query read timeout|^timeout expired/;

/** Was the statement refused or lost for a reason that passes? Its outcome may be unknown: it may have been carried out. */
export function isPassing(error: unknown): boolean {
  if (error instanceof StoreUnavailable) return true;
  const found = asDriverError(error);
  if (found === null) return false;
  const { code } = found;
  return code === undefined
    ? WORDS.test(found.message)
    : NETWORK.test(code) || PASSING.some((pattern) => pattern.test(code));
}

/** Nothing was sent: the connection never came about. */
const NOT_SENT = /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL|57P03|53300)$/;
const NOT_SENT_WORDS = /when trying to connect|^timeout expired|due to connection timeout/;
/** The server says itself that it undid the statement. */
const UNDONE = /^(40001|40P01|55P03|57014|25006|25P03|53|28)/;

const causeOf = (error: unknown): DriverError | null =>
  asDriverError(error instanceof StoreUnavailable ? error.cause : error);

/** The connection was lost, or the answer did not come in time: the statement may have been carried out, or may be yet. */
export function isOutcomeUnknown(error: unknown): boolean {
  const found = causeOf(error);
  if (found === null || !isPassing(error)) return false;
  const { code } = found;
  return code === undefined ? !NOT_SENT_WORDS.test(found.message) : !NOT_SENT.test(code) && !UNDONE.test(code);
}

/** The pooled connection was dead, so asking again costs nothing. Not where the time for an answer is used up already. */
export const isLostConnection = (error: unknown): boolean =>
  isOutcomeUnknown(error) && !/read timeout/.test(causeOf(error)?.message ?? '');

/** The server answers, and takes no writes or no logins: trying again within seconds is useless. */
export const isRefusal = (error: unknown): boolean => /^(25006|53|28)/.test(causeOf(error)?.code ?? '');

/** Undone because of others at the same moment: the same statement again may well succeed at once. */
export const isCollision = (error: unknown): boolean => /^40(001|P01)$/.test(causeOf(error)?.code ?? '');

/** The unique constraint that the statement broke; null: another error. */
export function brokenConstraint(error: unknown): string | null {
  const found = asDriverError(error);
  return found?.code === '23505' ? (found.constraint ?? null) : null;
}

const HINTS: readonly (readonly [RegExp, string])[] = [
  [/^25006$/, 'the server is read-only: a standby, or a failover is under way'],
  [/^28/, 'the server refuses the login: check user and password of DATABASE_URL'],
  [/^53300$/, 'the server has no connection left: lower the pool size or raise max_connections'],
  [/^53100$/, "the server's disk is full"],
  [/^57014$/, 'the statement took too long and was cancelled'],
  [/^42P01$|^42703$|^42883$|^3F000$/, 'a table or column is missing: run the migrations (`npm run migrate`)'],
];

/** Trouble that passes becomes StoreUnavailable; everything else is a bug and stays what it is. */
export function explained(error: unknown): unknown {
  const found = asDriverError(error);
  if (found === null || error instanceof StoreUnavailable) return error;
  const hint = HINTS.find(([pattern]) => pattern.test(found.code ?? ''))?.[1];
  if (hint === undefined && !isPassing(error)) return error;
  return new StoreUnavailable(`Postgres cannot be used now: ${hint === undefined ? '' : `${hint}: `}${found.message}`, {
    cause: error,
  });
}
