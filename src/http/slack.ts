/**
 * Slack's way in over HTTP: checks the signature, takes the command down, and says so.
 *
 * Mount it before anything that parses bodies: the signature is over the raw bytes.
 */
import express from 'express';
import type { Intake } from '../app/slack-intake.ts';
import { receipt, takeDown } from '../app/slack-intake.ts';
import { clickOf, slashOf } from '../app/slack-request.ts';
import type { Instant } from '../domain/plan.ts';
import { fieldsOf, interactionIn, isCertificateCheck } from './slack/form.ts';
import { verify } from './slack/signature.ts';

export interface SlackRouterOptions extends Intake {
  /** The app's signing secrets; any may sign. Empty is a mistake, and throws: it would leave the door without a lock. */
  readonly signingSecrets: readonly string[];
  readonly now: () => Instant;
}

const BODY_LIMIT = '64kb';

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
    const command = slashOf(fieldsOf(req.body));
    if (command === null) return void res.status(400).type('text').send('this is not a slash command of Slack');
    res.json(receipt(await takeDown(options, command)));
  });
  router.post('/slack/interactions', raw, guard(options), async (req, res) => {
    const command = clickOf(interactionIn(req.body));
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

/** A body that is too large, compressed or cut off. Nothing of it is repeated. */
const refuse: express.ErrorRequestHandler = (error: { status?: unknown }, _req, res, next) => {
  const { status } = error;
  if (typeof status !== 'number' || status >= 500) return next(error);
  res.status(status).type('text').send('this request cannot be read');
};
