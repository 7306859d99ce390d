/** A plan that the server refuses, told with the lines of the file it came from. */
import { Failure } from './failure.ts';
import type { PlanFile } from './plan-file.ts';
import { ofServer, problemLines } from './plan-file.ts';
import { indented } from './show/line.ts';
import { problemOf, refusal } from './wire/problem.ts';
import type { Answer } from './wire/wire.ts';

const remedy = (words: string | undefined): readonly string[] => (words === undefined ? [] : indented(words, 2));

/** `dryRun`: the command that shows every finding; null: none does. */
export function refusedPlan(answer: Answer, plan: PlanFile, of: string, dryRun: string | null): Failure {
  const problem = problemOf(answer);
  const failure = refusal(answer, of, problem);
  if (problem === null) return failure;
  const told = (message: string, advice: readonly string[] = failure.advice): Failure =>
    new Failure(failure.ending, message, advice, failure.document);
  switch (problem.code) {
    case 'invalid_plan':
    case 'invalid_migration':
    case 'unsupported_step':
    case 'invalid_body':
    case 'malformed_body': {
      const lines = problemLines(plan, ofServer(problem.errors));
      return lines.length === 0 ? failure : told([`${problem.title}; nothing was started`, ...lines].join('\n'));
    }
    case 'preflight_failed': {
      const failed = problem.findings.filter(({ level, ignored }) => level === 'fail' && ignored !== true);
      return told(
        [
          `${problem.title}; nothing was started`,
          ...failed.flatMap((f) => [`${f.check}: ${f.message}`, ...remedy(f.remediation)]),
        ].join('\n'),
        dryRun === null ? [] : [`sluice ${dryRun} shows every finding`],
      );
    }
    case 'rollout_in_progress': {
      const id = problem.rollout?.id;
      return id === undefined
        ? failure
        : told(`${problem.title}: ${problem.detail}`, [
            `sluice wait ${id}   follows it; sluice abort ${id}   ends it`,
            'onConflict in the plan: join, supersede or queue, instead of reject',
          ]);
    }
    default:
      return failure;
  }
}
