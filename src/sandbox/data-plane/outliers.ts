/**
 * Outlier detection of one caller's proxy for one destination: pods that fail in a row are left out for a while. Ejected at
 * once when the count is reached, taken back at a tick of `interval` after their time is over.
 */

/** Times in milliseconds. A count of 0 is off. */
export interface OutlierDetection {
  readonly consecutive5xx: number;
  /** Of 502, 503 and 504. */
  readonly consecutiveGateway: number;
  /** Failures without an answer, counted apart; null: they count as 5xx. */
  readonly consecutiveLocal: number | null;
  readonly interval: number;
  /** Times the number of ejections so far. */
  readonly baseEjection: number;
  readonly maxEjection: number;
  /** No further pod is ejected once this share of them is. */
  readonly maxEjectionPercent: number;
  /** With fewer pods left than this, all of them are used. */
  readonly minHealthPercent: number;
}

interface Host {
  errors: number;
  gatewayErrors: number;
  localErrors: number;
  ejections: number;
  /** null: not ejected. */
  ejectedAt: number | null;
}

export interface Outliers {
  /** Pods that may be sent to at `now`. Empty: no healthy upstream. */
  available<T extends { readonly pod: string }>(pods: readonly T[], now: number): readonly T[];
  /** `status`: of the answer; null: there was none. `pods`: how many the destination has. */
  record(pod: string, status: number | null, pods: number, now: number): void;
}

export function openOutliers(wanted: OutlierDetection, startedAt: number): Outliers {
  const hosts = new Map<string, Host>();
  let ticked = startedAt;

  const hostOf = (pod: string): Host => {
    const found = hosts.get(pod);
    if (found !== undefined) return found;
    const made = { errors: 0, gatewayErrors: 0, localErrors: 0, ejections: 0, ejectedAt: null };
    hosts.set(pod, made);
    return made;
  };

  const tick = (at: number): void => {
    for (const host of hosts.values()) {
      if (host.ejectedAt === null) {
        // A pod that stays well is slowly forgiven.
        if (host.ejections > 0) host.ejections -= 1;
        continue;
      }
      const time = Math.min(wanted.baseEjection * host.ejections, wanted.maxEjection);
      if (at - host.ejectedAt < time) continue;
      Object.assign(host, { ejectedAt: null, errors: 0, gatewayErrors: 0, localErrors: 0 });
    }
  };

  /** All ticks that are due. */
  const advance = (now: number): void => {
    for (; now - ticked >= wanted.interval; ticked += wanted.interval) tick(ticked + wanted.interval);
  };

  const eject = (host: Host, pods: number, now: number): void => {
    const out = [...hosts.values()].filter(({ ejectedAt }) => ejectedAt !== null).length;
    if ((100 * out) / Math.max(1, pods) >= wanted.maxEjectionPercent) return;
    host.ejectedAt = now;
    host.ejections += 1;
  };

  const reached = (count: number, limit: number): boolean => limit > 0 && count >= limit;

  return {
    available(pods, now) {
      // A pod that is gone is not among the ejected ones: with it, its successors could not be ejected.
      for (const pod of hosts.keys()) if (!pods.some((one) => one.pod === pod)) hosts.delete(pod);
      advance(now);
      const left = pods.filter(({ pod }) => (hosts.get(pod)?.ejectedAt ?? null) === null);
      const panic = (100 * left.length) / Math.max(1, pods.length) < wanted.minHealthPercent;
      return panic ? pods : left;
    },
    record(pod, status, pods, now) {
      advance(now);
      const host = hostOf(pod);
      if (status === null && wanted.consecutiveLocal !== null) {
        host.localErrors += 1;
        if (host.ejectedAt === null && reached(host.localErrors, wanted.consecutiveLocal)) eject(host, pods, now);
        return;
      }
      const code = status ?? 503;
      host.localErrors = 0;
      host.errors = code >= 500 ? host.errors + 1 : 0;
      host.gatewayErrors = code >= 502 && code <= 504 ? host.gatewayErrors + 1 : 0;
      const failing =
        reached(host.errors, wanted.consecutive5xx) || reached(host.gatewayErrors, wanted.consecutiveGateway);
      if (host.ejectedAt === null && failing) eject(host, pods, now);
    },
  };
}
