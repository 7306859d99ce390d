/** The back-test in sentences. */
import { count, duration, percent } from '../format.ts';
import type { Millis } from '../plan.ts';
import type { BackTest, Cause, Healthy, Rung } from './backtest.ts';
import { tellsNothing } from './backtest.ts';
import type { Held } from './trial-judges.ts';

/** `minimum`: time that the plan takes at least. `pods`: those that had requests in the past. */
export function backTestWords(test: BackTest, minimum: number, pods: number): readonly string[] {
  return [
    ...healthyWords(test.healthy, test.window),
    ...regressionWords(test),
    ...(test.lived < pods ? [livedWords(test, pods)] : []),
    ...(test.brief
      ? [
          `most pods were replaced too soon for windows in which the plan may wait for its proof: tried in windows of ${duration(test.window)}, a proof that comes later is not seen`,
        ]
      : []),
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

/** Which pods were trials. */
export const livedWords = ({ lived, window }: Pick<BackTest, 'lived' | 'window'>, pods: number): string =>
  `of ${pods} pods that had requests ${lived === 0 ? 'none' : lived} lived through a window of ${duration(window)}: ${lived === 0 ? 'all' : 'the others'} began or ended in it, and are no trials`;

function healthyWords(
  { trials, rolledBack, promoted, unproven, unfinished, ...rest }: Healthy,
  window: Millis,
): readonly string[] {
  const { share, interval, causes, waits, timeToPromotion } = rest;
  const by = causes.map(({ cause, times }) => `${times} by ${cause}`).join(', ');
  const sure = `${percent(share)}; with 95 % confidence ${percent(interval.low)} to ${percent(interval.high)}`;
  const when = timeToPromotion === null ? '' : `, half of them within ${duration(timeToPromotion)}`;
  const late =
    unproven === 0
      ? '0 would not have been proven safe in time'
      : `${unproven} would not have been proven safe within analysis.evidence.unproven.after (${waitsWords(waits.unproven)})`;
  const open =
    unfinished === 0
      ? ''
      : `, ${unfinished} would not have come to an end within the ${duration(window)} of a window (${waitsWords(waits.unfinished)})`;
  return [
    `${rolledBack} of ${trials} healthy rollouts would have been rolled back (${sure})${by === '' ? '' : `: ${by}`}`,
    `${promoted} would have been promoted${when}; ${late}${open}`,
  ];
}

const HELD: Readonly<Record<Held, string>> = {
  silence: 'one of the versions had no requests',
  suspicion: 'under suspicion of being worse',
  'shared outage': 'both versions were failing',
  traffic: 'the share of the requests was not as wanted',
  proof: 'too few requests for the proof of safety',
};

const waitsWords = (waits: readonly Cause[]): string =>
  waits.map(({ cause, times }) => `${times}: ${waitWords(cause)}`).join('; ');

function waitWords(cause: string): string {
  const [kind, name = ''] = cause.split(': ', 2);
  if (kind === 'evidence') return HELD[name as Held];
  return kind === 'check' ? `check ${name} had no pass, with too few requests or failing` : "still in the plan's holds";
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
