/** What the person who is signed in may do here: their role, as far as their scope reaches. The server decides again. */

/** @typedef {import('./types.d.ts').Session} Session */

/** @type {Omit<Session['may'], 'audit'>} */
const NOTHING = { start: false, pause: false, promote: false, abort: false, giveUp: false };

/**
 * @param {Pick<Session, 'may' | 'principal'>} session
 * @param {{ readonly namespace: string, readonly service: string, readonly object: string | null } | null} place null: it reaches beyond any one service
 * @returns {Session['may']}
 */
export function mayAt({ may, principal }, place) {
  const scope = principal?.scope ?? null;
  if (scope === null) return may;
  const fits = (/** @type {readonly string[] | null} */ limit, /** @type {string} */ found) =>
    limit === null || limit.includes(found);
  // Both names, as the server wants it: what a plan calls its service, and the mesh object that moves the traffic.
  const within =
    place !== null &&
    fits(scope.namespaces, place.namespace) &&
    fits(scope.services, place.service) &&
    fits(scope.services, place.object ?? '');
  return within ? may : { ...may, ...NOTHING };
}
