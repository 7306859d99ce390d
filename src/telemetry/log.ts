/** Structured logs with pino: one line of JSON each, secrets struck out by name and by value. */
import { type DestinationStream, pino } from 'pino';
import type { Logger } from '../app/ports.ts';

export interface LogOptions {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  /** Values that never appear in a line, wherever they come from (a URL in an error's text, a driver's message). */
  readonly secrets: readonly string[];
  /** Default: standard output. */
  readonly destination?: DestinationStream;
}

/**
 * A field whose name ends like this never shows its text, at any depth and in any spelling; also where JSON stands as
 * text inside a message. The line is searched as it is written, so nothing can come in by another way.
 */
const SECRETIVE =
  '[\\w.-]*(?:authorization|token|password|passwd|secret|cookie|signature|connectionstring|api[-_]?key)s?';
const FIELD = new RegExp(`("${SECRETIVE}":)(?:"(?:[^"\\\\]|\\\\.)*"|-?\\d[\\d.]*)`, 'gi');
const FIELD_IN_TEXT = new RegExp(`(\\\\"${SECRETIVE}\\\\":\\s*)\\\\".*?\\\\"`, 'gi');
const LIST = new RegExp(`("${SECRETIVE}":)\\[[^\\]]*\\]`, 'gi');

/** Secrets with a shape: struck out even where nobody knew their value. Our own tokens, id tokens, Slack's, HTTP's, URLs with a password. */
const SHAPES: readonly (readonly [RegExp, string])[] = [
  [/slc_[A-Za-z0-9]+_[A-Za-z0-9_-]{20,}/g, '[token]'],
  [/\beyJ[\w-]{5,}\.[\w-]+\.[\w-]*/g, '[token]'],
  [/\bxox[a-z]-[A-Za-z0-9-]{10,}/g, '[token]'],
  // With a digit or a capital: "bearer authentication" are two words.
  [/\b([Bb]earer|[Bb]asic) +(?=[^\s"]*[A-Z0-9])[A-Za-z0-9._~+/=-]{8,}/g, '$1 [secret]'],
  [/\b(password|passwd|token|secret|api_?key)=[^\s&"\\]+/gi, '$1=[secret]'],
  [/(\b[a-z][a-z0-9+.-]*:\/\/[^\s:/@"]*:)[^\s@"/]+@/gi, '$1[secret]@'],
];

export function openLog({ level, secrets, destination }: LogOptions): Logger {
  const known = spellings(secrets);
  const scrub = (line: string): string => {
    const fields = line
      .replace(FIELD, '$1"[secret]"')
      .replace(FIELD_IN_TEXT, '$1\\"[secret]\\"')
      .replace(LIST, '$1"[secret]"');
    const values = known.reduce((text, secret) => text.replaceAll(secret, '[secret]'), fields);
    return SHAPES.reduce((text, [shape, instead]) => text.replace(shape, instead), values);
  };
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { err: (error: unknown) => shown(error) },
    hooks: { streamWrite: scrub },
  };
  return wrap(destination === undefined ? pino(options) : pino(options, destination));
}

/** What says something of an error, and no more: drivers hang their whole connection on theirs (4 kB a line, measured). */
function shown(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return error;
  const { name, message, stack, cause } = error;
  const code = (error as { code?: unknown }).code;
  return {
    type: name,
    message,
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    ...(stack === undefined ? {} : { stack }),
    ...(cause === undefined || depth >= 3 ? {} : { cause: shown(cause, depth + 1) }),
  };
}

/** As given, in a URL, in JSON; the longest first, so that none leaves the tail of another. Very short ones are words, not secrets. */
const spellings = (secrets: readonly string[]): readonly string[] =>
  [
    ...new Set(
      secrets
        .filter((secret) => secret.length >= 4)
        .flatMap((secret) => [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)]),
    ),
  ].toSorted((a, b) => b.length - a.length);

function wrap(log: pino.Logger): Logger {
  return {
    debug: (fields, message) => log.debug(fields, message),
    info: (fields, message) => log.info(fields, message),
    warn: (fields, message) => log.warn(fields, message),
    error: (fields, message) => log.error(fields, message),
    child: (fields) => wrap(log.child(fields)),
  };
}
