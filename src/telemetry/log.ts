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

/** Fields that are never worth a log line, at any depth that our own objects have. */
const NAMES = ['authorization', 'token', 'password', 'secret', 'cookie', 'signature', 'connectionString'];
const redacted = [
  ...NAMES,
  ...NAMES.map((name) => `*.${name}`),
  ...NAMES.map((name) => `*.*.${name}`),
  'headers.authorization',
  'err.config',
];

/** Our own tokens have a shape: struck out even where nobody knew their value. */
const TOKEN = /slc_[A-Za-z0-9]+_[A-Za-z0-9_-]{20,}/g;
const CREDENTIALS_IN_URL = /(\b[a-z][a-z0-9+.-]*:\/\/[^\s:/@"]*:)[^\s@"/]+@/gi;

export function openLog({ level, secrets, destination }: LogOptions): Logger {
  const known = secrets.flatMap((secret) => [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)]);
  const scrub = (line: string): string =>
    known
      .reduce((text, secret) => text.replaceAll(secret, '[secret]'), line)
      .replace(TOKEN, '[token]')
      .replace(CREDENTIALS_IN_URL, '$1[secret]@');
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: redacted, censor: '[secret]' },
    serializers: { err: pino.stdSerializers.err },
    hooks: { streamWrite: scrub },
  };
  return wrap(destination === undefined ? pino(options) : pino(options, destination));
}

function wrap(log: pino.Logger): Logger {
  return {
    debug: (fields, message) => log.debug(fields, message),
    info: (fields, message) => log.info(fields, message),
    warn: (fields, message) => log.warn(fields, message),
    error: (fields, message) => log.error(fields, message),
    child: (fields) => wrap(log.child(fields)),
  };
}
