/** Role-based access control: which bearer token may do what. Off unless tokens are given. */
import { forbidden, unauthorized } from './refusal.ts';

export interface PolicyRule {
  readonly apiGroups: readonly string[];
  /** Plurals, `deployments/status` for subresources, '*'. */
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
  /** Only in these namespaces (a Role); everywhere if absent (a ClusterRole). */
  readonly namespaces?: readonly string[];
}

export interface Account {
  readonly user: string;
  readonly rules: readonly PolicyRule[];
}

export interface Attributes {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly namespace: string;
  readonly name: string;
}

export interface Rbac {
  /** Account of a request. Throws a Refusal (401) for a token that nobody gave out. */
  authenticate(authorization: string | undefined): Account | null;
  allows(account: Account | null, wanted: Attributes): boolean;
  /** Throws a Refusal (403). */
  authorize(account: Account | null, wanted: Attributes): void;
  grant(token: string, account: Account): void;
  revoke(token: string): void;
}

const ANONYMOUS: Account = { user: 'system:anonymous', rules: [] };

const holds = (list: readonly string[] | undefined, value: string): boolean =>
  list === undefined || list.includes('*') || list.includes(value);

/** null: everybody may do everything. */
export function openRbac(tokens: Readonly<Record<string, Account>> | null): Rbac {
  const accounts = new Map(Object.entries(tokens ?? {}));
  let enforced = tokens !== null;

  const allows = (account: Account | null, wanted: Attributes): boolean => {
    if (!enforced) return true;
    // Everybody who is known may ask what they may do.
    if (wanted.group === 'authorization.k8s.io' && account !== null && account !== ANONYMOUS) return true;
    return (account ?? ANONYMOUS).rules.some(
      (rule) =>
        holds(rule.apiGroups, wanted.group) &&
        holds(rule.resources, wanted.resource) &&
        holds(rule.verbs, wanted.verb) &&
        holds(rule.namespaces, wanted.namespace) &&
        holds(rule.resourceNames, wanted.name),
    );
  };

  return {
    authenticate(authorization) {
      if (!enforced) return null;
      if (authorization === undefined) return ANONYMOUS;
      const account = accounts.get(authorization.replace(/^Bearer /, ''));
      if (account === undefined) throw unauthorized();
      return account;
    },
    allows,
    authorize(account, wanted) {
      if (allows(account, wanted)) return;
      throw forbidden(
        (account ?? ANONYMOUS).user,
        wanted.verb,
        wanted.group,
        wanted.resource,
        wanted.namespace,
        wanted.name,
      );
    },
    grant(token, account) {
      enforced = true;
      accounts.set(token, account);
    },
    revoke: (token) => void accounts.delete(token),
  };
}
