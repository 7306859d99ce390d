/** What stands around the route, held against a plan: asked before a rollout is accepted, and again before one that has waited begins. */
import type { Refusal } from '../domain/observation.ts';
import type { Plan } from '../domain/plan.ts';
import type { MeshInspector, MeshValidator } from './ports.ts';
import { refuses } from './severity.ts';
import type { Finding } from './usecases.ts';

export interface MeshFindingsPorts {
  readonly inspector: Pick<MeshInspector, 'target'>;
  /** Absent: nobody else is asked. */
  readonly validator?: MeshValidator;
}

/** Only reads, within the deadlines of those who are asked. */
export async function meshFindings(
  { inspector, validator }: MeshFindingsPorts,
  plan: Plan,
): Promise<readonly Finding[]> {
  const [inspected, validated] = await Promise.all([
    inspector.target(plan.target, plan.preflight?.severity ?? {}, routesOf(plan)),
    validator?.findings(plan.target) ?? [],
  ]);
  return [...inspected.map((one) => asPrepared(plan, one)), ...validated];
}

/** Those that refuse the plan. */
export const refusalsOf = async (ports: MeshFindingsPorts, plan: Plan): Promise<readonly Refusal[]> =>
  (await meshFindings(ports, plan)).filter(refuses).map(({ check, message }) => ({ check, message }));

/** Those that its checks name, each once. */
const routesOf = ({ analysis }: Plan): readonly string[] => [
  ...new Set(analysis.checks.flatMap(({ route }) => (route === undefined ? [] : [route]))),
];

/**
 * A subset that the plan itself defines is missing by intention. One that another rollout defined for its own pods goes with
 * that rollout, before this one begins; should it stay, the step refuses it.
 */
function asPrepared({ steps }: Plan, found: Finding): Finding {
  const defines = steps.some(({ prepares }) => prepares?.kind === 'ensureSubset');
  if (!defines || found.level !== 'fail') return found;
  const { remediation: _, ...rest } = found;
  const { missing, madeBy } = found.evidence ?? {};
  if (missing === 'subset')
    return { ...rest, level: 'pass', message: `${found.message}: the ensureSubset step defines it first` };
  return typeof madeBy === 'string'
    ? {
        ...rest,
        level: 'warn',
        message: `${found.message}; rollout ${madeBy} defined it and takes it away before this one begins`,
      }
    : found;
}
