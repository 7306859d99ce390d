/** What Prometheus answered, as values: rows, or trouble with a code. Pure. */
import type { NoValueCode } from '../../domain/observation.ts';
import { type Matrix, readMatrix } from './matrix.ts';
import { number } from './value.ts';

export interface Trouble {
  readonly ok: false;
  readonly code: NoValueCode;
  /** What was wanted, what was found, what to do. Names the server. */
  readonly message: string;
  /** true: a smaller question may be answered (refused query, too large an answer). */
  readonly tooMuch: boolean;
}

export const trouble = (code: NoValueCode, message: string, tooMuch = false): Trouble => ({
  ok: false,
  code,
  message,
  tooMuch,
});

export interface Row {
  readonly labels: Readonly<Record<string, string>>;
  /** NaN, Infinity and -Infinity as Prometheus gave them. */
  readonly value: number;
}

export interface Rows {
  readonly ok: true;
  readonly rows: readonly Row[];
}

export type Answer = Rows | Trouble;

/** When an answer's time stamps are believed, in milliseconds. */
export interface Clock {
  readonly now: number;
  /** Oldest age of a sample. */
  readonly maxAge: number;
  /** How far a sample may be ahead of this process's clock. */
  readonly maxAhead: number;
}

/** Prometheus's own words are shown to people: one line, bounded. */
const WORDS = 300;
const words = (text: unknown): string =>
  typeof text === 'string' && text !== '' ? text.replace(/\s+/g, ' ').slice(0, WORDS) : 'it gave no reason';

/** Reads the body of any answer that is neither a redirect nor a refusal to talk. `server`: its address, for messages. */
export const readAnswer = (server: string, status: number, body: string, clock: Clock): Answer =>
  readBody(server, status, body, (type, result) => figures(server, type, result, clock));

/** The same for a range selector: samples of every age are wanted, so none is refused for its time stamp. */
export const readSamples = (server: string, status: number, body: string): Matrix | Trouble =>
  readBody(server, status, body, (type, result) => {
    if (type !== 'matrix' || !Array.isArray(result)) return misshapen(server, 'no matrix for a range selector');
    const series = readMatrix(result);
    return series === null ? misshapen(server, 'a matrix of another form') : { ok: true, series };
  });

type Read<T> = (type: unknown, result: unknown) => T | Trouble;

function readBody<T>(server: string, status: number, body: string, read: Read<T>): T | Trouble {
  const parsed = parse(body);
  if (status === 401 || status === 403)
    return trouble('unauthorized', `${server} refused the credentials (HTTP ${status}); check the provider's auth`);
  if (status === 429 || status >= 500) return unavailable(server, status, parsed);
  if (status >= 300 && status < 400)
    return trouble(
      'unavailable',
      `${server} answered with a redirect (HTTP ${status}), which is never followed; configure the final address`,
    );
  if (status >= 400) return refused(server, status, parsed);
  if (parsed === null)
    return trouble(
      'malformed',
      `${server} answered with something that is not the JSON of the query API (${body.length} characters); ` +
        'check that the address is that of Prometheus, with its path prefix, and not of a login page or proxy',
    );
  if (parsed['status'] === 'error') return errorStatus(server, parsed);
  return success(server, parsed, read);
}

type Json = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function parse(body: string): Json | null {
  try {
    const value: unknown = JSON.parse(body);
    return isObject(value) ? value : null;
  } catch {
    return null; // becomes `malformed` where JSON was promised
  }
}

function unavailable(server: string, status: number, parsed: Json | null): Trouble {
  if (parsed?.['errorType'] === 'timeout')
    return trouble('timeout', `${server} gave up on the query: ${words(parsed['error'])}`);
  const why = parsed === null ? '' : `: ${words(parsed['error'])}`;
  return trouble('unavailable', `${server} cannot answer now (HTTP ${status})${why}`);
}

function refused(server: string, status: number, parsed: Json | null): Trouble {
  if (status === 404 && parsed === null)
    return trouble(
      'bad_query',
      `${server} has no query API under this address (HTTP 404); check the address and its path prefix`,
    );
  const why = parsed === null ? 'it gave no reason' : words(parsed['error']);
  return trouble('bad_query', `${server} refused the query (HTTP ${status}): ${why}`, true);
}

function errorStatus(server: string, parsed: Json): Trouble {
  const said = `${server} answered with an error: ${words(parsed['error'])}`;
  switch (parsed['errorType']) {
    case 'timeout':
      return trouble('timeout', said);
    case 'unavailable':
    case 'internal':
    case 'canceled':
      return trouble('unavailable', said);
    default:
      return trouble('bad_query', said, true);
  }
}

function success<T>(server: string, parsed: Json, read: Read<T>): T | Trouble {
  const { data, warnings } = parsed;
  if (parsed['status'] !== 'success' || !isObject(data)) return misshapen(server, 'no status "success" with data');
  if (Array.isArray(warnings) && warnings.length > 0)
    return trouble('partial', `${server} warned that the answer is not complete: ${words(warnings[0])}`);
  return read(data['resultType'], data['result']);
}

function figures(server: string, type: unknown, result: unknown, clock: Clock): Answer {
  switch (type) {
    case 'vector':
      return Array.isArray(result) ? vector(server, result, clock) : misshapen(server, 'a vector that is no list');
    case 'scalar': {
      const row = sample(result, {});
      if (row === null) return misshapen(server, 'a scalar that is no pair of time and value');
      return late(server, row.at, clock) ?? { ok: true, rows: [row] };
    }
    default:
      return trouble(
        'wrong_type',
        `the query gives a ${words(type)} at ${server}; a single number is wanted: a scalar or a vector of one element`,
      );
  }
}

interface TimedRow extends Row {
  /** Milliseconds since the epoch. */
  readonly at: number;
}

function vector(server: string, result: readonly unknown[], clock: Clock): Answer {
  const rows: TimedRow[] = [];
  for (const element of result) {
    if (!isObject(element) || !isObject(element['metric'])) return misshapen(server, 'a vector element without labels');
    if (element['histogram'] !== undefined)
      return trouble('wrong_type', `the query gives a native histogram at ${server}; a number is wanted`);
    const row = sample(element['value'], element['metric'] as Readonly<Record<string, string>>);
    if (row === null) return misshapen(server, 'a vector element that is no pair of time and value');
    const old = late(server, row.at, clock);
    if (old !== null) return old;
    rows.push(row);
  }
  return { ok: true, rows };
}

function sample(pair: unknown, labels: Readonly<Record<string, string>>): TimedRow | null {
  if (!Array.isArray(pair) || pair.length !== 2) return null;
  const [seconds, text] = pair as readonly unknown[];
  if (typeof seconds !== 'number' || !Number.isFinite(seconds) || typeof text !== 'string') return null;
  const value = number(text);
  return value === null ? null : { labels, value, at: seconds * 1000 };
}

const seconds = (ms: number): string => `${Math.round(ms / 100) / 10} s`;

function late(server: string, at: number, { now, maxAge, maxAhead }: Clock): Trouble | null {
  if (now - at > maxAge)
    return trouble(
      'stale_sample',
      `${server} answered with a sample that is ${seconds(now - at)} old (at most ${seconds(maxAge)} is accepted); ` +
        'look for a cache in between, and at the clocks of both hosts',
    );
  if (at - now > maxAhead)
    return trouble(
      'stale_sample',
      `${server} answered with a sample from ${seconds(at - now)} in the future; look at the clocks of both hosts`,
    );
  return null;
}

const misshapen = (server: string, found: string): Trouble =>
  trouble('malformed', `${server} answered with JSON that is not the query API's: ${found}`);
