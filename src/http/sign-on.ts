/**
 * Signing in by an OpenID provider. Between the two halves nothing is kept here: what ties the answer to the browser that
 * asked (state, nonce, PKCE's verifier) travels in a sealed cookie that lives for minutes, so any replica may answer.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Request, Response } from 'express';
import { Router } from 'express';
import { done, refused } from '../app/audit/act.ts';
import type { AuditLog } from '../app/audit/log.ts';
import type { Logger } from '../app/ports.ts';
import type { People } from '../app/trust/login.ts';
import type { SignOn, SignOnFailure, SignOnSecrets } from '../app/trust/ports.ts';
import { CALLBACK_PATH } from '../app/trust/ports.ts';
import type { Instant, Millis } from '../domain/plan.ts';
import { exchanges } from './exchanges.ts';
import { addressOf, pageDoer } from './origin.ts';
import { refusals } from './refusals.ts';
import { seal, sealKey, unseal } from './seal.ts';
import type { Sessions } from './session.ts';
import { cookieOf } from './session.ts';

export interface SignOnRoutes {
  readonly signOn: SignOn;
  readonly sessions: Pick<Sessions, 'openingFor'>;
  readonly people: Pick<People, 'principalOf'>;
  readonly audit: Pick<AuditLog, 'note'>;
  /** That of the sessions. */
  readonly key: string | null;
  readonly publicUrl: string;
  readonly now: () => Instant;
  readonly log: Logger;
}

/** Beside the page, not below it: what is below /ui the page itself answers. */
export const SIGN_ON_PATH = '/login/oidc';

/** Time to find the second factor. */
const ATTEMPT_LASTS: Millis = 600_000;

interface Attempt extends SignOnSecrets {
  /** Where they wanted to go. */
  readonly next: string;
  readonly expiresAt: Instant;
}

/** What the page says for it stands in src/page/views/login.js. */
type Trouble = SignOnFailure['code'] | 'lost' | 'declined';

export function signOnRouter(options: SignOnRoutes): Router {
  const { signOn, sessions, people, audit, key, publicUrl, now, log } = options;
  const secret = sealKey(key ?? randomBytes(32), 'sluice sign-on attempt');
  const tls = publicUrl.startsWith('https://');
  const name = tls ? '__Host-sluice-login' : 'sluice-login';
  // Lax: the provider's answer is a navigation from another site, to which a Strict cookie is not sent.
  const attributes = `Path=/; HttpOnly; SameSite=Lax${tls ? '; Secure' : ''}`;
  const over = `${name}=; Max-Age=0; ${attributes}`;
  const limits = exchanges(() => performance.now());
  const router = Router();

  const leave = (res: Response, location: string, cookies: readonly string[]): void => {
    res.setHeader('Cache-Control', 'no-store');
    for (const cookie of cookies) res.appendHeader('Set-Cookie', cookie);
    res.redirect(303, location);
  };
  const noteRefusal = refusals(audit, log, () => performance.now());
  const back = async (req: Request, res: Response, trouble: Trouble, message: string): Promise<void> => {
    const code = trouble === 'no_role' ? 'forbidden' : 'unauthenticated';
    // An outage of the provider refuses nobody.
    if (trouble !== 'unavailable')
      await noteRefusal(refused(pageDoer(req, res, null), { action: 'session.login', id: null, code }));
    log.warn({ trouble }, `signing in by the OpenID provider failed: ${message}`);
    leave(res, `/ui/login?trouble=${trouble}`, [over]);
  };

  router.get(SIGN_ON_PATH, async (req, res) => {
    const next = nextOf(req.query['next']);
    // Only the page's own button begins: no other site signs people in, or fills their history with attempts.
    if (['cross-site', 'same-site'].includes(req.get('sec-fetch-site') ?? ''))
      return leave(res, `/ui/login?next=${encodeURIComponent(next)}`, []);
    const secrets = { state: random(), nonce: random(), verifier: random() };
    const begun = await signOn.begin(secrets);
    if (!begun.ok) return back(req, res, begun.code, begun.message);
    const attempt: Attempt = { ...secrets, next, expiresAt: now() + ATTEMPT_LASTS };
    leave(res, begun.url, [`${name}=${seal(secret, attempt)}; Max-Age=${ATTEMPT_LASTS / 1000}; ${attributes}`]);
  });

  router.get(CALLBACK_PATH, async (req, res) => {
    const sealed = cookieOf(req.headers.cookie, name);
    const attempt = sealed === undefined ? null : unseal<Attempt>(secret, sealed);
    if (attempt === null || attempt.expiresAt <= now())
      return back(req, res, 'lost', 'the browser has begun no attempt');
    if (!equal(text(req, 'state') ?? '', attempt.state))
      return back(req, res, 'lost', 'the state is of another attempt');
    const error = text(req, 'error');
    if (error !== null)
      return back(req, res, 'declined', `the provider answers ${error.replaceAll(/[^\w.-]/g, '').slice(0, 60)}`);
    const code = text(req, 'code');
    if (code === null) return back(req, res, 'refused', 'the answer has no code');
    if (!limits.ofOne(addressOf(req)) || !limits.ofAll())
      return back(req, res, 'unavailable', 'too many attempts at once');
    const finished = await signOn.finish({ code, iss: text(req, 'iss') }, attempt);
    if (!finished.ok) return back(req, res, finished.code, finished.message);
    const principal = people.principalOf(finished.person);
    await audit.note(done(pageDoer(req, res, principal), { action: 'session.login', id: null }));
    log.info(
      { subject: finished.person.subject, group: finished.person.group },
      `user ${finished.person.name} has signed in`,
    );
    leave(res, attempt.next, [over, sessions.openingFor(finished.person)]);
  });
  return router;
}

/** 256 bits. */
const random = (): string => randomBytes(32).toString('base64url');

/** null: missing, given several times, or too long to be right. */
function text(req: Request, name: string): string | null {
  const found = req.query[name];
  return typeof found === 'string' && found !== '' && found.length <= 4096 ? found : null;
}

/** In constant time, whatever their lengths are. */
function equal(a: string, b: string): boolean {
  const [first, second] = [a, b].map((one) => createHash('sha256').update(one).digest());
  return first !== undefined && second !== undefined && timingSafeEqual(first, second);
}

/** Only to an address of the page: a link to the sign-in must not lead elsewhere. */
function nextOf(wanted: unknown): string {
  return typeof wanted === 'string' && wanted.length <= 2000 && /^\/ui\/(?!login)[\x21-\x5b\x5d-\x7e]*$/.test(wanted)
    ? wanted
    : '/ui/';
}
