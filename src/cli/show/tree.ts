/** One rollout as a tree: `get`, and each picture of `get --watch`. Pure: the same input draws the same picture. */
import { duration } from '../../domain/format.ts';
import type { Happening } from '../kind.ts';
import type { RolloutBody } from '../wire/api.ts';
import type { Row } from './branches.ts';
import { branches } from './branches.ts';
import type { Line, Part } from './line.ts';
import { toned } from './line.ts';
import type { Place } from './marks.ts';
import { bar, placeMark, statusTone, verdictMark } from './marks.ts';
import type { StepView } from './steps.ts';
import { comparisonOf, factLine, hasSentence, percentOf, sentenceOf, since } from './words.ts';

export interface TreeView {
  readonly rollout: RolloutBody;
  readonly steps: readonly StepView[];
  /** The last ones. */
  readonly facts: readonly Happening[];
  /** By the server's clock. */
  readonly now: number;
  readonly unicode: boolean;
  /** Of the window; bars are made to fit. */
  readonly columns: number;
}

/** What stands beside a bar takes up to 28 columns. */
const barWidth = (columns: number): number => Math.max(6, Math.min(20, columns - 28));

export function tree(view: TreeView): readonly Line[] {
  const { rollout, facts, unicode } = view;
  const rows = stepRows(view);
  return [
    headOf(view),
    ...labelsOf(rollout),
    ...branches([{ line: weightOf(view), below: [] }, ...rows], unicode),
    ...sentenceLines(rollout),
    ...facts.map((fact): Line => ['   ', ...factLine(fact)]),
  ];
}

function headOf({ rollout, now }: TreeView): Line {
  const { target, id, status, createdAt, endedAt, createdBy } = rollout;
  const took = since(createdAt, endedAt === null ? now : Date.parse(endedAt));
  return [
    toned('strong', target.service),
    '  ',
    toned(statusTone(status), rollout.awaiting === null ? status : `${status} (awaiting ${rollout.awaiting})`),
    toned('quiet', `  ${target.cluster}/${target.namespace}  ${target.mesh}  ${id}  ${took}  by ${createdBy}`),
  ];
}

const labelsOf = ({ labels }: RolloutBody): Line[] => {
  const pairs = Object.entries(labels);
  return pairs.length === 0 ? [] : [[toned('quiet', pairs.map(([key, value]) => `${key}=${value}`).join('  '))]];
};

/** Wanted and observed side by side: where they differ, the mesh has not followed yet. */
function weightOf({ rollout, unicode, columns }: TreeView): Line {
  const { wanted, observed, share } = rollout.weight;
  const off = wanted !== null && observed !== null && wanted !== observed;
  return [
    'canary weight ',
    toned('accent', bar(observed ?? 0, barWidth(columns), unicode)),
    toned(off ? 'warn' : 'strong', ` ${percentOf(observed)}`),
    ...(off ? [toned('warn', ` (wanted ${percentOf(wanted)})`)] : []),
    ...(share === null || rollout.endedAt !== null ? [] : [toned('quiet', `  ${percentOf(share)} of the requests`)]),
  ];
}

function stepRows(view: TreeView): readonly Row[] {
  const { rollout, steps, unicode } = view;
  const rows = steps.map((step, index): Row => {
    const place = placeOf(rollout, index);
    const here = place === 'here' || place === 'left';
    const words = `step ${index + 1}  ${String(step.weight).padStart(3)} %  `;
    return {
      line: [
        placeMark(place, unicode),
        ' ',
        place === 'here' ? toned('strong', words) : words,
        ...holdOf(view, step, index),
      ],
      below: here ? checkLines(rollout, unicode) : [],
    };
  });
  const place = placeOf(rollout, rollout.steps);
  const promotion: Row = { line: [placeMark(place, unicode), ' promotion 100 %'], below: [] };
  return [...rows, promotion];
}

function placeOf({ step, status, steps }: RolloutBody, index: number): Place {
  if (status === 'succeeded') return 'done';
  if (step === null || index > step) return 'ahead';
  if (index < step) return 'done';
  const turnedBack = status !== 'pending' && status !== 'progressing' && status !== 'paused';
  return turnedBack && index <= steps ? 'left' : 'here';
}

function holdOf({ rollout, now, unicode, columns }: TreeView, { hold, approval }: StepView, index: number): Part[] {
  const whole = hold === 0 ? 'no hold' : `hold ${duration(hold)}`;
  const then = approval ? ', then approval' : '';
  const standing = rollout.step === index && (rollout.status === 'progressing' || rollout.status === 'paused');
  if (!standing) return [toned('quiet', `${whole}${then}`)];
  if (rollout.reachedAt === null)
    return [toned('warn', 'weight not in force yet  '), toned('quiet', `${whole}${then}`)];
  const passed = Math.max(0, now - Date.parse(rollout.reachedAt));
  if (passed >= hold) return [toned('quiet', `held ${duration(passed)}`), ...(approval ? [toned('warn', then)] : [])];
  return [
    toned('accent', bar((100 * passed) / hold, barWidth(columns), unicode)),
    ` ${duration(hold - passed)} left of ${duration(hold)}`,
    toned('quiet', then),
  ];
}

const COMPARISON = 'comparison';

function checkLines(rollout: RolloutBody, unicode: boolean): Line[] {
  const { checks } = rollout;
  const compared = comparisonOf(rollout);
  const names = [...checks.map(({ name }) => name), ...(compared === null ? [] : [COMPARISON])];
  const width = Math.max(0, ...names.map((name) => name.length));
  const row = (name: string, verdict: string | null, count: string, reason: string): Line => [
    '  ',
    verdictMark(verdict, unicode),
    ` ${name.padEnd(width)}  ${`${verdict ?? 'not yet'}  `.padEnd(12)}`,
    toned('bad', count),
    count === '' ? '' : '  ',
    toned('quiet', reason),
  ];
  return [
    ...checks.map(({ name, verdict, consecutiveFailures, failureLimit, reason }) =>
      row(name, verdict, consecutiveFailures === 0 ? '' : `${consecutiveFailures} of ${failureLimit} failures`, reason),
    ),
    ...(compared === null ? [] : [row(COMPARISON, compared.verdict, '', compared.sentence)]),
  ];
}

function sentenceLines(rollout: RolloutBody): Line[] {
  if (!hasSentence(rollout)) return [];
  return [[toned(statusTone(rollout.status), sentenceOf(rollout))]];
}
