/** What a token may do, as the server says of it; an older server does not, and is asked for what cannot happen. */
import type { Millis } from '../domain/plan.ts';
import type { Wire } from './wire/wire.ts';

const ROLES = ['viewer', 'deployer', 'approver', 'admin'] as const;
export type Role = (typeof ROLES)[number];

const WITHIN: Millis = 10_000;
/** An id that is never given out. */
const NOBODY = '-';

/** null: it could not be told. */
export async function roleOf(wire: Wire): Promise<Role | null> {
  const answer = await wire.send({ method: 'GET', path: '/whoami', within: WITHIN });
  if (answer.kind === 'silence') return null;
  return answer.status === 404 ? probedRole(wire) : roleIn(answer.text);
}

function roleIn(text: string): Role | null {
  try {
    const { role } = JSON.parse(text) as { readonly role?: unknown };
    return ROLES.find((known) => known === role) ?? null;
  } catch {
    return null;
  }
}

/** Rights are checked before anything else is looked at. Each of these is a refused act in the server's audit. */
async function probedRole(wire: Wire): Promise<Role | null> {
  const [start, promote] = await Promise.all([
    // Without a plan nothing can start; with no rollout of that id nothing can be promoted.
    mayPost(wire, '/rollouts'),
    mayPost(wire, `/rollouts/${NOBODY}/promote`),
  ]);
  if (start === null || promote === null) return null;
  if (start) return promote ? 'admin' : 'deployer';
  return promote ? 'approver' : 'viewer';
}

async function mayPost(wire: Wire, path: string): Promise<boolean | null> {
  const answer = await wire.send({ method: 'POST', path, within: WITHIN });
  if (answer.kind === 'silence') return null;
  if (answer.status === 403) return false;
  return [400, 404, 415, 422].includes(answer.status) ? true : null;
}
