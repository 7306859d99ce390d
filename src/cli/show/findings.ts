/** Findings of the checks before a rollout: one line each, and below it what to do. */
import type { FindingOf } from '../wire/api.ts';
import type { Line } from './line.ts';
import { indented, toned } from './line.ts';
import { levelMark } from './marks.ts';

export function findingLines(findings: readonly FindingOf[], unicode: boolean): readonly Line[] {
  const width = Math.max(0, ...findings.map(({ check }) => check.length));
  return findings.flatMap(({ check, level, message, remediation, ignored }): readonly Line[] => [
    [
      '  ',
      levelMark(level, unicode),
      ` ${check.padEnd(width)}  `,
      message,
      ignored === true ? toned('quiet', ' (ignored by policy)') : '',
    ],
    ...(remediation === undefined ? [] : indented(remediation, width + 6)).map((text): Line => [toned('quiet', text)]),
  ]);
}
