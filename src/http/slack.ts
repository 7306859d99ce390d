/**
 * Slack's way in: checks the signature, takes the command down, and says so. A worker does the rest (`app/inbound.ts`):
 * Slack gives a request three seconds, and a mesh may need longer.
 *
 * Mount it before anything that parses bodies: the signature is over the raw bytes.
 */
import express from 'express';
import type { InboundCommands, Logger } from '../app/ports.ts';
import type { Instant, Millis } from '../domain/plan.ts';
import { clickOf, type Inbound, isCertificateCheck, slashOf } from './slack/request.ts';
import { verify } from './slack/signature.ts';

export interface SlackRouterOptions {
  /** The app's signing secrets; any may sign. Empty is a mistake, and throws: it would leave the door without a lock. */
  readonly signingSecrets: readonly string[];
  readonly accept: InboundCommands['accept'];
  readonly now: () => Instant;
  readonly log: Logger;
  /** How long storing may take before Slack is told that the outcome is not known. */
  readonly deadline?: Millis;
}

/** Slack shows an error after 3 s; people begin to click again after one. */
const DEADLINE: Millis = 800;
const BODY_LIMIT = '64kb';

const TAKEN = 'On it. The answer follows here.';
const REPEATED = 'This was taken down already. The answer follows here.';
const NOT_KNOWN =
  'The database does not answer in time, so I cannot say whether this was taken down. If no answer follows here within a minute, look at the rollout before you ask again.';

export function slackRouter(options: SlackRouterOptions): express.Router {
  const { signingSecrets } = options;
  if (signingSecrets.length === 0 || signingSecrets.includes(''))
    throw new Error(
      'Slack needs a signing secret (Slack app > Basic Information > Signing Secret); found none, or an empty one',
    );
  const router = express.Router();
  const raw = express.raw({ type: () => true, limit: BODY_LIMIT, inflate: false });
  router.post('/slack/commands', raw, guard(options), async (req, res) => {
    if (isCertificateCheck(req.body)) return void res.status(200).end();
    const command = slashOf(req.body);
    if (command === null) return void res.status(400).type('text').send('this is not a slash command of Slack');
    const taken = await takeDown(options, command);
    res.json({
      response_type: 'ephemeral',
      text: taken === 'new' ? TAKEN : taken === 'repeated' ? REPEATED : NOT_KNOWN,
    });
  });
  router.post('/slack/interactions', raw, guard(options), async (req, res) => {
    const command = clickOf(req.body);
    if (command === null) {
      options.log.info({}, 'an interaction of Slack that is none of our buttons: left alone');
      return void res.status(200).end();
    }
    // Slack shows nothing of this answer but its failure: a warning sign beside the button.
    const taken = await takeDown(options, command);
    res.status(taken === 'not known' ? 503 : 200).end();
  });
  router.use(refuse);
  return router;
}

function guard({ signingSecrets, now, log }: SlackRouterOptions): express.RequestHandler {
  return (req, res, next) => {
    const body: unknown = req.body;
    const signed = {
      timestamp: req.get('x-slack-request-timestamp'),
      signature: req.get('x-slack-signature'),
      body: Buffer.isBuffer(body) ? body : Buffer.alloc(0),
    };
    const verdict = verify(signingSecrets, signed, now());
    if (verdict === 'ok') {
      req.body = signed.body;
      return next();
    }
    log.warn({ verdict, path: req.path }, 'refused a request that claims to be from Slack');
    res.status(401).type('text').send('the signature is missing, wrong or too old');
  };
}

type Taken = 'new' | 'repeated' | 'not known';

/** Never later than the deadline, and never an error: a command that comes down late is still carried out. */
async function takeDown(
  { accept, log, deadline = DEADLINE }: SlackRouterOptions,
  { id, kind, payload }: Inbound,
): Promise<Taken> {
  const stored = accept(id, kind, payload).then(
    (fresh): Taken => (fresh ? 'new' : 'repeated'),
    (error: unknown): Taken => {
      log.error({ error: String(error), kind }, 'a command from Slack could not be stored');
      return 'not known';
    },
  );
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Taken>((resolve) => {
    timer = setTimeout(() => {
      log.warn({ deadline, kind }, 'storing a command from Slack takes too long; answered without knowing');
      resolve('not known');
    }, deadline);
  });
  const taken = await Promise.race([stored, late]);
  clearTimeout(timer);
  return taken;
}

/** A body that is too large, compressed or cut off. Nothing of it is repeated. */
const refuse: express.ErrorRequestHandler = (error: { status?: unknown }, _req, res, next) => {
  const { status } = error;
  if (typeof status !== 'number' || status >= 500) return next(error);
  res.status(status).type('text').send('this request cannot be read');
};
