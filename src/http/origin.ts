/** Where a request came from, as it says of itself. For the audit; nothing is ever allowed because of it. */
import { isIP } from 'node:net';
import type { Request, Response } from 'express';
import type { Doer, Origin, Via } from '../app/audit/act.ts';
import type { Principal } from '../app/ports.ts';
import { NAMELESS } from './refusals.ts';
import { requestIdOf } from './respond.ts';

/** Of the User-Agent; a browser's has some 120 characters. */
const LONGEST = 200;

/** `ci` in brackets: the command line within a pipeline. */
const COMMAND_LINE = /^sluice-cli\/\S+( \(ci\b)?/;

export function originOf(req: Request, res: Response, kind: Principal['kind']): Origin {
  const agent = req.get('user-agent');
  return {
    via: viaOf(req, agent, kind),
    address: addressOf(req),
    userAgent: agent === undefined ? null : agent.slice(0, LONGEST),
    requestId: requestIdOf(res),
  };
}

/** Of a session: `page`, whatever else the request says, for nothing else asks for one. null: nobody has a name yet. */
export const pageDoer = (req: Request, res: Response, principal: Principal | null): Doer => ({
  ...(principal ?? { id: NAMELESS, name: NAMELESS }),
  origin: { ...originOf(req, res, principal?.kind), via: 'page' },
});

function viaOf(req: Request, agent: string | undefined, kind: Principal['kind']): Via {
  if (kind === 'ci') return 'ci';
  // A cookie is only looked at where there is no Authorization header, as when the caller is identified.
  if (req.headers.authorization === undefined && req.headers.cookie !== undefined) return 'page';
  const [commandLine, inPipeline] = COMMAND_LINE.exec(agent ?? '') ?? [];
  if (commandLine === undefined) return 'api';
  return inPipeline === undefined ? 'cli' : 'ci';
}

/** A trusted proxy's X-Forwarded-For may hold anything that its own caller wrote. */
export function addressOf(req: Request): string | null {
  const said = req.ip ?? '';
  return isIP(said) === 0 ? (req.socket.remoteAddress ?? null) : said;
}
