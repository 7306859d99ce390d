/** `sluice plan dry-run`. */
import { count, duration, plain } from '../../domain/format.ts';
import { PATIENCE } from '../call.ts';
import type { Call } from '../command.ts';
import type { Ending } from '../exit-codes.ts';
import { Failure } from '../failure.ts';
import { readPlan } from '../plan-file.ts';
import { refusedPlan } from '../refused-plan.ts';
import { printDocument } from '../show/data.ts';
import { findingLines } from '../show/findings.ts';
import { documentLines } from '../show/generic.ts';
import type { Line } from '../show/line.ts';
import { table, toned } from '../show/line.ts';
import { percentOf } from '../show/words.ts';
import type { DryRunBody } from '../wire/api.ts';
import { bodyOf } from '../wire/api.ts';

export async function run(call: Call): Promise<Ending> {
  const plan = await readPlan(call);
  const api = await call.api(PATIENCE.look);
  const heard = await api.dryRun('rollouts', plan.sent);
  if (heard === null) throw new Failure('unreachable', 'plan dry-run: no answer');
  if (heard.answer.status >= 300) throw refusedPlan(heard.answer, plan, 'plan dry-run', 'plan dry-run');
  const body = bodyOf<DryRunBody>(heard.answer, 'plan dry-run');
  const { output, terminal } = call;
  if (output !== null) await printDocument(terminal, output, body, []);
  else for (const line of linesOf(body, terminal.unicode)) terminal.line(line);
  return body.accepted ? 'done' : 'refused';
}

/** What a newer server adds is shown too, in its own words. */
const KNOWN = ['accepted', 'findings', 'timeline', 'minimumMs', 'checks', 'canaryWeightNow'];

function linesOf(body: DryRunBody, unicode: boolean): readonly Line[] {
  const { accepted, findings, timeline, minimumMs, checks, canaryWeightNow } = body;
  const more = Object.fromEntries(
    Object.entries(body).filter(([key, value]) => !KNOWN.includes(key) && value !== null),
  );
  const width = Math.max(LEAST_WIDTH, ...timeline.map((entry) => whenOf(entry).length + 1));
  return [
    accepted ? [toned('good', 'This plan would be accepted now')] : [toned('bad', 'This plan would be refused now')],
    ...findingLines(findings, unicode),
    [],
    [
      toned('strong', 'Timeline'),
      toned(
        'quiet',
        `  at least ${minimumMs === 0 ? '0 s' : duration(minimumMs)}, without what approvals and gates take`,
      ),
    ],
    [toned('quiet', '  now'.padEnd(width)), `canary weight ${percentOf(canaryWeightNow)}`],
    ...timeline.flatMap((entry) => entryLines(entry, width)),
    ...(checks.length === 0
      ? []
      : [[] as Line, [toned('strong', 'What each check measures of the stable version now')] as Line]),
    ...(checks.length === 0 ? [] : checkTable(checks)),
    ...(Object.keys(more).length === 0 ? [] : [[] as Line, ...documentLines(more)]),
  ];
}

type Entry = DryRunBody['timeline'][number];

/** Of the column of times. */
const LEAST_WIDTH = 12;

const whenOf = ({ earliestMs }: Entry): string => (earliestMs === 0 ? '  at once' : `  +${duration(earliestMs)}`);

/** What is asked before it is a line of its own: it happens first. */
function entryLines(entry: Entry, width: number): readonly Line[] {
  const { step, kind, words, weight, holdMs, approvedBy, gates } = entry;
  const what = kind === 'weight' || kind === 'promotion' ? percentOf(weight) : `${kind}: ${words}`;
  const hold = holdMs === 0 ? '' : `, hold ${duration(holdMs)}`;
  const after = approvedBy === null ? '' : `, then approval by ${approvedBy}`;
  return [
    ...gates.map(
      ({ name, gate }): Line => [
        ' '.repeat(width),
        toned('quiet', gate === 'beforeStart' ? `asked before anything is written: ${name}` : `asked first: ${name}`),
      ],
    ),
    [
      toned('quiet', whenOf(entry).padEnd(width)),
      `${kind === 'promotion' ? 'promotion' : `step ${step + 1}`}: ${what}`,
      toned('quiet', `${hold}${after}`),
    ],
  ];
}

/** Without the queries: those of the built-in checks fill a screen each. */
const checkTable = (checks: DryRunBody['checks']): readonly Line[] => [
  ...table([
    ['  CHECK', 'VALUE', 'REQUESTS', ''],
    ...checks.map(({ check, stableValue, samples, message }) => [
      `  ${check}`,
      stableValue === null ? 'none' : plain(stableValue),
      samples === null ? '-' : count(samples),
      message,
    ]),
  ]),
  [toned('quiet', '  with their queries: -o json')],
];
