/** What a plan may ask of the worker and of its mesh, and which checks a policy may name. */
import type { MeshModule } from '../adapters/mesh.ts';
import { capabilityMatrix, meshFor } from '../adapters/registry.ts';
import type { Prober } from '../app/ports.ts';
import { UnknownName } from '../app/ports.ts';
import { missingCapability } from '../domain/capabilities.ts';
import type { Target } from '../domain/plan.ts';
import type { Preparation } from '../domain/preparation.ts';
import { PREPARATIONS } from '../domain/preparation.ts';
import type { Temporary } from '../domain/temporary.ts';

/** What the mesh cannot carry, what this service does not write to its object, what a plan may not ask of the worker. */
export function stepObjection(
  meshes: ReadonlyMap<string, MeshModule>,
  { objection }: Prober,
  asked: Temporary | Preparation,
  target: Target,
): string | null {
  const { kind } = asked;
  const missing = missingCapability(capabilityMatrix(meshes), { mesh: target.mesh, proxy: target['proxy'] }, asked);
  if (missing !== null) return missing.message;
  const mesh = meshFor(meshes, target.mesh);
  if (isPreparation(asked)) return null;
  if (!(mesh.adds ?? []).includes(asked.kind)) {
    const able = [...meshes.values()].filter((one) => one.adds?.includes(asked.kind)).map((one) => one.kind);
    return `a ${kind} step is not written to the object of mesh ${target.mesh} by this version of Sluice; it is for ${able.join(', ')}. Take the step out of the plan`;
  }
  return asked.kind === 'faultRehearsal' ? objection(asked.probe.url, target) : null;
}

const isPreparation = (asked: Temporary | Preparation): asked is Preparation =>
  PREPARATIONS.some((kind) => kind === asked.kind);

/** A misspelt name in the policy would leave the check that is meant without one. */
export function knownChecks(named: readonly string[], known: readonly string[]): void {
  const unknown = named.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new UnknownName('mesh check in SLUICE_PREFLIGHT_SEVERITY', unknown, known);
}
