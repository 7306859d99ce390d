/** What every answer carries, whatever it is. */
import { randomUUID } from 'node:crypto';
import type { RequestHandler } from 'express';

/** Ids are logged: only what cannot forge a log line, and never a token that was put in the wrong place. */
const SANE_ID = /^(?!.*slc_)[A-Za-z0-9._:-]{1,128}$/;

export const requestId: RequestHandler = (req, res, next) => {
  const given = req.get('x-request-id');
  const id = given !== undefined && SANE_ID.test(given) ? given : randomUUID();
  res.locals['requestId'] = id;
  res.setHeader('X-Request-Id', id);
  next();
};

const ALWAYS: Readonly<Record<string, string>> = {
  'Content-Security-Policy':
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cross-Origin-Opener-Policy': 'same-origin',
};

/** HSTS only where callers come by TLS: elsewhere it would lock them out. */
export function securityHeaders(publicUrl: string | undefined): RequestHandler {
  const tls = publicUrl?.startsWith('https://') === true;
  return (_req, res, next) => {
    for (const [name, value] of Object.entries(ALWAYS)) res.setHeader(name, value);
    if (tls) res.setHeader('Strict-Transport-Security', 'max-age=31536000');
    next();
  };
}
