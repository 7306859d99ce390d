/** `sluice plan backtest`: would this plan have rolled back the stable version's own past, and what would it have caught? */
import type { BackTestBody } from '../../http/analysis-schemas.ts';
import { PATIENCE } from '../call.ts';
import type { Call } from '../command.ts';
import type { Ending } from '../exit-codes.ts';
import { endingOfProblem } from '../exit-codes.ts';
import { Failure } from '../failure.ts';
import { readPlan } from '../plan-file.ts';
import { refusedPlan } from '../refused-plan.ts';
import { printDocument } from '../show/data.ts';
import { findingLines } from '../show/findings.ts';
import { documentLines } from '../show/generic.ts';
import type { Line } from '../show/line.ts';
import { bodyOf } from '../wire/api.ts';
import { problemOf } from '../wire/problem.ts';

const USUAL_PAST = '4h';

export async function run(call: Call): Promise<Ending> {
  call.duration('past');
  const plan = await readPlan(call);
  // They are made one after the other: 429 says when there may be room.
  const api = await call.api(PATIENCE.command);
  const heard = await api.backtest(plan.sent, call.text('past') ?? USUAL_PAST);
  if (heard === null) throw new Failure('unreachable', 'plan backtest: no answer');
  const { answer } = heard;
  if (answer.status >= 300) {
    if (endingOfProblem(problemOf(answer)?.code ?? null, answer.status) === 'not_offered')
      throw new Failure('not_offered', 'this server makes no back-tests; nothing was done', [
        'sluice plan dry-run   says what each check measures of the stable version now',
      ]);
    throw refusedPlan(answer, plan, 'plan backtest', 'plan dry-run');
  }
  const body = bodyOf<Partial<BackTestBody>>(answer, 'plan backtest');
  const { output, terminal } = call;
  if (output !== null) await printDocument(terminal, output, body, []);
  else for (const line of [...warnings(body, terminal.unicode), ...documentLines(body)]) terminal.line(line);
  return 'done';
}

/** What is to be known before any figure is read. */
const warnings = ({ findings = [] }: Partial<BackTestBody>, unicode: boolean): readonly Line[] =>
  findingLines(
    findings.filter(({ level }) => level !== 'pass'),
    unicode,
  );
