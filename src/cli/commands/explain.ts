/** `sluice explain`: the sentence, what to do next, the numbers that decided, the writes to the mesh, and the queries. */
import { duration, plain } from '../../domain/format.ts';
import { nextSteps } from '../advice.ts';
import { PATIENCE } from '../call.ts';
import type { Call } from '../command.ts';
import type { Ending } from '../exit-codes.ts';
import { idOf } from '../ids.ts';
import { ROLLOUTS } from '../kinds/rollouts.ts';
import { printDocument } from '../show/data.ts';
import { documentLines } from '../show/generic.ts';
import type { Line } from '../show/line.ts';
import { table, toned } from '../show/line.ts';
import { statusTone, verdictMark } from '../show/marks.ts';
import { percentOf, placeWords, sentenceOf, stepWords, targetWords } from '../show/words.ts';
import type { Api, MeasurementBody, RolloutBody, WriteBody } from '../wire/api.ts';
import type { EvidenceSetupBody } from '../wire/evidence.ts';
import { setupOf } from '../wire/evidence.ts';

/** They come oldest first, and only from the first page on: a bound on what is read for the last ones. */
const MOST_READ = 10_000;
const MEASUREMENTS_SHOWN = 5;
const WRITES_SHOWN = 5;

interface Explanation {
  readonly rollout: RolloutBody;
  readonly sentence: string;
  /** The last ones of the check that decided; of every check where none did. */
  readonly measurements: readonly MeasurementBody[];
  readonly writes: readonly WriteBody[];
  readonly evidence: unknown;
  /** How the comparison is made: of what the plan says, what was chosen. null: there is none. */
  readonly setup: ChosenSetup | null;
  readonly next: readonly string[];
  /** There were more measurements or writes than are read for this. */
  readonly incomplete: boolean;
}

/** Without what only a replay needs. */
type ChosenSetup = Omit<EvidenceSetupBody, 'settings'>;

export async function run(call: Call): Promise<Ending> {
  const id = idOf(call, ROLLOUTS);
  const api = await call.api(PATIENCE.look);
  const rollout = await api.rolloutNow(id);
  const evidence = (rollout as unknown as { readonly evidence?: unknown }).evidence ?? null;
  const [measured, written, setup] = await Promise.all([
    api.measurements(id, MOST_READ),
    api.writes(id, MOST_READ),
    evidence === null ? null : chosen(api, id),
  ]);
  const explanation: Explanation = {
    rollout,
    sentence: sentenceOf(rollout),
    measurements: deciding(rollout, measured.items),
    writes: written.items.slice(-WRITES_SHOWN),
    evidence,
    setup,
    next: nextSteps(rollout),
    incomplete: measured.more || written.more,
  };
  const { output, terminal } = call;
  if (output !== null) await printDocument(terminal, output, explanation, []);
  else for (const line of linesOf(explanation, terminal.unicode)) terminal.line(line);
  return 'done';
}

async function chosen(api: Api, id: string): Promise<ChosenSetup | null> {
  const setup = await setupOf(api, id);
  if (setup === null) return null;
  const { settings: _, ...rest } = setup;
  return rest;
}

/** A check that decided: its last evaluations. Otherwise the last one of each check. */
export function deciding(
  { outcome }: Pick<RolloutBody, 'outcome'>,
  all: readonly MeasurementBody[],
): readonly MeasurementBody[] {
  const check = outcome?.check ?? null;
  if (check !== null) return all.filter((m) => m.check === check).slice(-MEASUREMENTS_SHOWN);
  return [...new Map(all.map((m) => [m.check, m])).values()];
}

function linesOf(explanation: Explanation, unicode: boolean): readonly Line[] {
  const { rollout, sentence, measurements, writes, next, incomplete } = explanation;
  return [
    [
      toned('strong', targetWords(rollout)),
      '  ',
      toned(statusTone(rollout.status), rollout.status),
      ` at ${placeWords(rollout)}, canary weight ${percentOf(rollout.weight.observed)}`,
    ],
    [toned(statusTone(rollout.status), sentence)],
    ...section(
      'What to do next',
      next.map((text): Line => [`  ${text}`]),
    ),
    ...section('What was measured', measurementLines(measurements, rollout.steps, unicode)),
    ...section('Comparison with the stable version', comparisonLines(explanation)),
    ...section('What was written to the mesh', writeLines(writes)),
    // Long, and for whoever doubts a number: after everything that is read in a hurry.
    ...section('How it was asked', queryLines(measurements)),
    ...(incomplete
      ? [[toned('warn', `Only the first ${MOST_READ} measurements and writes were read; later ones are missing here`)]]
      : []),
  ];
}

const section = (title: string, lines: readonly Line[]): readonly Line[] =>
  lines.length === 0 ? [] : [[], [toned('strong', title)], ...lines];

/** Of what auto chose, not that it was to choose. */
function comparisonLines({ evidence, setup }: Explanation): readonly Line[] {
  if (evidence === null) return [];
  if (setup === null) return documentLines(evidence, 2);
  const { mode, blockMs, warmUpMs, words } = setup;
  return documentLines({ words, ...(evidence as object), mode: modeWords(evidence, mode), blockMs, warmUpMs }, 2);
}

function modeWords(evidence: unknown, mode: string): string {
  const wanted = (evidence as { readonly mode?: unknown }).mode;
  return wanted === mode || typeof wanted !== 'string' ? mode : `${mode}, chosen by ${wanted}`;
}

const measurementLines = (measurements: readonly MeasurementBody[], steps: number, unicode: boolean): readonly Line[] =>
  measurements.map(
    (m): Line => [
      '  ',
      verdictMark(m.verdict, unicode),
      toned('quiet', ` ${m.at.slice(11, 19)}  ${stepWords(m.step, steps)}  `),
      `${m.check}: ${m.reason}`,
      toned('quiet', `  [${figures(m)}]`),
    ],
  );

/** Each query once, by the check and the version that it asks about. */
function queryLines(measurements: readonly MeasurementBody[]): readonly Line[] {
  const queries = new Map(
    measurements.flatMap(({ check, query, stableQuery }): [string, string][] => [
      [`${check}, canary`, query],
      ...(stableQuery === null ? [] : [[`${check}, stable`, stableQuery] as [string, string]]),
    ]),
  );
  return [...queries].map(([of, query]): Line => [toned('quiet', `  ${of}  `), query]);
}

const figures = ({ value, threshold, samples, stableValue, windowMs }: MeasurementBody): string =>
  [
    `value ${numberOf(value)}`,
    ...(threshold === null ? [] : [`limit ${numberOf(threshold)}`]),
    ...(stableValue === null ? [] : [`stable ${numberOf(stableValue)}`]),
    ...(samples === null ? [] : [`${numberOf(samples)} requests`]),
    `last ${duration(windowMs)}`,
  ].join(', ');

const numberOf = (value: number | null): string => (value === null ? 'none' : plain(value));

const writeLines = (writes: readonly WriteBody[]): readonly Line[] =>
  writes.length === 0
    ? []
    : table([
        ['  TIME', 'OBJECT', 'WEIGHT', 'RESULT', ''],
        ...writes.map(({ at, object, before, canaryWeight, result, message }) => [
          `  ${at.slice(11, 19)}`,
          object,
          `${percentOf(before)} -> ${percentOf(canaryWeight)}`,
          [toned(result === 'applied' ? 'good' : 'warn', result)],
          message,
        ]),
      ]);
