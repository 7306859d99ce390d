/** Sessions of a Canary -> those of a plan. */
import { BY_HAND } from '../by-hand.ts';
import { clamped, DAY, SECOND, written } from '../durations.ts';
import type { Field } from '../field.ts';
import type { MeshName, PlanDocument } from '../note.ts';

/** Flagger's cookie pins those who met the canary only, so its share grows with every visit. null: the Canary has none. */
export function flaggerAffinity(affinity: Field, mesh: MeshName | null): PlanDocument | null {
  if (!affinity.has()) return null;
  if (mesh !== 'istio') {
    affinity.blocks(BY_HAND.sessionAffinity);
    return null;
  }
  affinity.differs(
    'sessionAffinity: users of both versions are kept, and stable ones drawn anew at each weight, so that the share stays what the weight says; Flagger keeps only those of the canary',
  );
  const [name, age] = [affinity.at('cookieName').text(), affinity.at('maxAge').number()];
  affinity.at('cookieName').maps(`sessionAffinity.cookie: ${name ?? ''}`);
  affinity.at('primaryCookieName').ignored('one cookie tells both versions apart');
  affinity.at('domain').unsupported('the cookie is for the host that was asked');
  const maxAge = age === undefined ? null : written(clamped(age * SECOND, SECOND, 30 * DAY));
  affinity.at('maxAge').maps(`sessionAffinity.maxAge: ${maxAge ?? ''}`);
  return { ...(name === undefined ? {} : { cookie: name }), ...(maxAge === null ? {} : { maxAge }) };
}
