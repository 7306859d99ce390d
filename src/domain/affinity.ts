/**
 * Session affinity that does not drift: who met the canary stays with it, and at every weight just that share of the users
 * is with it, whether they come for the first time or come back.
 *
 * A cookie says which version a user was given and at which weight. Where the weight has risen since, a user of the stable
 * version is divided once more: of 100 users, `then` went to the canary before, so of the `100 - then` that are left it needs
 * `now - then` to have `now`. Pinning the canary's users alone would take everybody there in time, and pinning both for ever
 * would keep a raised weight from those who come back.
 */
import type { Millis, Plan, Role, Weight } from './plan.ts';

/** The cookie by which users keep their version. It holds no secret: who forges one only chooses their own version. */
export interface SessionAffinity {
  readonly cookie: string;
  /** Since the last request; every answer renews it. */
  readonly maxAge: Millis;
  readonly path: string;
  /** Browsers send it over HTTPS only. */
  readonly secure: boolean;
  readonly sameSite: 'Lax' | 'Strict' | 'None';
}

export interface Affinity extends SessionAffinity {
  readonly kind: 'sessionAffinity';
  /** Canary weights so far, rising; the last one is that of now. Each above 0 and below 100. */
  readonly weights: readonly Weight[];
}

/** How the requests that carry one value of the cookie are divided; whole numbers, whose sum need not be 100. */
export interface Division {
  /** null: none of this rollout. */
  readonly carries: string | null;
  readonly stable: number;
  readonly canary: number;
}

/** What a rollout's cookie says. A stable version is only as good as the weight at which it was drawn. */
export const cookieValue = (rollout: string, role: Role, weight: Weight): string =>
  role === 'canary' ? `${rollout}.canary` : `${rollout}.stable.${weight}`;

/** In the order in which they are asked: the first whose value a request carries divides it. */
export function divisions(rollout: string, weights: readonly Weight[]): readonly Division[] {
  const now = weights.at(-1) ?? 0;
  return [
    { carries: cookieValue(rollout, 'canary', now), stable: 0, canary: 100 },
    { carries: cookieValue(rollout, 'stable', now), stable: 100, canary: 0 },
    ...weights.slice(0, -1).map((then) => ({
      carries: cookieValue(rollout, 'stable', then),
      stable: 100 - now,
      canary: now - then,
    })),
    { carries: null, stable: 100 - now, canary: now },
  ];
}

/** null: nobody is to be kept. Without a weight the canary has no users, and at 100 % it has all of them. */
export function affinityAt({ steps, sessionAffinity }: Plan, step: number): Affinity | null {
  if (sessionAffinity === undefined || step >= steps.length) return null;
  const weights = [...new Set(steps.slice(0, step + 1).map(({ weight }) => weight))].filter((weight) => weight > 0);
  const now = weights.at(-1);
  return now === undefined || now >= 100 ? null : { kind: 'sessionAffinity', ...sessionAffinity, weights };
}
