/**
 * What a rollout puts on the mesh object beside the weights, for as long as a step wants it: rules of its own, named after
 * it, before the rules whose weights move. Derived from the phase like the weight, written and read back with it, so every
 * way out (the end, a rollback, a killed worker's successor) takes them away in the same patch.
 */
import type { Affinity } from './affinity.ts';
import { affinityAt } from './affinity.ts';
import type { Plan } from './plan.ts';

/** One of the three. Names of headers are lower case, as proxies compare them. */
export type Match =
  | { readonly header: string; readonly exact: string }
  | { readonly header: string; readonly prefix: string }
  | { readonly header: string; readonly regex: string }
  | { readonly cookie: string; readonly exact: string };

export type Temporary = HeaderRoute | Mirror | FaultRehearsal | Affinity;

/** What of it is found on the object. `changed`: not as it was written. */
export type Standing = Temporary['kind'] | 'changed';

/** Requests that match go to the canary, whatever its weight: testers, or the B of an A/B test. */
export interface HeaderRoute {
  readonly kind: 'headerRoute';
  readonly match: Match;
}

/** A copy of so many percent of the requests goes to the canary; nobody waits for its answers. */
export interface Mirror {
  readonly kind: 'mirror';
  readonly percent: number;
  /** Also of requests that change something, which then happens twice. Absent: only of GET, HEAD and OPTIONS. */
  readonly allowUnsafeMethods?: true;
}

/** Delays and aborts of requests to the canary, only of those that carry the rollout's own mark. */
export interface FaultRehearsal {
  readonly kind: 'faultRehearsal';
  /** Both in percent of the marked requests; null: none. `time` in milliseconds, `status` an HTTP status. */
  readonly delay: { readonly percent: number; readonly time: number } | null;
  readonly abort: { readonly percent: number; readonly status: number } | null;
  readonly probe: Probe;
}

/** The requests that a rehearsal makes, and what its callers are to see of the faults. */
export interface Probe {
  /** http or https; a host of the target's namespace, or one that the installation allows. */
  readonly url: string;
  readonly requests: number;
  /** Of one request, in milliseconds. */
  readonly timeout: number;
  /** The most of the requests that may fail (5xx, or no answer), as a ratio. */
  readonly maxFailed: number;
  /** The least that must fail, as a ratio: 0 unless the rehearsal is to show that faults arrive at all. */
  readonly minFailed: number;
  /** The longest that any request may take, in milliseconds; null: no limit but the timeout. */
  readonly within: number | null;
}

export const KINDS = [
  'headerRoute',
  'mirror',
  'faultRehearsal',
  'sessionAffinity',
] as const satisfies readonly Temporary['kind'][];

/**
 * What stands beside the weight at a step: routes by header stay until the promotion, once they were added; a mirror and a
 * rehearsal are for their own step; users are kept wherever both versions have some.
 */
export function temporaryAt(plan: Plan, step: number): readonly Temporary[] {
  const { steps } = plan;
  if (step >= steps.length) return [];
  const added = steps.slice(0, step + 1).flatMap(({ adds }, index) => {
    if (adds === undefined) return [];
    return adds.kind === 'headerRoute' || index === step ? [adds] : [];
  });
  const affinity = affinityAt(plan, step);
  return affinity === null ? added : [...added, affinity];
}

/** The same kinds as often: which rules exactly is known by the router that wrote them. */
export const sameKinds = (a: readonly Standing[], b: readonly Standing[]): boolean =>
  a.length === b.length && [...a].sort().every((kind, i) => kind === [...b].sort()[i]);

/** Name under which a rehearsal's verdicts are kept beside those of the checks. */
export const REHEARSAL = 'fault-rehearsal';
/** Every proxy has learnt of a rule by then: Istio holds pushes back for up to ten seconds while there are many. */
export const PUSHED_WITHIN = 10_000;
/** Failed rehearsals in a row that roll back: proxies that learn of the faults a moment late must not. */
export const REHEARSALS = 2;

/** The rehearsal of a step; null: it has none. */
export const rehearsalAt = ({ steps }: Plan, step: number): FaultRehearsal | null => {
  const adds = steps[step]?.adds;
  return adds?.kind === 'faultRehearsal' ? adds : null;
};

/** Are the checks asked of the canary at this step? Without weight it has requests only where they are mirrored to it. */
export const isJudgedAt = ({ steps }: Plan, step: number): boolean => {
  const at = steps[step];
  return at === undefined || at.weight > 0 || at.adds?.kind === 'mirror';
};

const WORDS: Readonly<Record<Temporary['kind'], string>> = {
  headerRoute: 'route by header',
  mirror: 'mirror',
  faultRehearsal: 'fault rehearsal',
  sessionAffinity: 'session affinity',
};

export const wordsOf = ({ kind }: Temporary): string => WORDS[kind];

/** The header that marks a rehearsal's own requests; its value is the rollout's id. */
export const REHEARSAL_HEADER = 'x-sluice-rehearsal';
