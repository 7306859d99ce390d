/** A scope in its two columns. */
import type { Principal, Scope } from '../../app/ports.ts';

/** null in both: the caller may change everything that its role may. */
export const scopeOf = ({ namespaces, services }: Scope): Pick<Principal, 'scope'> =>
  namespaces === null && services === null ? {} : { scope: { namespaces, services } };

export const NO_SCOPE: Scope = { namespaces: null, services: null };
