/** Which Service a request was for, where no pod of it answered. Pure. */
import type { Target } from '../../domain/plan.ts';
import type { ByService } from '../mesh.ts';

/** A Service, told apart by name and namespace: the cluster's domain is the same for all of them. */
export interface Called {
  readonly name: string;
  readonly namespace: string;
}

/** `myapp`, `myapp.production`, `myapp.production.svc.cluster.local`, with or without a port; null: no Service's name. */
export function calledBy(host: string, callersNamespace: string): Called | null {
  const [name = '', namespace = callersNamespace, svc = 'svc'] = host.replace(/:\d+$/, '').split('.');
  return name === '' || svc !== 'svc' ? null : { name, namespace };
}

/**
 * Under which names the canary's requests are lost: the name of its own host, and that of the service, because a proxy
 * that has no such destination at all knows only what the caller asked for. Where both versions have one host, a lost
 * request may have been the stable's: the judge weighs that.
 */
export function calledFor({ hosts }: ByService, target: Target): readonly Called[] {
  const own = hosts.map((field) => target.canary[field]).find((host) => typeof host === 'string');
  const found = [own, target.service].flatMap((host) => {
    const called = typeof host === 'string' ? calledBy(host, target.namespace) : null;
    return called === null ? [] : [called];
  });
  const [first, second] = found;
  return first?.name === second?.name && first?.namespace === second?.namespace ? found.slice(0, 1) : found;
}
