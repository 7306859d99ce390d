/** What a token may do, found out by asking for what cannot happen: rights are checked before anything else is looked at. */
import type { Millis } from '../domain/plan.ts';
import type { Wire } from './wire/wire.ts';

export type Role = 'viewer' | 'deployer' | 'approver' | 'admin';

const WITHIN: Millis = 10_000;
/** An id that is never given out. */
const NOBODY = '-';

/** null: it could not be told. */
export async function roleOf(wire: Wire): Promise<Role | null> {
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
