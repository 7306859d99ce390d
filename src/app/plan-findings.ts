/** What can be said against a plan that is valid, without asking anybody: warnings of the preflight, and of `sluice plan lint`. Pure. */
import { neverCompares } from '../domain/comparison.ts';
import type { Plan } from '../domain/plan.ts';
import type { Finding } from './usecases.ts';
import { weakProof } from './weak-proof.ts';

const warning = (check: string, message: string): Finding => ({ check, level: 'warn', message });

export function planFindings(plan: Plan): readonly Finding[] {
  const { checks, evidence, guards = [] } = plan.analysis;
  const findings: Finding[] = [];
  if (checks.length === 0 && evidence === null) {
    const judges =
      guards.length === 0 ? 'only time and pod health decide' : 'only time, pod health and its guards decide';
    findings.push(warning('analysis', `the plan has no checks and no comparison: ${judges}`));
  }
  if (evidence !== null && plan.steps.some(({ weight }) => weight === 100))
    findings.push(
      warning(
        'comparison',
        `at 100 % the stable version has no requests to compare with: there only the checks' own limits and the guards judge${neverCompares(plan) ? ', and no step before gives both versions requests' : ''}`,
      ),
    );
  if (evidence !== null) findings.push(...weakProof(evidence));
  const last = plan.steps.at(-1);
  if (last !== undefined && last.weight < 50)
    findings.push(warning('steps', `the last step has ${last.weight} % and promotion goes straight to 100 %`));
  return findings;
}
