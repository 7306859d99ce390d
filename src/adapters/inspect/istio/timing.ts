/** Time-outs and retries of a rule, as its proxies take them. Pure. */
import { parseDuration } from '../../../app/duration.ts';
import type { Millis } from '../../../domain/plan.ts';
import { expandHost } from '../../routes/hosts.ts';
import { isRecord, numberAt, recordAt, textAt } from '../../routes/json.ts';
import { destinationsOf, type Route } from './route.ts';

export interface Timing {
  /** Position of the rule in spec.http. */
  readonly index: number;
  readonly isMoved: boolean;
  /** Of the request with all its retries; null: none. */
  readonly timeout: Millis | null;
  /** Of one attempt; null: the whole time-out. */
  readonly perTry: Millis | null;
  /** null: `retries` is not written, and Istio retries twice. */
  readonly attempts: number | null;
  /** null: Istio's default conditions. */
  readonly retryOn: string | null;
}

/** Istio retries so often where a rule says nothing. */
export const DEFAULT_ATTEMPTS = 2;

/** Absent, or "0s", which is Istio's way to say none: null. */
function durationAt(value: unknown, field: string): Millis | null {
  const millis = parseDuration(textAt(value, field) ?? '');
  return millis === null || millis <= 0 ? null : millis;
}

/** Of every http rule that leads to one of the two versions. tls and tcp rules have none. */
export function timingsOf({ rules, moved, protocol, target }: Route): readonly Timing[] {
  if (protocol !== 'http') return [];
  const hosts = [target.stable.host, target.canary.host].map((host) => expandHost(host, target.namespace));
  return rules.flatMap((rule, index) => {
    const leads = destinationsOf(rule).some((to) =>
      hosts.includes(expandHost(textAt(to, 'host') ?? '', target.namespace)),
    );
    if (!leads) return [];
    const retries = recordAt(rule, 'retries');
    return [
      {
        index,
        isMoved: moved.some((one) => one.rule.index === index),
        timeout: durationAt(rule, 'timeout'),
        perTry: durationAt(retries, 'perTryTimeout'),
        attempts: isRecord(rule) && isRecord(rule['retries']) ? (numberAt(retries, 'attempts') ?? 0) : null,
        retryOn: textAt(retries, 'retryOn'),
      },
    ];
  });
}
