/** What a check's result is worth, by the installation's policy and the plan's wish. Pure. */
import type { Severities, Severity } from '../domain/plan.ts';
import type { MeshFinding } from './ports.ts';

export const SEVERITIES = ['fail', 'warn', 'ignore'] as const satisfies readonly Severity[];

const STRICT: Readonly<Record<Severity, number>> = { ignore: 0, warn: 1, fail: 2 };

/** A plan may be stricter than the installation, never milder; of a check that the installation does not name it may say what it likes. */
export function severityOf(check: string, installation: Severities, plan: Severities): Severity | null {
  const own = installation[check];
  const wished = plan[check];
  if (own === undefined) return wished ?? null;
  return wished === undefined || STRICT[own] >= STRICT[wished] ? own : wished;
}

/**
 * The result as it counts; null: nobody says anything of this check, and its own status counts.
 * What passed has passed, and what could not be looked at stays unknown: no policy makes a refusal of a missing answer.
 */
export function weighed(finding: MeshFinding, severity: Severity | null): MeshFinding {
  const { level } = finding;
  if (severity === null || level === 'pass') return finding;
  if (severity === 'ignore') return { ...finding, ignored: true };
  return level === 'unknown' ? finding : { ...finding, level: severity };
}

/** The same of a check that nobody makes milder: a wish counts only where it is stricter. */
export function weighedStricter(finding: MeshFinding, severity: Severity | null): MeshFinding {
  return severity === 'fail' ? weighed(finding, severity) : finding;
}

/** Does it keep the rollout from starting? */
export const refuses = ({ level, ignored }: Pick<MeshFinding, 'level' | 'ignored'>): boolean =>
  level === 'fail' && ignored !== true;

/** Is it written down with the rollout? */
export const isRecorded = ({ level, ignored }: Pick<MeshFinding, 'level' | 'ignored'>): boolean =>
  (level === 'warn' || level === 'unknown') && ignored !== true;
