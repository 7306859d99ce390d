/** Whose proxies carry a target's traffic. */
import type { Target } from '../domain/plan.ts';

export const carrierOf = (target: Target): 'istio' | 'linkerd' =>
  target.mesh === 'istio' || target['proxy'] === 'istio' ? 'istio' : 'linkerd';
