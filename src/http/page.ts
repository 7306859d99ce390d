/**
 * The page: static files from src/page, one shell for all of its addresses, and the session that signs people in. It
 * shows what the REST API says and has no data of its own.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Request, RequestHandler, Response } from 'express';
import { Router } from 'express';
import { z } from 'zod';
import type { AuditAction } from '../app/audit/act.ts';
import { done, refused } from '../app/audit/act.ts';
import type { AuditLog } from '../app/audit/log.ts';
import type { Logger, Principal, Recorder } from '../app/ports.ts';
import { may } from '../app/usecases.ts';
import type { Millis } from '../domain/plan.ts';
import type { Authenticate } from './auth.ts';
import { principalOf } from './auth.ts';
import { readBody } from './body.ts';
import { pageDoer } from './origin.ts';
import type { PageLinks, SessionBody } from './page-session.ts';
import type { Refused } from './problem.ts';
import { refuse } from './problem.ts';
import type { NoteRefusal } from './refusals.ts';
import { refusals } from './refusals.ts';
import { send, sendEmpty, sendProblem } from './respond.ts';
import type { Sessions } from './session.ts';
import { told, validatedBody } from './validate.ts';

export interface PageOptions {
  readonly sessions: Sessions;
  readonly authenticate: Authenticate;
  readonly audit: Pick<AuditLog, 'note'>;
  readonly log: Logger;
  readonly recorder: Pick<Recorder, 'httpRequest'>;
  readonly version: string;
  /** Longest silence of a live stream: after twice that the page calls itself stale. */
  readonly heartbeat: Millis;
  readonly links: PageLinks;
  /** Absent: people sign in by API token alone. */
  readonly signOn?: SessionBody['signOn'];
}

const FILES = fileURLToPath(new URL('../page', import.meta.url));

/** Nothing inline, nothing from elsewhere, nothing that can be framed or posted away. */
const CSP = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

export function pageRouter(options: PageOptions): Router {
  const assets = loadAssets();
  const shell = assets.get('index.html');
  if (shell === undefined) throw new Error(`the page is missing: wanted index.html in ${FILES}; run npm run build`);
  const noteRefusal = refusals(options.audit, options.log, () => performance.now());
  const router = Router();
  router.get('/', (_req, res) => res.redirect(302, '/ui/'));
  router.use('/ui', counted(options.recorder), (_req, res, next) => {
    res.setHeader('Content-Security-Policy', CSP);
    next();
  });
  router.get('/ui/assets/*path', (req, res, next) => {
    const asset = assets.get([req.params['path']].flat().join('/'));
    if (asset === undefined || asset === shell) return next();
    sendAsset(req, res, asset);
  });
  router
    .route('/ui/session')
    .get((req, res) => showSession(options, req, res))
    .post((req, res) => signIn(options, noteRefusal, req, res))
    .delete((req, res) => signOut(options, noteRefusal, req, res));
  // The page itself knows which of its addresses there are.
  router.get(['/ui', '/ui/*path'], (req, res, next) => {
    if (req.path.startsWith('/ui/assets/')) return next();
    sendAsset(req, res, shell);
  });
  return router;
}

const counted =
  (recorder: PageOptions['recorder']): RequestHandler =>
  (req, res, next) => {
    const started = performance.now();
    res.once('close', () => recorder.httpRequest('/ui', req.method, res.statusCode, performance.now() - started));
    next();
  };

// ── files ───────────────────────────────────────────────────────────────────────────────────────────────────────────

interface Asset {
  readonly body: string;
  readonly type: string;
  readonly etag: string;
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml; charset=utf-8',
};

/** By path below the folder. Read once: what is served is what the process was started with. */
function loadAssets(): ReadonlyMap<string, Asset> {
  const found = readdirSync(FILES, { recursive: true, encoding: 'utf8' }).flatMap((path): [string, Asset][] => {
    const type = TYPES[extname(path)];
    if (type === undefined) return [];
    const body = readFileSync(join(FILES, path), 'utf8');
    const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
    return [[path.replaceAll('\\', '/'), { body, type, etag }]];
  });
  return new Map(found);
}

/** Always asked for again, and mostly answered with 304: after an upgrade no browser mixes old files with new ones. */
function sendAsset(req: Request, res: Response, { body, type, etag }: Asset): void {
  const headers = { ETag: etag, 'Cache-Control': 'no-cache' };
  const known = (req.get('if-none-match') ?? '').split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  if (known.includes(etag)) sendEmpty(res, 304, headers);
  else send(res, 200, headers, type, body);
}

// ── the session ─────────────────────────────────────────────────────────────────────────────────────────────────────

const NO_LINKS: PageLinks = { prometheus: {} };
const FRESH = { 'Cache-Control': 'no-store' };

async function showSession(options: PageOptions, req: Request, res: Response): Promise<void> {
  const found = await options.sessions.identify(req);
  const principal = found === null || 'problem' in found ? null : found;
  // A cookie that opens nothing any more would be sent with every request.
  const headers = found !== null && principal === null ? { ...FRESH, 'Set-Cookie': options.sessions.closing } : FRESH;
  const expiresAt = principal === null ? null : options.sessions.expiryOf(req);
  send(res, 200, headers, 'application/json', JSON.stringify(sessionBody(options, principal, expiresAt)));
}

function sessionBody(
  { heartbeat, version, links, signOn = null }: PageOptions,
  principal: Principal | null,
  expiresAt: number | null,
): SessionBody {
  const can = (act: Parameters<typeof may>[1]): boolean => principal !== null && may(principal, act);
  return {
    principal: principal === null ? null : who(principal),
    may: {
      start: can('start'),
      pause: can('pause'),
      promote: can('promote'),
      abort: can('abort'),
      giveUp: can('give_up'),
      audit: can('audit'),
    },
    expiresAt: expiresAt === null ? null : new Date(expiresAt).toISOString(),
    heartbeatMs: heartbeat,
    version: principal === null ? null : version,
    links: principal === null ? NO_LINKS : links,
    signOn,
  };
}

const who = ({ name, role, persons = [], groups = [], scope }: Principal): SessionBody['principal'] => ({
  name,
  role,
  persons,
  groups,
  scope: scope ?? null,
});

const signInBody = z.strictObject({ token: z.string().min(1).max(512) });

/** Answers with the refusal, which is in the audit by then. */
async function refuseSession(
  note: NoteRefusal,
  req: Request,
  res: Response,
  action: AuditAction,
  answer: Refused,
): Promise<void> {
  await note(refused(pageDoer(req, res, null), { action, id: null, code: answer.problem }));
  sendProblem(res, answer);
}

async function signIn(options: PageOptions, note: NoteRefusal, req: Request, res: Response): Promise<void> {
  const admitted = await tokenIn(options, req, res);
  if ('problem' in admitted) return refuseSession(note, req, res, 'session.login', admitted);
  const { token, principal } = admitted;
  await options.audit.note(done(pageDoer(req, res, principal), { action: 'session.login', id: null }));
  sendEmpty(res, 204, { ...FRESH, 'Set-Cookie': options.sessions.opening(token) });
}

async function tokenIn(
  { sessions, authenticate }: PageOptions,
  req: Request,
  res: Response,
): Promise<{ readonly token: string; readonly principal: Principal } | Refused> {
  const elsewhere = sessions.crossSite(req);
  if (elsewhere !== null) return elsewhere;
  const read = await readBody(req, res);
  if (read !== undefined && 'problem' in read) return read;
  const checked = validatedBody(signInBody, read?.value);
  if (!('value' in checked)) return refuse('invalid_body', told(checked.faults), { errors: checked.faults });
  const token = (checked.value as z.output<typeof signInBody>).token.trim();
  const principal = await principalOf(authenticate, token);
  if (principal !== null) return { token, principal };
  return refuse('unauthenticated', 'the token is unknown, expired or revoked', {
    suggestion: 'Ask an administrator for a new one: sluice token create --name you --role viewer.',
  });
}

async function signOut(
  { sessions, audit }: PageOptions,
  note: NoteRefusal,
  req: Request,
  res: Response,
): Promise<void> {
  const elsewhere = sessions.crossSite(req);
  if (elsewhere !== null) return refuseSession(note, req, res, 'session.logout', elsewhere);
  const session = await sessions.identify(req);
  // Whose session has ended already ends nothing.
  if (session !== null && !('problem' in session))
    await audit.note(done(pageDoer(req, res, session), { action: 'session.logout', id: null }));
  sendEmpty(res, 204, { ...FRESH, 'Set-Cookie': sessions.closing });
}
