/** What the three kinds of route objects have in common: rules in order of precedence, each with weighted destinations. */

/** One request, as a route sees it. */
export interface Asked {
  readonly method: string;
  /** Host header without port. */
  readonly host: string;
  /** Without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>;
}

/** Where a rule sends a request: a Service, or a subset of one. */
export interface Destination {
  readonly service: string;
  readonly namespace: string;
  readonly subset: string | null;
}

export interface Weighted {
  readonly destination: Destination;
  /** Above 0. */
  readonly weight: number;
  /** On top of the rule's own; null: none. */
  readonly headers: HeaderEdits | null;
}

/** Of one message. Names in lower case. */
export interface HeaderEdit {
  readonly set: Readonly<Record<string, string>>;
  readonly add: Readonly<Record<string, string>>;
  readonly remove: readonly string[];
}

export interface HeaderEdits {
  readonly request: HeaderEdit;
  readonly response: HeaderEdit;
}

/** A copy of the share of requests, whose answer nobody waits for. */
export interface Mirror {
  readonly destination: Destination;
  /** 0 to 1. */
  readonly share: number;
}

/** What the caller's proxy does to a share of requests before it chooses a pod. Shares from 0 to 1, the delay in milliseconds. */
export interface Fault {
  readonly delay: { readonly share: number; readonly fixed: number } | null;
  readonly abort: { readonly share: number; readonly status: number } | null;
}

export interface Retries {
  /** Attempts after the first. */
  readonly attempts: number;
  readonly perTryTimeout: number | null;
  readonly on: ReadonlySet<string>;
}

export interface RouteObject {
  readonly group: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/** What the proxies of both sides count a request by where a profile speaks of it. */
export interface ProfileRoute {
  /** "myapp.production.svc.cluster.local:80" */
  readonly dst: string;
  /** null: no route of the profile matches, and the series has no such label. */
  readonly route: string | null;
  isFailure(status: number): boolean;
}

export interface Rule {
  readonly object: RouteObject;
  /** For people: "route api", "rule 1". */
  readonly name: string;
  readonly matches: (asked: Asked) => boolean;
  /** Empty: the rule answers 500, as the Gateway API wants of a rule without a usable backend. */
  readonly backends: readonly Weighted[];
  /** Whole request with all attempts, in milliseconds; null: no limit. */
  readonly timeout: number | null;
  readonly retries: Retries | null;
  readonly headers: HeaderEdits | null;
  readonly mirrors: readonly Mirror[];
  readonly fault: Fault | null;
  /** The route of a ServiceProfile by which both proxies count the request. Absent: no profile speaks of it. */
  readonly profile?: ProfileRoute;
}

/** What a rule has that only sends on. */
export const PLAIN = { timeout: null, retries: null, headers: null, mirrors: [], fault: null } as const;

/** For a host that no route object speaks of. */
export const straightTo = (object: RouteObject, destination: Destination): Rule => ({
  ...PLAIN,
  object,
  name: 'no route object',
  matches: () => true,
  backends: [{ destination, weight: 1, headers: null }],
});

/** The object has something that this data plane does not do. It keeps what it had, as a proxy does that refuses a new configuration. */
export class UnsupportedRoute extends Error {
  constructor(object: RouteObject, what: string) {
    super(`${object.kind} ${object.namespace}/${object.name}: the sandbox's data plane does not know ${what}`);
    this.name = 'UnsupportedRoute';
  }
}

export const fqdn = (service: string, namespace: string): string => `${service}.${namespace}.svc.cluster.local`;

/** "30s", "1.5s", "500ms", "1m", "1h" in milliseconds; "0s": no limit. */
export function milliseconds(text: string): number | null {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s)/g)];
  if (parts.length === 0 || parts.map((part) => part[0]).join('') !== text)
    throw new Error(`wanted a duration like "30s"; found ${JSON.stringify(text)}`);
  const unit: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };
  const total = parts.reduce((sum, [, amount, name]) => sum + Number(amount) * (unit[name ?? ''] ?? 0), 0);
  return total === 0 ? null : total;
}

/** RE2 as Istio and the Gateway API use it: the whole value must match. `(?i)` at the start holds for all of it. */
export function wholeMatch(pattern: string): RegExp {
  const [, flags = '', rest = pattern] = /^\(\?([ims]+)\)(.*)$/s.exec(pattern) ?? [];
  const whole = `^(?:${rest})$`;
  try {
    return new RegExp(whole, `${flags}u`);
  } catch {
    // RE2 takes escapes that JavaScript only takes without Unicode: "\-".
    return new RegExp(whole, flags);
  }
}

/** Prefix by whole path elements, as the Gateway API wants: "/a" matches "/a" and "/a/b", not "/ab". */
export const elementPrefix = (path: string, prefix: string): boolean => {
  const bare = prefix.endsWith('/') ? prefix.slice(0, -1) : prefix;
  return path === bare || path.startsWith(`${bare}/`);
};
