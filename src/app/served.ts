/**
 * What a plan asks for, held against the version of the mesh's API that its cluster serves. The plan's schema has held it
 * against the newest one: it has no cluster to ask.
 */
import { affinityAt } from '../domain/affinity.ts';
import type { Asked, MeshCapabilities } from '../domain/capabilities.ts';
import { missingCapability } from '../domain/capabilities.ts';
import type { Plan, Target } from '../domain/plan.ts';
import type { ServedVersion } from './ports.ts';
import type { Finding, Problem } from './usecases.ts';

export interface ServedPorts {
  readonly matrix: readonly MeshCapabilities[];
  /** Kept for a minute or so: it is asked at every start. */
  version(target: Target): Promise<ServedVersion>;
}

export interface HeldAgainst {
  /** What that version cannot carry; pointers into the plan. */
  readonly unsupported: readonly Problem[];
  /** At most one; none where the plan asks for nothing beside weights. */
  readonly findings: readonly Finding[];
}

const CHECK = 'served-version';
const NOTHING: HeldAgainst = { unsupported: [], findings: [] };

/** A cluster that cannot be asked refuses nothing: whatever it does not keep is found when it is written. */
export async function heldAgainstServed(ports: ServedPorts | undefined, plan: Plan): Promise<HeldAgainst> {
  const asked = askedOf(plan);
  if (ports === undefined || asked.length === 0) return NOTHING;
  const { target } = plan;
  const served = await ports.version(target);
  if (!served.ok) {
    const message = `which version of the mesh's API cluster ${target.cluster} serves is not known (${served.message}): what the plan asks for beside weights was held against the newest one only`;
    return { unsupported: [], findings: [{ check: CHECK, level: 'unknown', message }] };
  }
  const { apiVersion } = served;
  const carrier = { mesh: target.mesh, proxy: target['proxy'], apiVersion };
  const unsupported = asked.flatMap(({ pointer, what }): readonly Problem[] => {
    const missing = missingCapability(ports.matrix, carrier, what);
    return missing === null
      ? []
      : [{ pointer, code: missing.code, message: `cluster ${target.cluster}: ${missing.message}` }];
  });
  if (unsupported.length > 0) return { unsupported, findings: [] };
  const kinds = [...new Set(asked.map(({ what }) => what.kind))].join(', ');
  const message = `cluster ${target.cluster} serves ${apiVersion}, which carries ${kinds}`;
  return { unsupported, findings: [{ check: CHECK, level: 'pass', message, evidence: { apiVersion } }] };
}

/** What the mesh object has to carry beside weights, and where the plan says so. */
function askedOf(plan: Plan): readonly { readonly pointer: string; readonly what: Asked }[] {
  const steps = plan.steps.flatMap(({ adds, prepares }, step) =>
    [adds, prepares].flatMap((what) => (what === undefined ? [] : [{ pointer: `/steps/${step}/${what.kind}`, what }])),
  );
  const keeps = plan.steps.some((_, step) => affinityAt(plan, step) !== null);
  return keeps ? [...steps, { pointer: '/sessionAffinity', what: { kind: 'sessionAffinity' } }] : steps;
}
