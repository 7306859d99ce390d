/** A rollout in words, the same wherever one is shown. Pure. */

import { SYSTEM } from '../../domain/change.ts';
import { duration, plain } from '../../domain/format.ts';
import type { Happening } from '../kind.ts';
import type { RolloutBody } from '../wire/api.ts';
import type { Line } from './line.ts';
import { toned } from './line.ts';
import { statusTone } from './marks.ts';

export const targetWords = ({ target }: Pick<RolloutBody, 'target'>): string =>
  `${target.service} (${target.cluster}/${target.namespace})`;

/** "step 2 of 3", "promotion", "before the first step". */
export function placeWords({ step, steps }: Pick<RolloutBody, 'step' | 'steps'>): string {
  if (step === null) return 'before the first step';
  return step >= steps ? 'promotion' : `step ${step + 1} of ${steps}`;
}

/** "step 2", "promotion". */
export const stepWords = (step: number, steps: number): string => (step >= steps ? 'promotion' : `step ${step + 1}`);

export const percentOf = (value: number | null): string => (value === null ? '-' : `${plain(value)} %`);

/** Is there more to say than where it stands? */
export const hasSentence = ({ outcome, pause, trouble }: RolloutBody): boolean =>
  outcome !== null || pause !== null || trouble !== null;

/** What stands between this rollout and its end; the sentence with the numbers where it has one. */
export function sentenceOf(rollout: RolloutBody): string {
  const { outcome, pause, trouble } = rollout;
  if (outcome !== null) return trouble === null ? outcome.message : `${outcome.message}. The mesh: ${trouble.message}`;
  if (pause !== null) return pause.message;
  if (trouble !== null) return trouble.message;
  return `${rollout.status} at ${placeWords(rollout)}, canary weight ${percentOf(rollout.weight.observed)}`;
}

/** What the comparison with the stable version said last, where the server makes one and the plan wants it; null: nothing. */
export function comparisonOf(rollout: RolloutBody): { readonly verdict: string; readonly sentence: string } | null {
  const { evidence } = rollout as { readonly evidence?: { readonly finding?: unknown } | null };
  const finding = (evidence?.finding ?? null) as Readonly<Record<string, unknown>> | null;
  if (typeof finding?.['verdict'] !== 'string' || typeof finding['sentence'] !== 'string') return null;
  return { verdict: finding['verdict'], sentence: finding['sentence'] };
}

/** "12:03:04  paused  Paused by ana at step 1 of 2 (5 %): lunch". Times in UTC, as everywhere in Sluice. */
export const factLine = (fact: Happening): Line => [
  toned('quiet', fact.at.slice(11, 19)),
  '  ',
  toned(factTone(fact), fact.type.padEnd(17)),
  '  ',
  fact.actor === SYSTEM || fact.message.includes(fact.actor) ? fact.message : `${fact.message} (${fact.actor})`,
];

function factTone({ type, data = {} }: Happening) {
  switch (type) {
    case 'ended':
      return statusTone(String(data['status'] ?? ''));
    case 'rollback_started':
    case 'child_refused':
      return 'bad';
    case 'paused':
    case 'gate_overdue':
    case 'blocked':
    case 'child_held':
    case 'mesh_trouble':
    case 'drift_seen':
    case 'stable_short':
    case 'preparation_left':
      return 'warn';
    case 'verdict_changed':
      return data['verdict'] === 'fail' ? 'bad' : data['verdict'] === 'pass' ? 'good' : 'warn';
    default:
      return 'accent';
  }
}

export const capital = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}`;

/** "3 m 2 s" since a time of the server, by its clock. */
export const since = (time: string, now: number): string => duration(Math.max(0, now - Date.parse(time)));
