/** Plans that compare canary and stable, and made-up pasts of a service. */
import { DEFAULTS } from '../../src/domain/evidence/settings.ts';
import type { EvidencePlan } from '../../src/domain/plan.ts';

/** What a plan that only says "compare" means. */
export const anEvidencePlan = (part: Partial<EvidencePlan> = {}): EvidencePlan => ({
  provider: 'prometheus',
  mode: 'auto',
  alpha: DEFAULTS.alpha,
  beta: DEFAULTS.beta,
  block: null,
  warmUp: null,
  errors: { margin: DEFAULTS.errors.margin, tolerance: DEFAULTS.errors.tolerance },
  latency: { margin: DEFAULTS.latency.margin, tolerance: DEFAULTS.latency.tolerance, bounds: null },
  safety: DEFAULTS.safety,
  bake: 0,
  unproven: { after: 1_800_000, then: 'pause' },
  ...part,
});
