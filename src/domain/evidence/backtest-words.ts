/** The back-test in sentences. */
import { count, duration, percent } from '../format.ts';
import type { BackTest, Healthy, Rung } from './backtest.ts';
import { tellsNothing } from './backtest.ts';

export function backTestWords(test: BackTest, minimum: number): readonly string[] {
  return [
    ...healthyWords(test.healthy),
    ...regressionWords(test),
    ...(test.shortened
      ? [
          `the past is cut into windows of ${duration(test.window)}, and the plan takes at least ${duration(minimum)}: only its beginning was tried`,
        ]
      : []),
    ...(test.cut ? ['the time for the back-test was over before every trial was made'] : []),
  ];
}

function regressionWords({ healthy, ladder, caught }: BackTest): readonly string[] {
  if (tellsNothing(healthy))
    return [
      'the healthy service is rolled back so often that a rollback says nothing of a regression: correct first what does that',
    ];
  return (['errors', 'slow'] as const).flatMap((kind) => {
    const tried = ladder.filter((rung) => rung.kind === kind);
    return tried.length === 0 ? [] : [caughtWords(kind, caught[kind], tried)];
  });
}

function healthyWords({ trials, rolledBack, promoted, unproven, unfinished, ...rest }: Healthy): readonly string[] {
  const { share, interval, causes, timeToPromotion } = rest;
  const by = causes.map(({ cause, times }) => `${times} by ${cause}`).join(', ');
  const sure = `${percent(share)}; with 95 % confidence ${percent(interval.low)} to ${percent(interval.high)}`;
  const when = timeToPromotion === null ? '' : `, half of them within ${duration(timeToPromotion)}`;
  return [
    `${rolledBack} of ${trials} healthy rollouts would have been rolled back (${sure})${by === '' ? '' : `: ${by}`}`,
    `${promoted} would have been promoted${when}; ${unproven} would not have been proven safe in time${unfinished === 0 ? '' : `, ${unfinished} would not have come to an end`}`,
  ];
}

function caughtWords(kind: Rung['kind'], caught: Rung | null, tried: readonly Rung[]): string {
  const what = kind === 'errors' ? 'of its responses fail' : 'of its responses are slow';
  if (caught === null) {
    const most = Math.max(...tried.map(({ increase }) => increase));
    return `a canary of which ${percent(most)} more ${what} is rolled back in fewer than 90 % of the trials`;
  }
  const { increase, delay, harm } = caught;
  const after =
    delay === null || harm === null ? '' : `, half of them within ${duration(delay)} and ${harmed(kind, harm)}`;
  return `a canary of which ${percent(increase)} more ${what} is rolled back in at least 90 % of the trials${after}`;
}

const harmed = (kind: Rung['kind'], harm: number): string =>
  `${count(harm)} ${kind === 'errors' ? 'failed' : 'slow'} request${Math.round(harm) === 1 ? '' : 's'}`;
