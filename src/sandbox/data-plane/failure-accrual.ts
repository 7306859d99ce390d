/** Circuit breaking of a caller's Linkerd proxy: a pod that fails in a row is left out, and probed with one request after a while. */
import type { KubeObject } from '../../adapters/kubernetes/kube.ts';
import type { Random } from './random.ts';
import type { Destination } from './routing.ts';
import { milliseconds } from './routing.ts';

/** Times in milliseconds. */
export interface Accrual {
  readonly maxFailures: number;
  readonly minPenalty: number;
  readonly maxPenalty: number;
  /** Share of the penalty that chance adds at most. */
  readonly jitterRatio: number;
}

const PREFIX = 'balancer.linkerd.io/failure-accrual';

/**
 * From the annotations of the Service that callers name, which hold for all backends of its routes. Another mode than
 * `consecutive` is taken for none.
 */
export function accrualOf(services: readonly KubeObject[], { service, namespace }: Destination): Accrual | null {
  const found = services.find(({ metadata }) => metadata.name === service && metadata.namespace === namespace);
  const annotations = found?.metadata.annotations ?? {};
  if (annotations[PREFIX] !== 'consecutive') return null;
  const of = (name: string): string | undefined => annotations[`${PREFIX}-consecutive-${name}`];
  return {
    maxFailures: Number(of('max-failures') ?? 7),
    minPenalty: milliseconds(of('min-penalty') ?? '1s') ?? 1000,
    maxPenalty: milliseconds(of('max-penalty') ?? '1m') ?? 60_000,
    jitterRatio: Number(of('jitter-ratio') ?? 0.5),
  };
}

interface Circuit {
  failures: number;
  /** Penalties since the pod was last well. */
  trips: number;
  /** null: closed. */
  until: number | null;
  probing: boolean;
}

export interface Breakers {
  available<T extends { readonly pod: string }>(pods: readonly T[], now: number): readonly T[];
  /** A request goes out: where the pod was tripped, this one is the probe. */
  sending(pod: string): void;
  record(pod: string, failed: boolean, now: number): void;
}

export function openBreakers({ maxFailures, minPenalty, maxPenalty, jitterRatio }: Accrual, random: Random): Breakers {
  const circuits = new Map<string, Circuit>();
  const circuitOf = (pod: string): Circuit => {
    const found = circuits.get(pod);
    if (found !== undefined) return found;
    const made: Circuit = { failures: 0, trips: 0, until: null, probing: false };
    circuits.set(pod, made);
    return made;
  };
  return {
    available: (pods, now) =>
      pods.filter(({ pod }) => {
        const circuit = circuits.get(pod);
        return circuit === undefined || circuit.until === null || (!circuit.probing && now >= circuit.until);
      }),
    sending(pod) {
      const circuit = circuitOf(pod);
      if (circuit.until !== null) circuit.probing = true;
    },
    record(pod, failed, now) {
      const circuit = circuitOf(pod);
      if (!failed) {
        Object.assign(circuit, { failures: 0, trips: 0, until: null, probing: false });
        return;
      }
      circuit.failures += 1;
      const probe = circuit.probing;
      circuit.probing = false;
      if (!probe && (circuit.until !== null || circuit.failures < maxFailures)) return;
      const penalty = Math.min(minPenalty * 2 ** circuit.trips, maxPenalty);
      circuit.until = now + penalty * (1 + jitterRatio * random());
      circuit.trips += 1;
    },
  };
}
