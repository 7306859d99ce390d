/**
 * Signing in a command line by the browser (RFC 8252). The provider knows one client, this server: the command line leads
 * the browser here, whoever has signed in on the page says yes there, and the browser takes a code to the command line,
 * which brings it here with what its challenge was made of (RFC 7636). The code is good once, for a minute, and goes to
 * this computer's loopback address alone.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { Request, Response } from 'express';
import { Router } from 'express';
import { z } from 'zod';
import { done, refused } from '../app/audit/act.ts';
import type { AuditLog } from '../app/audit/log.ts';
import type { Logger } from '../app/ports.ts';
import type { People } from '../app/trust/login.ts';
import type { LoginCodes } from '../app/trust/ports.ts';
import type { Millis } from '../domain/plan.ts';
import { readBody } from './body.ts';
import { type Exchanges, exchanges } from './exchanges.ts';
import { addressOf, originOf } from './origin.ts';
import type { ProblemCode, Refused } from './problem.ts';
import { refuse } from './problem.ts';
import { NAMELESS, refusals } from './refusals.ts';
import { send, sendProblem } from './respond.ts';
import type { Sessions } from './session.ts';
import type { SessionTokens } from './session-token.ts';
import { told, validatedBody } from './validate.ts';

export interface CliLoginRoutes {
  readonly sessions: Pick<Sessions, 'personOf' | 'expiryOf' | 'crossSite'>;
  readonly people: Pick<People, 'principalOf'>;
  readonly codes: LoginCodes;
  readonly tokens: Pick<SessionTokens, 'issue'>;
  readonly audit: Pick<AuditLog, 'note'>;
  readonly log: Logger;
}

/** Where a command line leads the browser. */
export const CLI_LOGIN_PATH = '/login/cli';
/** Where it brings the code. */
export const CLI_TOKEN_PATH = '/login/cli/token';
/** The page's question. */
const ASKING = '/ui/cli';

/** Between the click and the command line lies one redirect on one computer. */
const CODE_LASTS: Millis = 60_000;
/** 256 bits in base64url, as the challenge of PKCE has them. */
const DIGEST = /^[\w-]{43}$/;
/** Below 1024 nobody listens without being somebody else. */
const port = z.coerce.number().int().min(1024).max(65_535);
const asked = z.strictObject({
  port,
  host: z.enum(['127.0.0.1', '[::1]']).default('127.0.0.1'),
  challenge: z.string().regex(DIGEST, 'wanted the SHA-256 of the verifier in base64url'),
  state: z.string().regex(/^[\w-]{22,128}$/, 'wanted 22 to 128 characters of base64url'),
});
type Asked = z.output<typeof asked>;
const answered = asked.extend({ allow: z.boolean() });
const brought = z.strictObject({ code: z.string().regex(DIGEST), verifier: z.string().regex(/^[\w.~-]{43,128}$/) });

const FRESH = { 'Cache-Control': 'no-store' };

export function cliLoginRouter(options: CliLoginRoutes): Router {
  const { sessions, audit, log } = options;
  const noteRefusal = refusals(audit, log, () => performance.now());
  const limits = exchanges(() => performance.now());
  const router = Router();

  router.get(CLI_LOGIN_PATH, (req, res) => {
    const read = asked.safeParse(req.query);
    if (!read.success)
      return sendProblem(res, refuse('invalid_parameter', 'this address is made by sluice login --oidc; begin there'));
    res.setHeader('Cache-Control', 'no-store');
    const { port: at, ...words } = read.data;
    res.redirect(303, `${ASKING}?${new URLSearchParams({ ...words, port: String(at) })}`);
  });

  router.post(CLI_LOGIN_PATH, async (req, res) => {
    const elsewhere = sessions.crossSite(req);
    if (elsewhere !== null) return sendProblem(res, elsewhere);
    const said = await bodyOf(req, res, answered);
    if ('problem' in said) return sendProblem(res, said);
    if (!said.allow) return sendTo(res, { ...said, answer: { error: 'access_denied' } });
    const [person, until] = [sessions.personOf(req), sessions.expiryOf(req)];
    if (person === null || until === null)
      return sendProblem(
        res,
        refuse('unauthenticated', 'wanted a session of somebody who has signed in by the OpenID provider', {
          suggestion: 'Sign out here, sign in by the provider, and run sluice login --oidc again.',
        }),
      );
    const code = randomBytes(32).toString('base64url');
    await options.codes.keep(code, { challenge: said.challenge, person, until }, CODE_LASTS);
    sendTo(res, { ...said, answer: { code } });
  });

  router.post(CLI_TOKEN_PATH, async (req, res) => {
    if (!limits.ofOne(addressOf(req))) return sendProblem(res, tooMany(' from your address'));
    const made = await exchanged(options, limits, req, res);
    if ('problem' in made && made.problem === 'rate_limited') return sendProblem(res, made);
    if (!('problem' in made)) return send(res, 200, FRESH, 'application/json', JSON.stringify(made));
    const doer = { id: NAMELESS, name: NAMELESS, origin: originOf(req, res, undefined) };
    await noteRefusal(refused(doer, { action: 'session.login', id: null, code: made.problem }));
    sendProblem(res, made);
  });
  return router;
}

/** Where the page leads the browser then: a literal address of its own computer, and nowhere else. */
const sendTo = (
  res: Response,
  { host, port: at, state, answer }: Asked & { readonly answer: Readonly<Record<string, string>> },
): void => {
  const location = `http://${host}:${at}/?${new URLSearchParams({ ...answer, state })}`;
  send(res, 200, FRESH, 'application/json', JSON.stringify({ location }));
};

/** Nothing was looked at, so that it is no refusal of theirs. */
const tooMany = (whence = ''): Refused<'rate_limited'> =>
  refuse('rate_limited', `too many codes at once${whence}`, { headers: { 'Retry-After': '2' } });

interface Made {
  readonly token: string;
  readonly expiresAt: string;
  readonly name: string;
  readonly role: string;
}

async function exchanged(
  { codes, people, tokens, audit, log }: CliLoginRoutes,
  limits: Exchanges,
  req: Request,
  res: Response,
): Promise<Made | Refused<ProblemCode>> {
  const said = await bodyOf(req, res, brought);
  if ('problem' in said) return said;
  if (!limits.ofAll()) return tooMany();
  // Gone with the first who brings it, whatever else they know.
  const grant = await codes.take(said.code);
  const challenge = createHash('sha256').update(said.verifier).digest('base64url');
  const principal = grant === null || grant.challenge !== challenge ? null : people.principalOf(grant.person);
  if (grant === null || principal === null)
    return refuse('unauthenticated', 'the code is unknown, used, too old or of another command line', {
      suggestion: 'Run sluice login --oidc again.',
    });
  const doer = { ...principal, origin: originOf(req, res, principal.kind) };
  await audit.note(done(doer, { action: 'session.login', id: null }));
  log.info({ subject: grant.person.subject }, `${principal.name} has signed in a command line`);
  return {
    token: tokens.issue(grant.person, grant.until),
    expiresAt: new Date(grant.until).toISOString(),
    name: principal.name,
    role: principal.role,
  };
}

async function bodyOf<T>(req: Request, res: Response, schema: z.ZodType<T>): Promise<T | Refused<ProblemCode>> {
  const read = await readBody(req, res);
  if (read !== undefined && 'problem' in read) return read;
  const checked = validatedBody(schema, read?.value);
  if ('value' in checked) return checked.value as T;
  return refuse('invalid_body', told(checked.faults), { errors: checked.faults });
}
