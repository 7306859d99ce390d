/** `sluice plan lint`: the service's own reader and schema of a plan, without a server and without the cluster's client. */
import { planFindings } from '../../app/plan-findings.ts';
import type { Finding } from '../../app/usecases.ts';
import { duration } from '../../domain/format.ts';
import type { Plan } from '../../domain/plan.ts';
import type { Call } from '../command.ts';
import type { Ending } from '../exit-codes.ts';
import { offlineParser } from '../offline-parser.ts';
import type { PlanFile, PlanProblem } from '../plan-file.ts';
import { problemLines, readPlan } from '../plan-file.ts';
import { printDocument } from '../show/data.ts';
import { levelMark } from '../show/marks.ts';

export async function run(call: Call): Promise<Ending> {
  const plan = await readPlan(call);
  const parser = await offlineParser();
  const parsed = parser.parse(plan.document);
  const problems = parsed.ok ? [] : parsed.problems;
  const { output, terminal } = call;
  const warnings = parsed.ok ? planFindings(parsed.plan) : [];
  if (output !== null) await printDocument(terminal, output, documentOf(plan, problems, warnings), []);
  else if (parsed.ok) {
    terminal.line(`${plan.name}: valid (by the schema of ${call.version}): ${summary(parsed.plan)}`, 'good');
    for (const { check, message } of warnings)
      terminal.line([levelMark('warn', terminal.unicode), ` ${check}: ${message}`]);
  } else for (const line of problemLines(plan, problems)) terminal.line(line, 'bad');
  return parsed.ok ? 'done' : 'refused';
}

const documentOf = (plan: PlanFile, problems: readonly PlanProblem[], warnings: readonly Finding[]) => ({
  valid: problems.length === 0,
  warnings: warnings.map(({ check, message }) => ({ check, message })),
  problems: problems.map(({ pointer, code, message }) => {
    const { line, column } = plan.placeOf(pointer);
    return { pointer, code, message, line, column };
  }),
});

function summary({ target, steps, analysis }: Plan): string {
  const holds = steps.reduce((sum, { hold }) => sum + hold, 0);
  const approvals = steps.filter(({ approval }) => approval === 'required').length;
  return [
    `${target.service} by ${target.mesh}, ${steps.map(({ weight }) => `${weight} %`).join(', ')}`,
    `at least ${holds === 0 ? '0 s' : duration(holds)}`,
    ...(approvals === 0 ? [] : [`${approvals} approval${approvals === 1 ? '' : 's'}`]),
    ...(analysis.evidence === null ? ['no comparison'] : [`comparison: ${analysis.evidence.mode}`]),
    `checks: ${analysis.checks.length === 0 ? 'none' : analysis.checks.map(({ name }) => name).join(', ')}`,
  ].join('; ');
}
